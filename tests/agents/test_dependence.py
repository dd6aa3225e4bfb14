"""F tests beside SciPy's regressions, and their level where time correlates what is tested."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from siftrl.agents.dependence import basis, dependence, discovered, least, over_time, without


def test_one_cause_and_a_constant_are_a_linear_regression():
    rng = np.random.default_rng(0)
    cause, noise = rng.standard_normal((50, 1)), rng.standard_normal((50, 3))
    constant = basis(np.empty((50, 0), np.float32))
    effects = without(constant, noise + cause * [0.0, 0.3, 2.0])
    statistic, _ = dependence(effects, cause, constant)
    fits = [stats.linregress(cause[:, 0], effect) for effect in effects.T]
    # A degree of freedom less: the effect's own past has taken one.
    np.testing.assert_allclose(statistic, [(fit.slope / fit.stderr) ** 2 * 47 / 48 for fit in fits], rtol=1e-9)


def test_what_the_context_knows_explains_nothing():
    rng = np.random.default_rng(0)
    known = rng.standard_normal((50, 2))
    context = basis(known)
    statistic, p_values = dependence(without(context, known + 3.0), rng.standard_normal((50, 4)), context)
    assert statistic.tolist() == [0.0, 0.0]
    assert p_values.tolist() == [1.0, 1.0]
    _, p_values = dependence(without(context, rng.standard_normal((50, 2))), known, context)
    assert p_values.tolist() == [1.0, 1.0]


def walks(rng, n_walks, n=500):
    walk = rng.standard_normal((n, n_walks))
    for t in range(1, n):
        walk[t] += 0.95 * walk[t - 1]
    return walk


@pytest.mark.parametrize("correct", [True, False])
def test_correlation_over_time_is_no_dependence(correct):
    rng = np.random.default_rng(0)
    constant = basis(np.empty((500, 0)))
    effects, causes = without(constant, walks(rng, 400)), walks(rng, 2)
    p_values = over_time(effects, causes, constant, 0.01) if correct else dependence(effects, causes, constant)[1]
    false = (p_values <= 0.01).sum()  # 4 are expected
    assert (false <= 12) == correct


def test_what_depends_is_found_among_what_is_correlated_over_time():
    rng = np.random.default_rng(0)
    constant = basis(np.empty((500, 0)))
    causes = walks(rng, 2)
    effects = without(constant, causes + 0.1 * walks(rng, 2))
    assert (over_time(effects, causes, constant, 0.01) < 1e-3).all()


def test_the_best_of_several_tests_counts_as_often():
    assert least(np.array([0.01, 0.9]), np.array([0.5, 0.6])).tolist() == [0.02, 1.0]


def test_causes_that_repeat_others_count_once():
    """Degrees of freedom that are not there would make p-values far too small."""
    rng = np.random.default_rng(0)
    constant = basis(np.empty((500, 0)))
    causes = walks(rng, 2)
    effects = without(constant, np.hstack([walks(rng, 400), 20 * rng.standard_normal((500, 4_000))]))
    once = over_time(effects, causes, constant, 0.01)
    repeated = over_time(effects, np.hstack([causes * scale for scale in range(1, 9)]), constant, 0.01)
    np.testing.assert_allclose(repeated, once, rtol=1e-3)


@given(st.lists(st.sampled_from([0.0, 1e-5, 2e-4, 1e-3, 0.01, 0.02, 0.05, 0.3, 1.0]), min_size=1, max_size=12))
def test_discoveries_are_those_of_benjamini_and_hochberg(p_values):
    p_values = np.array(p_values)
    for rate in (0.001, 0.05, 0.5):
        np.testing.assert_array_equal(discovered(p_values, rate), stats.false_discovery_control(p_values) <= rate)

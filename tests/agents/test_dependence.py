"""F tests beside SciPy's regressions, and their level where time correlates what is tested."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from siftrl.agents.dependence import Causes, basis, discovered, least, without


def test_one_cause_and_a_constant_are_a_linear_regression():
    rng = np.random.default_rng(0)
    cause, noise = rng.standard_normal((50, 1)), rng.standard_normal((50, 3))
    constant = basis(np.empty((50, 0), np.float32))
    effects = without(constant, noise + cause * [0.0, 0.3, 2.0])
    statistic, _ = Causes(cause, constant).test(effects)
    fits = [stats.linregress(cause[:, 0], effect) for effect in effects.T]
    # A degree of freedom less: the effect's own past has taken one.
    np.testing.assert_allclose(statistic, [(fit.slope / fit.stderr) ** 2 * 47 / 48 for fit in fits], rtol=1e-9)


def test_what_the_context_knows_explains_nothing():
    rng = np.random.default_rng(0)
    known = rng.standard_normal((50, 2))
    context = basis(known)
    statistic, p_values = Causes(rng.standard_normal((50, 4)), context).test(without(context, known + 3.0))
    assert statistic.tolist() == [0.0, 0.0]
    assert p_values.tolist() == [1.0, 1.0]
    _, p_values = Causes(known, context).test(without(context, rng.standard_normal((50, 2))))
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
    effects, causes = without(constant, walks(rng, 400)), Causes(walks(rng, 2), constant)
    p_values = causes.test_over_time(effects, 0.01) if correct else causes.test(effects)[1]
    false = (p_values <= 0.01).sum()  # 4 are expected
    assert (false <= 12) == correct


@pytest.mark.parametrize("n_causes", [1, 3, 30])
def test_significant_statistics_are_divided_by_what_causes_at_other_times_give(n_causes):
    rng = np.random.default_rng(0)
    context, causes = basis(walks(rng, 5)), walks(rng, n_causes)
    effects = without(context, causes @ rng.standard_normal((n_causes, 4)) + walks(rng, 4))
    now, left = Causes(causes, context), without(context, causes)
    others = [np.roll(left, shift, 0) for shift in np.linspace(50, 450, 64, dtype=int)]
    by_chance = np.mean([Causes(other, context).test(effects)[0] for other in others], axis=0)
    inflation = np.maximum(by_chance * (1 + 2 * np.sqrt(2 / (n_causes * 64))), 1)
    assert (inflation > 1.5).all()
    rest = np.maximum(500 / inflation - n_causes - context.shape[1] - 1, 1)
    expected = stats.f.sf(now.test(effects)[0] / inflation, n_causes, rest)
    np.testing.assert_allclose(now.test_over_time(effects, 1.0), expected, rtol=1e-6)


def test_what_depends_is_found_among_what_is_correlated_over_time():
    rng = np.random.default_rng(0)
    constant = basis(np.empty((500, 0)))
    causes = walks(rng, 2)
    effects = without(constant, causes + 0.1 * walks(rng, 2))
    assert (Causes(causes, constant).test_over_time(effects, 0.01) < 1e-3).all()


def test_the_best_of_several_tests_counts_as_often():
    assert least(np.array([0.01, 0.9]), np.array([0.5, 0.6])).tolist() == [0.02, 1.0]


def test_causes_that_repeat_others_count_once():
    """Degrees of freedom that are not there would make p-values far too small."""
    rng = np.random.default_rng(0)
    constant = basis(np.empty((500, 0)))
    causes = walks(rng, 2)
    effects = without(constant, np.hstack([walks(rng, 400), 20 * rng.standard_normal((500, 4_000))]))
    once = Causes(causes, constant).test_over_time(effects, 0.01)
    repeated = Causes(np.hstack([causes * scale for scale in range(1, 9)]), constant).test_over_time(effects, 0.01)
    np.testing.assert_allclose(repeated, once, rtol=1e-3)


@given(st.lists(st.sampled_from([0.0, 1e-5, 2e-4, 1e-3, 0.01, 0.02, 0.05, 0.3, 1.0]), min_size=1, max_size=12))
def test_discoveries_are_those_of_benjamini_and_hochberg(p_values):
    p_values = np.array(p_values)
    for rate in (0.001, 0.05, 0.5):
        np.testing.assert_array_equal(discovered(p_values, rate), stats.false_discovery_control(p_values) <= rate)

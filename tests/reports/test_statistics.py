"""Statistics over runs: rliable's own values, definitions, and how often an interval holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from siftrl.reports.statistics import (
    SEEDS_FOR_A_CLAIM,
    difference,
    few_seeds,
    iqm,
    mean,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)

# Five runs of one method and four of another on three tasks; what rliable 1.2.0 (arch 7.2.0) says of them.
X = np.array([[1.0, 20, 5], [3, 25, 5], [2, 60, 7], [8, 30, 1], [4, 10, 5]])
Y = np.array([[2.0, 22, 5], [3, 20, 6], [1, 15, 2], [0.5, 30, 1]])
THRESHOLDS = [0.0, 3, 5, 20, 40, 60]

SCORES = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


def matrices(n_tasks):
    return st.integers(1, 8).flatmap(lambda n_runs: hnp.arrays(float, (n_runs, n_tasks), elements=SCORES))


MATRICES = st.integers(1, 4).flatmap(matrices)
PAIRS = st.integers(1, 4).flatmap(lambda n_tasks: st.tuples(matrices(n_tasks), matrices(n_tasks)))


def test_point_values_are_rliables():
    assert iqm(X) == pytest.approx(7.444444444444445)
    assert iqm(X[:, 0]) == 3.0
    assert mean(X) == pytest.approx(12.4)
    assert median(X) == pytest.approx(4.6)
    assert optimality_gap(X, 6.0) == pytest.approx(1.4666666666666668)
    assert probability_of_improvement(X, Y) == pytest.approx(0.6583333333333333)
    assert performance_profile(X, THRESHOLDS) == pytest.approx([1, 11 / 15, 7 / 15, 3 / 15, 1 / 15, 0])


def test_point_values_are_those_of_rliables_own_tests():
    x, y = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]), np.array([[1, 1], [2, 2], [3, 3]])
    assert [median(x), mean(x), iqm(x)] == [1.5, 1.5, 1.5]
    assert [median(y), mean(y), iqm(y)] == [2, 2, 2]
    assert probability_of_improvement(x, y) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("scores", "statistic", "low", "high"),
    [  # of 50 000 resamples by rliable; 20 000 for the last but one
        (X, iqm, 5.44444444, 10.44444444),
        (X, mean, 8.06666667, 17.93333333),
        (X, median, 3.4, 6.2),
        ((X, Y), probability_of_improvement, 0.45, 0.85),
        ((X, Y), lambda x, y: iqm(x) - iqm(y), -0.83333333, 5.25),
    ],
)
def test_intervals_are_rliables(scores, statistic, low, high):
    found = stratified_bootstrap(scores, statistic, n_resamples=5000)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_a_profiles_band_is_rliables():
    band = stratified_bootstrap(X, lambda scores: performance_profile(scores, THRESHOLDS), n_resamples=5000)
    assert band.low == pytest.approx([1, 8 / 15, 5 / 15, 1 / 15, 0, 0])
    assert band.high == pytest.approx([1, 14 / 15, 10 / 15, 5 / 15, 3 / 15, 0])


def test_the_bootstrap_is_scipys_with_a_sample_for_each_task():
    scipys = stats.bootstrap(
        tuple(X.T), lambda *tasks: mean(np.stack(tasks, 1)), vectorized=False, n_resamples=4000, method="percentile", rng=0
    ).confidence_interval
    assert stratified_bootstrap(X, mean, 4000)[:2] == pytest.approx((scipys.low, scipys.high), abs=0.4)


def test_runs_are_drawn_for_each_task_anew_and_never_from_another():
    scores = np.arange(8.0)[:, None] + [0, 100]
    resamples = []
    stratified_bootstrap(scores, lambda drawn: resamples.append(drawn) or 0.0, n_resamples=500)
    drawn = np.stack(resamples[1:])
    assert set(drawn[..., 0].ravel()) == set(range(8))
    assert set(drawn[..., 1].ravel()) == set(range(100, 108))
    assert abs(np.corrcoef(drawn[..., 0].ravel(), drawn[..., 1].ravel())[0, 1]) < 0.1
    assert stats.chisquare(np.unique(drawn[..., 0], return_counts=True)[1]).pvalue > 1e-3


def test_methods_are_resampled_independently():
    x = np.arange(20.0)
    together = difference(x, x, mean)
    assert together.low < -2 < 2 < together.high
    assert stratified_bootstrap(x - x, mean)[:2] == (0, 0)


def test_points_of_a_curve_stay_with_their_run():
    curves = np.array([[0.0, 10], [1, 11], [2, 12], [3, 13]])
    low, high, point = stratified_bootstrap(curves[:, None], mean)
    assert point.tolist() == [1.5, 11.5]
    assert (high - low)[0] == (high - low)[1]
    assert (low[1] - low[0], high[1] - high[0]) == (10, 10)


def test_the_same_seed_gives_the_same_interval_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    assert stratified_bootstrap(X, iqm, 200, seed=3) == stratified_bootstrap(X, iqm, 200, seed=3)
    assert stratified_bootstrap(X, iqm, 200, seed=3) != stratified_bootstrap(X, iqm, 200, seed=4)
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize(
    ("n_runs", "statistic", "low", "high"), [(5, mean, 0.79, 0.88), (5, iqm, 0.86, 0.95), (20, mean, 0.88, 0.97)]
)
def test_intervals_hold_the_truth_as_often_as_the_docs_say(n_runs, statistic, low, high):
    many = np.random.default_rng(0).normal(size=(n_runs, 1, 400))  # each point of a curve has an interval of its own
    lows, highs, _ = stratified_bootstrap(many, statistic, 2000)
    assert low < np.mean((lows <= 0) & (highs >= 0)) < high


def test_a_higher_level_makes_a_longer_interval():
    half, most = stratified_bootstrap(X, mean, level=0.5), stratified_bootstrap(X, mean, level=0.99)
    assert most.low < half.low < half.point < half.high < most.high


def test_one_run_has_no_interval():
    assert np.isnan(stratified_bootstrap([4.0], iqm)[:2]).all()
    assert np.isnan(difference([4.0], [1.0, 2.0])[:2]).all()
    assert stratified_bootstrap([4.0], iqm).point == 4


def test_what_was_never_reached_is_infinite_not_nan():
    never = np.inf
    assert stratified_bootstrap([10, 20, never, never, never], np.median) == (10, never, never)
    assert stratified_bootstrap([never] * 5, np.median) == (never, never, never)
    assert stratified_bootstrap([10, 20, 30, 40, never], np.median).point == 30


@given(MATRICES)
def test_iqm_is_scipys_trimmed_mean_and_lies_among_the_scores(scores):
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None), abs=1e-6)
    assert scores.min() - 1e-6 <= iqm(scores) <= scores.max() + 1e-6


@given(MATRICES, st.sampled_from([-100.0, 0.0, 7.5]), st.sampled_from([0.5, 1.0, 20.0]))
def test_aggregates_move_with_the_scores(scores, shift, scale):
    for statistic in (iqm, mean, median):
        assert statistic(scale * scores + shift) == pytest.approx(scale * statistic(scores) + shift, rel=1e-9, abs=1e-4)


@given(PAIRS)
def test_one_of_two_methods_wins_or_they_tie(pair):
    x, y = pair
    assert probability_of_improvement(x, y) + probability_of_improvement(y, x) == pytest.approx(1)
    assert probability_of_improvement(x, x) == pytest.approx(0.5)


@given(PAIRS)
def test_probability_of_improvement_is_mann_and_whitneys_u(pair):
    x, y = pair
    u = [stats.mannwhitneyu(x[:, task], y[:, task], method="asymptotic").statistic for task in range(x.shape[1])]
    assert probability_of_improvement(x, y) == pytest.approx(np.mean(u) / (len(x) * len(y)))


@given(MATRICES, st.lists(SCORES, min_size=2, max_size=6).map(sorted))
def test_profiles_fall(scores, thresholds):
    profile = performance_profile(scores, thresholds)
    assert (np.diff(profile) <= 0).all()
    assert performance_profile(scores, [-np.inf, scores.max()]).tolist() == [1, 0]


@pytest.mark.parametrize("statistic", [iqm, mean, median, optimality_gap, lambda s: performance_profile(s, [0.0])])
@pytest.mark.parametrize(
    ("scores", "words"), [([1.0, np.nan], "hold NaN"), ([], "hold none"), (np.empty((0, 3)), "hold none")]
)
def test_scores_that_say_nothing_are_refused(statistic, scores, words):
    with pytest.raises(ValueError, match=words):
        statistic(scores)
    with pytest.raises(ValueError, match=words):
        stratified_bootstrap(scores, statistic)


def test_what_the_bootstrap_cannot_do_is_refused():
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 95"):
        stratified_bootstrap(X, iqm, level=95)
    with pytest.raises(ValueError, match="n_resamples must be at least 1, not 0"):
        stratified_bootstrap(X, iqm, n_resamples=0)
    with pytest.raises(ValueError, match="not the number 3; a tuple is one of methods"):
        stratified_bootstrap((3, 4), iqm)
    with pytest.raises(ValueError, match="y must have scores of the 3 tasks of x, not of 2"):
        probability_of_improvement(X, Y[:, :2])


def test_fewer_than_five_seeds_are_said_to_be_few():
    assert SEEDS_FOR_A_CLAIM == 5
    assert [bool(few_seeds(n_seeds)) for n_seeds in range(1, 8)] == [True] * 4 + [False] * 3
    assert few_seeds(1).startswith("1 seed: ")

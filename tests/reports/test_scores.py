"""Scores of a learning curve: exact values, levels never reached, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import trapezoid
from siftrl.reports.scores import area_under_curve, final_return, steps_to_level
from siftrl.reports.statistics import stratified_bootstrap

STEPS = np.arange(1, 7) * 1000
RETURNS = st.floats(-1e4, 1e4).map(lambda value: round(value, 2))
CURVES = hnp.arrays(float, (3, 6), elements=RETURNS)


@pytest.mark.parametrize(("n", "counted"), [(1, 1), (4, 1), (10, 1), (14, 1), (16, 2), (30, 3), (60, 6), (70, 7), (100, 10)])
def test_the_last_tenth_counts_and_at_least_one(n, counted):
    returns = np.arange(n, dtype=float)
    assert final_return(returns) == returns[-counted:].mean()


def test_each_run_has_its_own_score():
    curves = np.array([[0.0, 2, 4, 6, 8, 10], [5, 5, 5, 5, 5, 5]])
    assert final_return(curves, share=0.5).tolist() == [8, 5]
    assert area_under_curve(STEPS, curves).tolist() == [5, 5]
    assert steps_to_level(STEPS, curves, 5, window=1).tolist() == [4000, 1000]
    assert isinstance(final_return(curves[0]), float)
    assert isinstance(steps_to_level(STEPS, curves[0], 5), float)


@given(CURVES, st.lists(st.integers(1, 1000), min_size=6, max_size=6).map(np.cumsum))
def test_area_is_scipys_trapezoid_over_the_span(curves, steps):
    expected = trapezoid(curves, steps, axis=-1) / (steps[-1] - steps[0])
    assert area_under_curve(steps, curves) == pytest.approx(expected, abs=1e-6)


def test_one_lucky_evaluation_does_not_reach_a_level():
    lucky = [0, 9, 0, 0, 0, 0]
    assert steps_to_level(STEPS, lucky, 4) == np.inf
    assert steps_to_level(STEPS, lucky, 4, window=1) == 2000
    assert steps_to_level(STEPS, [9, 9, 0, 0, 0, 0], 6) == 3000  # the first mean of three there is


@given(CURVES, RETURNS, RETURNS, st.integers(1, 6))
def test_a_higher_level_is_never_reached_earlier(curves, level, other, window):
    low, high = sorted([level, other])
    reached = steps_to_level(STEPS, curves, low, window)
    assert (reached <= steps_to_level(STEPS, curves, high, window)).all()
    assert set(reached) <= {*STEPS[window - 1 :], np.inf}


def test_levels_never_reached_make_the_median_infinite_where_they_are_the_half():
    curves = np.repeat([[6.0], [6], [6], [0], [0]], 6, axis=1)
    found = stratified_bootstrap(steps_to_level(STEPS, curves, 5), np.median)
    assert (found.point, found.low, found.high) == (3000, 3000, np.inf)


def test_fewer_evaluations_than_the_window_reach_nothing():
    assert steps_to_level(STEPS[:2], [9.0, 9.0], 1) == np.inf
    assert steps_to_level(STEPS[:2], [[9.0, 9.0]] * 4, 1).tolist() == [np.inf] * 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: final_return([]), "at least one evaluation"),
        (lambda: final_return([1.0, np.nan]), "hold NaN"),
        (lambda: final_return([1.0], share=0), "share must be above 0 and at most 1, not 0"),
        (lambda: final_return([1.0], share=10), "share must be above 0 and at most 1, not 10"),
        (lambda: area_under_curve([1], [1.0]), "two evaluations or more, not 1"),
        (lambda: area_under_curve([1, 2, 3], [1.0, 2.0]), r"of shape \(2,\), not \(3,\)"),
        (lambda: area_under_curve([1, 1], [1.0, 2.0]), "steps must increase"),
        (lambda: steps_to_level([2, 1], [1.0, 2.0], 1), "steps must increase"),
        (lambda: steps_to_level([1, 2], [1.0, 2.0], 1, window=0), "window must be at least 1, not 0"),
    ],
)
def test_what_is_no_curve_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()

"""Forecasts of what is read, and how their failing shows that it has become something else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.agents.forecast import Forecast, fit_forecast, has_failed

N_ACTIONS = 2


def transitions(n, n_features, seed=0):
    """A stable linear system that actions drive: observations, their successors, actions."""
    rng = np.random.default_rng(seed)
    system = np.random.default_rng(1)
    dynamics = 0.9 * np.eye(n_features) + 0.1 * system.standard_normal((n_features, n_features)) / np.sqrt(n_features)
    drive = system.standard_normal((N_ACTIONS, n_features))
    actions, states = rng.uniform(-1, 1, (n, N_ACTIONS)), np.zeros((n + 1, n_features))
    for step in range(n):
        states[step + 1] = states[step] @ dynamics + actions[step] @ drive + 0.05 * rng.standard_normal(n_features)
    return states[:-1].astype(np.float32), states[1:].astype(np.float32), actions.astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(n_features=st.integers(1, 12), seed=st.integers(2, 10_000))
def test_a_forecast_holds_for_the_same_features_and_fails_for_noise(n_features, seed):
    here, there, actions = transitions(600, n_features)
    forecast = fit_forecast(here, there, actions, np.arange(n_features))
    assert not has_failed(forecast, *transitions(50, n_features, seed))
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2, 50, n_features), np.float32)
    assert has_failed(forecast, *noise, actions[:50])


@pytest.mark.parametrize(
    ("n_moved", "scale", "fails"),
    [(0, 100.0, False), (4, 100.0, False), (6, 100.0, True), (10, 0.01, False)],
    ids=["none", "few", "most", "at rest"],
)
def test_most_features_must_do_what_was_not_expected(n_moved, scale, fails):
    nothing_changes = Forecast(np.arange(10), np.zeros((1 + 10 + N_ACTIONS, 10)), np.ones(10))
    changes = np.random.default_rng(0).standard_normal((50, 10))
    changes[:, :n_moved] *= scale
    actions = np.zeros((50, N_ACTIONS))
    assert has_failed(nothing_changes, np.zeros((50, 10)), changes, actions) == fails


@pytest.mark.parametrize(("place", "fails"), [(1_000.0, False), (10.0, True)])
def test_errors_that_grow_with_the_changes_are_no_failure(place, fails):
    decay = np.vstack([np.zeros(4), -0.1 * np.eye(4), np.zeros((N_ACTIONS, 4))])
    here = place * np.random.default_rng(0).standard_normal((50, 4))
    changes = -0.1 * here + 10 * np.random.default_rng(1).standard_normal((50, 4))
    assert has_failed(Forecast(np.arange(4), decay, np.ones(4)), here, here + changes, np.zeros((50, N_ACTIONS))) == fails


def test_neither_units_nor_places_count():
    here, there, actions = transitions(400, 5)
    units, offsets = np.array([1e-3, 1, 10, 1e3, 1]), np.array([0, 5, -3, 1e3, 0])
    places = np.array([7, 2, 9, 0, 4])
    wide = [np.zeros((400, 10)), np.zeros((400, 10))]
    for part, values in zip(wide, (here, there), strict=True):
        part[:, places] = values * units + offsets
    one = fit_forecast(here, there, actions, np.arange(5))
    other = fit_forecast(*wide, actions, places)
    np.testing.assert_allclose(other.errors, one.errors * units**2, rtol=1e-4)
    np.testing.assert_allclose(other.coefficients[-N_ACTIONS:], one.coefficients[-N_ACTIONS:] * units, rtol=1e-4, atol=1e-9)
    assert not has_failed(other, *(part[:50] for part in wide), actions[:50])


def test_a_feature_that_never_changed_counts_like_any_other():
    here, there, actions = transitions(400, 3)
    here[:, 0] = there[:, 0] = 1.0
    forecast = fit_forecast(here, there, actions, np.arange(3))
    assert not has_failed(forecast, here[:50], there[:50], actions[:50])


@pytest.mark.parametrize(("n", "features"), [(31, np.arange(5)), (400, np.empty(0, np.int64))], ids=["few steps", "none"])
def test_too_little_to_go_by_gives_no_forecast(n, features):
    assert fit_forecast(*transitions(n, 5), features) is None


def test_four_transitions_for_each_coefficient_do():
    assert fit_forecast(*transitions(32, 5), np.arange(5)) is not None

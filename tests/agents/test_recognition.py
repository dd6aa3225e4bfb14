"""Sensors are recognised where they stand now, by how they respond to actions, and only if they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.agents.recognition import recognise, signatures

N_ACTIONS = 2
RESPONSES = np.array([[1.0, 0.2], [-0.5, 1.0], [0.1, -0.1], [3.0, -3.0], [0.0, 2.0]])


def experience(seed, n=500, responses=RESPONSES, noise=0.05):
    """Sensors that respond to random actions, lean on one another, and come in units of their own."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (n, N_ACTIONS)).astype(np.float32)
    here = rng.standard_normal((n, len(responses)))
    there = 0.9 * here + 0.05 * here[:, ::-1] + actions @ responses.T + noise * rng.standard_normal(here.shape)
    return here, there, actions


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(5)), st.floats(-3, 3))
def test_all_sensors_are_found_wherever_they_stand(seed, order, unit):
    here, there, actions = (part.copy() for part in experience(seed))
    scale = 10.0**unit
    before = signatures(scale * here, scale * there, actions, np.arange(5))
    here, there, actions = experience(seed + 1)
    order = np.array(order)
    after = signatures(scale * here[:, order], scale * there[:, order], actions, np.arange(5))
    match = recognise(before, after)
    assert np.array_equal(order[match.new], match.old)
    assert match.margins.min() > 3


def test_effects_of_a_linear_task_are_exact_and_clean_of_what_the_features_do():
    here, there, actions = experience(0, noise=0.0)
    found = signatures(here, there, actions, np.array([3, 1]))
    # Sensor 1 leans on sensor 3 and the other way round, so both are foretold to the last bit.
    np.testing.assert_allclose(found.effects, RESPONSES[[3, 1]], atol=1e-9)
    assert found.surprises.max() < 1e-9
    assert found.features.tolist() == [3, 1]


def test_errors_are_the_spread_of_the_effects():
    effects = np.array([signatures(*experience(seed, 200), np.arange(5)).effects for seed in range(60)])
    errors = np.mean([signatures(*experience(seed, 200), np.arange(5)).errors for seed in range(5)], axis=0)
    np.testing.assert_allclose(errors, effects.std(0), rtol=0.4)


def test_more_features_than_transitions_can_tell_apart_are_no_obstacle():
    responses = np.random.default_rng(0).standard_normal((150, N_ACTIONS)) * np.geomspace(1, 100, 150)[:, None]
    before, after = (signatures(*experience(seed, 300, responses), np.arange(150)) for seed in (0, 1))
    assert np.isfinite(before.effects).all()
    assert (recognise(before, after).new == np.arange(150)).mean() > 0.5


def test_twins_are_not_told_apart():
    responses = RESPONSES[[0, 0, 3, 4]]
    match = recognise(*(signatures(*experience(seed, responses=responses), np.arange(4)) for seed in (0, 1)))
    assert (match.margins[:2] < 1).all()
    assert (match.margins[2:] > 3).all()


def test_a_sensor_that_is_gone_is_not_mistaken_for_a_new_one():
    before = signatures(*experience(0), np.arange(5))
    after = signatures(*experience(1, responses=np.vstack([[[-8.0, -9.0]], RESPONSES[1:]])), np.arange(5))
    match = recognise(before, after)
    assert match.margins[0] == 0
    assert (match.margins[1:] > 3).all()
    assert match.new[1:].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(("n_before", "n_after"), [(3, 5), (5, 3), (1, 1)])
def test_there_may_be_more_on_either_side(n_before, n_after):
    before = signatures(*experience(0, 500), np.arange(n_before))
    after = signatures(*experience(1, 500), np.arange(n_after))
    match = recognise(before, after)
    assert match.old.tolist() == match.new.tolist() == list(range(min(n_before, n_after)))

"""Trying an agent: equal episodes each time, its own environment, and random actions beside it."""

import numpy as np
import pytest
from siftrl.robustness.subjects import find_subjects
from siftrl.robustness.trial import Trial, return_without_agent
from siftrl.training.disturbance import DISTURBANCES, Disturbance


def trial(model, **options):
    return Trial(find_subjects([model])[0], **{"episodes": 3, "seed": 0, "device": "cpu", **options})


def test_a_trial_repeats_and_its_order_does_not_matter(noisy):
    bias = Disturbance("bias", 5)
    first, second = trial(noisy), trial(noisy)
    clean, disturbed = first.clean(), first.disturbed(bias)
    assert second.disturbed(bias) == disturbed == first.disturbed(bias)
    assert second.clean() == clean != disturbed
    assert len(clean.returns) == 3


def test_what_is_disturbed_can_be_chosen(noisy):
    bias = Disturbance("bias", 5)
    found = {trial(noisy, features=features).disturbed(bias) for features in ("all", "real", "noise")}
    assert len(found) == 3


@pytest.mark.parametrize("name", DISTURBANCES)
def test_every_disturbance_can_be_tried(name, noisy):
    assert trial(noisy, episodes=1).disturbed(Disturbance(name, 5)).lengths[0] > 0


def test_weights_alone_play_the_same(noisy):
    assert trial(noisy, weights_only=True).clean() == trial(noisy).clean()


def test_random_actions_are_those_of_the_seed_and_no_action_is_none(noisy):
    def played(seed, is_still=False):
        return return_without_agent(ene_kwargs, episodes=12, seed=seed, is_still=is_still)

    ene_kwargs = find_subjects([noisy])[0].config.ene_kwargs()
    assert len(played(1).returns) == 12
    assert len(set(played(1).returns)) > 1
    assert played(1) == played(1) != played(2)
    assert np.mean(played(1, is_still=True).returns) > 2 * np.mean(played(1).returns)  # a pole that nobody pushes

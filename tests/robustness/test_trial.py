"""Trying an agent: equal episodes each time, its own environment, and random actions beside it."""

import pytest
from siftrl.robustness.subjects import find_subjects
from siftrl.robustness.trial import Trial, random_return
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


def test_random_actions_are_those_of_the_seed(noisy):
    ene_kwargs = find_subjects([noisy])[0].config.ene_kwargs()
    played = random_return(ene_kwargs, episodes=12, seed=1)
    assert len(played.returns) == 12
    assert len(set(played.returns)) > 1
    assert random_return(ene_kwargs, episodes=12, seed=1) == played != random_return(ene_kwargs, episodes=12, seed=2)

"""Rankings of features from the networks of an agent."""

import numpy as np
import pytest
import torch as th
from siftrl.agents import SAC, TD3
from siftrl.agents.networks import first_layer, networks
from siftrl.agents.rankings import rankings
from siftrl.envs import make_ene

OBSERVATIONS = np.random.default_rng(0).standard_normal((50, 30)).astype(np.float32)


@pytest.fixture(params=[SAC, TD3])
def model(request):
    return request.param(
        "SparseMlpPolicy", make_ene("Pendulum-v1", 0.9), policy_kwargs={"recipe": "anf"}, buffer_size=1, seed=0
    )


def test_there_is_a_score_of_each_kind_for_each_feature(model):
    scores = rankings(model, OBSERVATIONS, {name: np.ones((4, 30), int) for name in networks(model)})
    kinds = [f"{ranking}/{network}" for ranking in ("strength", "degree", "survivors") for network in ("actor", "critics")]
    assert list(scores) == [*kinds, "saliency/actor"]
    assert all(score.shape == (30,) and score.dtype == np.float64 and (score >= 0).all() for score in scores.values())
    assert all(scores[kind].sum() == pytest.approx(1) for kind in kinds)


def test_a_feature_with_larger_weights_is_stronger_but_has_no_more_links(model):
    before = rankings(model, OBSERVATIONS)
    with th.no_grad():
        for network in networks(model).values():
            layer = first_layer(network)
            layer.weight[th.as_tensor(layer.topology.inputs == 7)] *= 1_000
    after = rankings(model, OBSERVATIONS)
    assert all(after[kind].argmax() == 7 for kind in ("strength/actor", "strength/critics", "saliency/actor"))
    assert all(np.array_equal(after[kind], before[kind]) for kind in ("degree/actor", "degree/critics"))


def test_a_feature_counts_by_its_scale(model):
    wide = OBSERVATIONS.copy()
    wide[:, 3] *= 1_000
    assert rankings(model, wide)["strength/critics"].argmax() == 3


def test_survivors_are_links_over_time(model):
    links = {name: np.zeros((4, 30), int) for name in networks(model)}
    for of_net in links.values():
        of_net[2:, 5] = 8
        of_net[:, 6] = 12
    scores = rankings(model, OBSERVATIONS, links)
    assert scores["survivors/critics"][[5, 6]].tolist() == [0.25, 0.75]

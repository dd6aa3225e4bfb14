"""What input layers tell of real features and noise: counted, summed and ranked by hand."""

import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SAC, SparseTD3Policy
from siftrl.agents.filter import FilterRow, filter_report
from siftrl.agents.oracle import Oracle
from siftrl.envs import make_ene
from siftrl.sparse import SparseLinear, Topology


def by_hand(mask, weights):
    """A layer with these links; the weights are listed by input feature, then by neuron."""
    layer = SparseLinear(len(mask[0]), len(mask), topology=Topology.from_mask(np.array(mask, bool)))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
    return layer


def make(env="Pendulum-v1", **policy_kwargs):
    return sb3.TD3(SparseTD3Policy, env, policy_kwargs=policy_kwargs, buffer_size=10, seed=0, device="cpu")


@pytest.fixture
def model():
    """Features 0 to 2 are real, 3 to 5 noise, and the critic's 6 is the action."""
    model = make(make_ene("Pendulum-v1", 0.5), net_arch=[2, 2], recipe=None, density=1)
    # Strengths 3, 3, 4; 0.5, 0, 0.
    model.actor.mu[0] = by_hand([[1, 1, 0, 1, 0, 0], [1, 0, 1, 0, 0, 0]], [1.0, -2.0, 3.0, -4.0, 0.5])
    # Strengths 3, 0, 0; 1, 1, 2; 198.
    critic = by_hand([[1, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1]], [-3.0, 1.0, 1.0, 1.0, -1.0, 99.0, 99.0])
    model.critic.qf0[0] = critic
    return model


def test_links_strength_and_ranking_by_hand(model):
    report = filter_report(model, np.arange(3))
    assert report["actor"] == pytest.approx(FilterRow(4 / 3, 1 / 3, 10 / 0.5, auroc=1, precision_at_d=1))
    # Of the three strongest, one is real; the others have no strength.
    assert report["qf0"] == pytest.approx(FilterRow(1 / 3, 4 / 3, 3 / 4, auroc=1 / 3, precision_at_d=1 / 3))
    moved = filter_report(model, np.array([3, 4, 5]))
    assert moved["actor"] == pytest.approx(FilterRow(1 / 3, 4 / 3, 0.5 / 10, auroc=0, precision_at_d=0))


def test_a_dense_layer_has_all_links_and_is_ranked_by_its_weights(model):
    strength = model.critic.qf1[0].weight.abs().sum(0).detach().numpy()[:6]
    row = filter_report(model, np.arange(3))["qf1"]
    assert (row.real, row.noise) == (2, 2)
    assert row.strength_ratio == pytest.approx(strength[:3].mean() / strength[3:].mean())
    assert row.auroc == pytest.approx(np.mean(strength[:3, None] > strength[3:]))


def test_the_ranking_and_nothing_else_is_scaled_by_the_features_standard_deviation(model):
    std = np.array([1.0, 0.1, 0.1, 10.0, 1.0, 1.0])  # scaled strengths of the actor: 3, 0.3, 0.4; 5, 0, 0
    row = filter_report(model, np.arange(3), std)["actor"]
    assert row == pytest.approx(FilterRow(4 / 3, 1 / 3, 10 / 0.5, auroc=6 / 9, precision_at_d=2 / 3))


def test_noise_without_links_has_no_strength_to_compare_with():
    model = SAC("SparseMlpPolicy", make_ene("Pendulum-v1", 0.5), policy_kwargs={"recipe": "sift"}, learning_starts=1, seed=0)
    model.learn(1, callback=Oracle())
    row = filter_report(model, np.arange(3))["actor"]
    assert (row.noise, row.auroc) == (0, 1)
    assert np.isnan(row.strength_ratio)


def test_without_noise_there_is_nothing_to_compare():
    row = filter_report(make(net_arch=[16], recipe="anf", input_density=0.5), np.arange(3))["actor"]
    assert row.real == 8
    assert np.isnan([row.noise, row.strength_ratio, row.auroc, row.precision_at_d]).all()

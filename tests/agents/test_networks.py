"""Networks in figures: every layer is listed, and dead neurons are counted by hand."""

import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SparseSACPolicy, SparseTD3Policy
from siftrl.agents.networks import LayerRow, layer_table, n_dead_neurons, networks
from siftrl.sparse import SparseLinear, Topology

POLICIES = {"sac": (sb3.SAC, SparseSACPolicy), "td3": (sb3.TD3, SparseTD3Policy)}


def make(algo, **policy_kwargs):
    algorithm, policy = POLICIES[algo]
    return algorithm(policy, "Pendulum-v1", policy_kwargs=policy_kwargs, buffer_size=10, seed=0, device="cpu")


@pytest.mark.parametrize("algo", POLICIES)
def test_layer_table_lists_every_linear_layer_of_every_network(algo):
    model = make(algo, net_arch=[16, 16], recipe="anf", input_density=0.5)
    rows = layer_table(model)
    assert rows[0] == LayerRow("actor", "latent_pi.0" if algo == "sac" else "mu.0", (16, 3), 24, 0.5)
    assert [row.network for row in rows] == ["actor"] * (4 if algo == "sac" else 3) + ["qf0"] * 3 + ["qf1"] * 3
    assert rows[-3:] == [
        LayerRow("qf1", "0", (16, 4), 32, 0.5),
        LayerRow("qf1", "2", (16, 16), 256, 1.0),
        LayerRow("qf1", "4", (1, 16), 16, 1.0),
    ]


def without(layer, *, links_in=(), links_out=()):
    """A layer without the links into some neurons and out of some features."""
    mask = torch.ones(layer.out_features, layer.in_features, dtype=torch.bool)
    mask[list(links_in)] = False
    mask[:, list(links_out)] = False
    return SparseLinear(layer.in_features, layer.out_features, topology=Topology.from_mask(mask.numpy()))


def test_dead_neurons_of_an_actor_with_two_heads_and_of_a_critic():
    model = make("sac", net_arch=[6, 5], recipe=None, density=1)
    actor, qf0, qf1 = networks(model).values()
    assert [n_dead_neurons(network) for network in (actor, qf0, qf1)] == [0, 0, 0]
    actor.latent_pi[0] = without(actor.latent_pi[0], links_in=[0, 1])
    actor.latent_pi[2] = without(actor.latent_pi[2], links_out=[1, 2])
    assert n_dead_neurons(actor) == 3
    # One head is enough to live, as the log standard deviation of the action.
    actor.mu = without(actor.mu, links_out=[3, 4])
    assert n_dead_neurons(actor) == 3
    actor.log_std = without(actor.log_std, links_out=[4])
    assert n_dead_neurons(actor) == 4
    qf1[2] = without(qf1[2], links_in=[0], links_out=[5])
    qf1[4] = without(qf1[4], links_out=[0, 1])
    assert n_dead_neurons(qf1) == 3
    assert n_dead_neurons(qf0) == 0


def test_an_output_without_links_leaves_the_hidden_neurons_dead_and_is_none_itself():
    model = make("td3", net_arch=[6], recipe=None, density=1)
    model.actor.mu[2] = without(model.actor.mu[2], links_in=[0])
    assert n_dead_neurons(model.actor) == 6

"""Agents that are told which features are real."""

import numpy as np
import pytest
import torch as th
from siftrl.agents import SAC
from siftrl.agents.networks import first_layer, networks, target_networks
from siftrl.agents.oracle import Oracle
from siftrl.envs import make_ene


def trained(env, n_steps):
    kwargs = {"recipe": "oracle", "net_arch": [16, 16]}
    model = SAC("SparseMlpPolicy", env, policy_kwargs=kwargs, learning_starts=10, batch_size=8, seed=0)
    oracle = Oracle()
    return model.learn(n_steps, callback=oracle), oracle


def test_it_reads_the_real_features_wherever_they_stand():
    env = make_ene("Hopper-v5", noise_fraction=0.8, permute_every=40, permutation_seed=1)
    model, oracle = trained(env, 120)
    now = np.sort(env.get_wrapper_attr("relevant_features"))
    assert now.tolist() != list(range(11))
    assert oracle.n_moves == env.get_wrapper_attr("permutation") > 0
    for network in [*networks(model).values(), *target_networks(model).values()]:
        fan_out = first_layer(network).topology.fan_out()[:55]
        assert fan_out.nonzero()[0].tolist() == now.tolist()


def test_links_go_where_their_features_go():
    env = make_ene("Hopper-v5", noise_fraction=0.8, permute_every=100, permutation_seed=1)
    kwargs = {"recipe": "oracle", "net_arch": [16, 16]}
    model = SAC("SparseMlpPolicy", env, policy_kwargs=kwargs, learning_starts=10, gradient_steps=0, seed=0)
    oracle = Oracle()
    model.learn(20, callback=oracle)
    before = {name: first_layer(network).to_dense()[:, :11].clone() for name, network in networks(model).items()}
    model.learn(200, callback=oracle, reset_num_timesteps=False)
    places = env.get_wrapper_attr("relevant_features")
    assert places.tolist() != list(range(11))
    for name, network in networks(model).items():
        assert th.equal(first_layer(network).to_dense()[:, places], before[name])
    again = Oracle()
    again.init_callback(model)
    again.set_state(oracle.get_state())
    assert np.array_equal(again._places, places)


def test_a_task_that_does_not_know_its_real_features_is_refused():
    with pytest.raises(ValueError, match="relevant_features"):
        trained("Pendulum-v1", 3)

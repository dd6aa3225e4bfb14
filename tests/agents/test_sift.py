"""Agents that sift: what their first layers read, and what becomes of it when the sensors move."""

import numpy as np
import pytest
import stable_baselines3 as sb3
import torch as th
from siftrl.agents import SAC, TD3, SparseSACPolicy
from siftrl.agents.networks import first_layer, networks, target_networks
from siftrl.agents.sift import Sift
from siftrl.envs import make_ene
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

WARM_UP = 600


def trained(algorithm=SAC, env=None, n_steps=WARM_UP + 5, policy="SparseMlpPolicy", **kwargs):
    sift = Sift(period_steps=500, window_steps=1_000)
    env = make_ene("Hopper-v5", noise_fraction=0.9) if env is None else env
    kwargs = {"learning_starts": WARM_UP, "batch_size": 16, "seed": 0, "buffer_size": 20_000} | kwargs
    model = algorithm(policy, env, policy_kwargs={"recipe": "sift", "net_arch": [32, 32]}, **kwargs)
    model.learn(n_steps, callback=sift)
    return model, sift


def read(layer):
    return layer.topology.fan_out().nonzero()[0].tolist()


@pytest.mark.parametrize(
    ("algorithm", "kwargs"),
    [
        (SAC, {}),
        (TD3, {"action_noise": NormalActionNoise(np.zeros(3), np.full(3, 0.1))}),
        (sb3.SAC, {"policy": SparseSACPolicy}),
        (SAC, {"env": make_vec_env(make_ene, 4, seed=0, env_kwargs={"env_id": "Hopper-v5", "noise_fraction": 0.9})}),
    ],
    ids=["SAC", "TD3", "stock SAC", "four environments"],
)
def test_after_the_warm_up_the_networks_read_the_task_and_nothing_else(algorithm, kwargs):
    model, sift = trained(algorithm, **kwargs)
    assert sift.accepted.nonzero()[0].tolist() == list(range(11))
    for name, network in networks(model).items():
        layer = first_layer(network)
        assert layer.density < 1
        assert read(layer) == [*range(11), *([] if name == "actor" else range(110, 113))]
        assert (layer.topology.fan_out()[read(layer)] == 32).all()
        assert layer.weight.abs().max() < 1.1 / np.sqrt(11)
    for name, network in target_networks(model).items():
        assert read(first_layer(network)) == read(first_layer(networks(model)[name]))


def test_nothing_was_learnt_before_and_targets_start_where_the_critics_do():
    model, _ = trained(n_steps=WARM_UP + 1, gradient_steps=0)
    assert model._n_updates == 0
    critics = networks(model)
    for name, target in target_networks(model).items():
        assert th.equal(first_layer(target).weight, first_layer(critics[name]).weight)
        assert th.equal(first_layer(target).bias, first_layer(critics[name]).bias)
    assert not th.equal(first_layer(critics["qf0"]).weight, first_layer(critics["qf1"]).weight)


def test_when_the_sensors_move_the_agent_follows_and_forgets_what_it_saw_before():
    env = make_ene("Hopper-v5", noise_fraction=0.8, permute_every=1_500, permutation_seed=1)
    model, sift = trained(env=env, n_steps=2_950, gradient_steps=0)
    now = np.sort(env.get_wrapper_attr("relevant_features"))
    assert now.tolist() != list(range(11))
    assert sift.n_moves == 1
    assert sift.accepted.nonzero()[0].tolist() == now.tolist()
    assert read(model.actor.latent_pi[0]) == now.tolist()
    assert model.replay_buffer.size() < 1_500


def test_as_long_as_nothing_answers_nothing_changes():
    class Deaf(Sift):
        def _experience(self, n_steps):
            return (
                super()._experience(n_steps)._replace(impulses=np.zeros((self._n_rows(n_steps), 3)), rewards=np.zeros(500))
            )

    env = make_ene("Hopper-v5", noise_fraction=0.9)
    sift, kwargs = Deaf(period_steps=500, window_steps=500), {"recipe": "sift", "net_arch": [8, 8]}
    model = SAC("SparseMlpPolicy", env, policy_kwargs=kwargs, learning_starts=500, gradient_steps=0, seed=0)
    before = model.actor.latent_pi[0].topology.positions
    model.learn(510, callback=sift)
    assert not sift.accepted.any()
    assert np.array_equal(model.actor.latent_pi[0].topology.positions, before)


def test_training_that_goes_on_keeps_what_was_found():
    model, sift = trained()
    accepted = sift.accepted.copy()
    model.learn(3, callback=sift, reset_num_timesteps=False)
    assert np.array_equal(sift.accepted, accepted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"period_steps": 99}, "period_steps=99 must be at least 100"),
        ({"window_steps": 10}, "window_steps=10 must be at least period_steps=1000"),
        ({"false_discovery_rate": 0}, "false_discovery_rate=0 must be between 0 and 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sift(**arguments)


def test_dense_first_layers_are_refused():
    model = SAC("SparseMlpPolicy", make_ene("Hopper-v5", 0.9), policy_kwargs={"recipe": "dense"})
    with pytest.raises(ValueError, match="first layer of actor must be sparse"):
        model.learn(5, callback=Sift())

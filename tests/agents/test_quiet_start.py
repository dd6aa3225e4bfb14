"""Networks that start as if what they read were standardised, and quietly."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch as th
from siftrl.agents import SAC, TD3
from siftrl.agents.networks import first_layer, networks, target_networks
from siftrl.agents.presets import PRESETS, build_callbacks
from siftrl.agents.quiet_start import QuietStart
from siftrl.agents.replay_rows import observed
from siftrl.envs import make_ene
from stable_baselines3.common.torch_layers import FlattenExtractor

WARM_UP = 150


def trained(algorithm=SAC, n_steps=WARM_UP + 1, callback=None, **kwargs):
    policy = "MlpPolicy" if algorithm.__module__.startswith("stable_baselines3") else "SparseMlpPolicy"
    if policy == "SparseMlpPolicy":
        kwargs.setdefault("policy_kwargs", {"recipe": "anf", "net_arch": [32, 32]})
    env = make_ene("Hopper-v5", noise_fraction=0.5)
    model = algorithm(policy, env, learning_starts=WARM_UP, batch_size=8, seed=0, **kwargs)
    return model.learn(n_steps, callback=callback)


def given_by(layer, seen):
    return layer(th.nn.functional.pad(th.from_numpy(seen), (0, layer.in_features - seen.shape[1]))).detach().numpy()


@pytest.mark.parametrize("algorithm", [SAC, TD3, sb3.SAC, sb3.TD3])
@pytest.mark.parametrize("recipe", ["anf", "dense"])
def test_first_layers_are_scaled_before_the_first_update(algorithm, recipe):
    kwargs = {} if algorithm in (sb3.SAC, sb3.TD3) else {"policy_kwargs": {"recipe": recipe, "net_arch": [32, 32]}}
    loud = trained(algorithm, gradient_steps=0, **kwargs)
    quiet = trained(algorithm, gradient_steps=0, callback=QuietStart(), **kwargs)
    seen = observed(quiet.replay_buffer, np.arange(WARM_UP))[0]
    std, mean = seen.std(0), seen.mean(0)
    for name, network in networks(quiet).items():
        before, after = first_layer(networks(loud)[name]), first_layer(network)
        read = 0.3 * (seen - mean) / std
        np.testing.assert_allclose(given_by(after, seen), given_by(before, read.astype(np.float32)), atol=2e-3)
        if name in target_networks(quiet):
            assert th.equal(first_layer(target_networks(quiet)[name]).weight, after.weight)
    assert quiet._n_updates == 0


def test_it_happens_once_and_not_to_a_trained_model():
    quiet = QuietStart()
    model = trained(n_steps=WARM_UP + 5, callback=quiet)
    assert model._n_updates > 0
    weight = first_layer(model.actor).weight.clone()
    model.gradient_steps = 0
    model.learn(200, callback=quiet, reset_num_timesteps=False)
    model.learn(200, callback=QuietStart(), reset_num_timesteps=False)
    assert th.equal(first_layer(model.actor).weight, weight)


def test_it_happens_once_where_nothing_was_learnt_after_it(tmp_path):
    model = trained(gradient_steps=0, callback=QuietStart())
    weight = first_layer(model.actor).weight.clone()
    model.save(tmp_path / "model.zip")
    for again in (model, type(model).load(tmp_path / "model.zip", env=model.env)):
        again.learn(200, callback=QuietStart(), reset_num_timesteps=False)
        assert again._n_updates == 0
        assert th.equal(first_layer(again.actor).weight, weight)


def test_its_state_says_whether_it_has_happened():
    quiet, again = QuietStart(), QuietStart()
    trained(gradient_steps=0, callback=quiet)
    assert quiet.get_state() == {"is_over": True}
    again.init_callback(trained(gradient_steps=0))
    assert again.get_state() == {"is_over": False}
    again.set_state(quiet.get_state())
    assert again.get_state() == {"is_over": True}


class Doubled(FlattenExtractor):
    def forward(self, observations):
        return 2 * super().forward(observations)


def test_what_cannot_start_quietly_is_refused():
    with pytest.raises(ValueError, match="learning_starts=99 must be at least 100"):
        sb3.SAC("MlpPolicy", "Pendulum-v1", learning_starts=99).learn(1, callback=QuietStart())
    with pytest.raises(ValueError, match="buffer_size=99 must be at least 100"):
        sb3.SAC("MlpPolicy", "Pendulum-v1", learning_starts=150, buffer_size=99).learn(1, callback=QuietStart())
    kwargs = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}
    with pytest.raises(ValueError, match="optimize_memory_usage=True"):
        sb3.SAC("MlpPolicy", "Pendulum-v1", learning_starts=150, **kwargs).learn(1, callback=QuietStart())
    kwargs = {"policy_kwargs": {"features_extractor_class": Doubled}}
    with pytest.raises(ValueError, match="features_extractor_class must be FlattenExtractor"):
        sb3.SAC("MlpPolicy", "Pendulum-v1", learning_starts=150, **kwargs).learn(1, callback=QuietStart())
    env = gym.wrappers.ReshapeObservation(gym.make("Pendulum-v1"), (3, 1))
    with pytest.raises(ValueError, match="observations must be vectors"):
        sb3.SAC("MlpPolicy", env, learning_starts=100).learn(1, callback=QuietStart())


@pytest.mark.parametrize("preset", PRESETS)
def test_readers_start_quietly_by_themselves_and_all_others_when_asked(preset):
    names = [type(callback).__name__ for callback in build_callbacks(preset, 1_000, quiet_start=True)]
    assert names.count("QuietStart") == (preset not in ("sift", "sift-anew", "oracle"))
    assert len(names) == len(build_callbacks(preset, 1_000)) + names.count("QuietStart")

"""Which replay buffer an agent gets: the noise replay in an ENE and only there, without a change to anything else."""

import warnings

import gymnasium as gym
import pytest
from siftrl.agents import SAC
from siftrl.agents.replay import NoiseReplayBuffer
from siftrl.agents.replay_choice import choose_replay_buffer, noise_replay_kwargs
from siftrl.envs import CorruptFeatures, NoiseFeatures, PermuteFeatures, make_ene
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize


def ene_vec(n_envs=1, **kwargs):
    kwargs = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.8, "permute_every": 15, **kwargs}
    return make_vec_env(make_ene, n_envs, seed=0, env_kwargs=kwargs)


def test_the_environments_say_what_the_replay_needs():
    kwargs = noise_replay_kwargs(ene_vec(2))
    assert (kwargs["noise_source"].n_real, kwargs["noise_source"].n_noise) == (4, 16)
    assert kwargs["permutations"].n_features == 20
    assert noise_replay_kwargs(ene_vec(1, permute_every=None))["permutations"] is None
    assert noise_replay_kwargs(make_vec_env("Pendulum-v1")) is None
    assert noise_replay_kwargs(VecFrameStack(ene_vec(), 2)) is None
    below = make_vec_env(lambda: NoiseFeatures(PermuteFeatures(gym.make("Pendulum-v1")), 0.5))
    kwargs = noise_replay_kwargs(below)
    assert kwargs["permutations"] is None


class _Model:
    """The part of an algorithm that choosing a buffer reads and sets."""

    def __init__(self, env, replay_buffer_class=None, **replay_buffer_kwargs):
        self.env, self.n_steps, self.gamma, self.seed = env, 3, 0.9, 5
        self.replay_buffer_class, self.replay_buffer_kwargs = replay_buffer_class, replay_buffer_kwargs


def test_agents_take_the_noise_replay_in_an_ene_and_only_there():
    model = _Model(ene_vec(), replay_noise="fresh")
    choose_replay_buffer(model)
    assert model.replay_buffer_class is NoiseReplayBuffer
    expected = {"n_steps": 3, "gamma": 0.9, "seed": 5, "replay_noise": "fresh", **noise_replay_kwargs(model.env)}
    assert model.replay_buffer_kwargs == expected

    model = _Model(ene_vec(), ReplayBuffer)
    choose_replay_buffer(model)
    assert (model.replay_buffer_class, model.replay_buffer_kwargs) == (ReplayBuffer, {})

    model = _Model(make_vec_env("Pendulum-v1"), replay_noise="exact", on_permute="keep", handle_timeout_termination=True)
    with pytest.warns(UserWarning, match="replay_noise and on_permute have no effect"):
        choose_replay_buffer(model)
    assert (model.replay_buffer_class, model.replay_buffer_kwargs) == (None, {"handle_timeout_termination": True})


def test_what_was_chosen_for_an_agent_that_was_saved_is_chosen_anew(tmp_path):
    def loaded(env, **kwargs):
        return SAC.load(tmp_path / "model.zip", env=env, **kwargs)

    env = make_ene("InvertedPendulum-v5", 0.5)
    options = {"replay_noise": "fresh"}
    SAC("MlpPolicy", env, n_steps=1, buffer_size=10, replay_buffer_kwargs=options, device="cpu").save(tmp_path / "model.zip")
    again = loaded(env, n_steps=3, gamma=0.5).replay_buffer
    assert (again.n_steps, again.gamma, again.replay_noise) == (3, 0.5, "fresh")
    assert loaded(None).replay_buffer.noise_source == env.get_wrapper_attr("noise_source")
    louder = make_ene("InvertedPendulum-v5", 0.5, noise_std=2.0)
    assert loaded(louder).replay_buffer.noise_source.std == 2.0
    with pytest.warns(UserWarning, match="no effect: the environment has no noise features to regenerate"):
        assert type(loaded(CorruptFeatures(env, "gaussian")).replay_buffer) is ReplayBuffer


def test_environments_that_do_not_fit_get_one_sentence():
    with pytest.raises(ValueError, match="VecNormalize must not wrap"):
        noise_replay_kwargs(VecNormalize(ene_vec()))
    mixed = make_vec_env(make_ene, 2, env_kwargs={"env_id": "Pendulum-v1"})
    mixed.envs[1] = make_ene("Pendulum-v1", noise_std=3.0)
    with pytest.raises(ValueError, match="env must be a vector of equal environments, got 2 noise sources"):
        noise_replay_kwargs(mixed)


def test_returns_of_several_steps_need_no_warning_and_leave_the_users_filters_alone():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        model = SAC("MlpPolicy", make_ene("Pendulum-v1", 0.5), n_steps=3, buffer_size=10, device="cpu")
        assert warnings.filters == before
    assert model.replay_buffer.n_steps == 3
    assert not [str(warning.message) for warning in seen if "n_steps" in str(warning.message)]

"""The random part of actions: it is what was drawn, and nothing else."""

import copy

import numpy as np
import pytest
import torch as th
from siftrl.agents import SAC, TD3
from siftrl.agents.impulses import RememberedNoise, forget_draws, impulses, remember_draws
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise


def collected(model, n_steps=3):
    """Actions and impulses of the first steps after the warm-up, and the observations they were drawn for."""
    from stable_baselines3.common.callbacks import BaseCallback

    seen = []

    class Look(BaseCallback):
        def _init_callback(self):
            remember_draws(self.model)

        def _on_step(self):
            actions = self.locals["buffer_actions"]
            seen.append((self.model._last_obs.copy(), actions, impulses(self.model, actions, is_warm_up=False)))
            return True

    model.learn(n_steps, callback=Look())
    return seen


def test_in_the_warm_up_they_are_the_actions():
    actions = np.array([[0.5, -1.0]], np.float32)
    assert np.array_equal(impulses(None, actions, is_warm_up=True), actions)


def test_the_policy_and_the_draws_give_the_actions_of_sac():
    model = SAC("SparseMlpPolicy", "Pendulum-v1", learning_starts=0, gradient_steps=0, seed=0)
    for observations, actions, drawn in collected(model):
        mean, log_std, _ = model.actor.get_action_dist_params(th.as_tensor(observations))
        expected = th.tanh(mean + log_std.exp() * th.as_tensor(drawn)).detach().numpy()
        np.testing.assert_allclose(actions, expected, atol=1e-5)


def test_td3s_are_its_exploration_noise_before_the_bounds_cut_it_off():
    noise = NormalActionNoise(np.zeros(1), np.full(1, 1.0))
    model = TD3("SparseMlpPolicy", "Pendulum-v1", learning_starts=0, gradient_steps=0, seed=0, action_noise=noise)
    seen = collected(model, 40)
    for observations, actions, drawn in seen:
        meant = model.actor(th.as_tensor(observations)).detach().numpy()
        np.testing.assert_allclose(np.clip(meant + drawn, -1, 1), actions, atol=1e-6)
    assert max(np.abs(drawn).max() for *_, drawn in seen) > 1.5


@pytest.mark.parametrize("n_envs", [1, 2])
def test_the_models_own_noise_is_what_is_saved_and_what_it_has_afterwards(n_envs):
    noise = NormalActionNoise(np.zeros(1), np.full(1, 0.1))
    model = TD3("SparseMlpPolicy", make_vec_env("Pendulum-v1", n_envs), action_noise=noise)
    model._setup_learn(1)
    usual = model.action_noise
    remember_draws(model)
    assert isinstance(model.action_noise, RememberedNoise)
    assert type(copy.deepcopy(model.action_noise)) is type(usual)  # copies are made as pickles are
    assert model.action_noise.noises[0] is (noise if n_envs == 1 else usual.noises[0])
    forget_draws(model)
    assert model.action_noise is usual


@pytest.mark.parametrize("vectorize", [False, True])
def test_each_environment_has_exploration_noise_of_its_own(vectorize):
    noise = NormalActionNoise(np.zeros(1), np.full(1, 0.1))
    noise = VectorizedActionNoise(noise, 3) if vectorize else noise
    env = make_vec_env("Pendulum-v1", 3)
    model = TD3("SparseMlpPolicy", env, learning_starts=0, gradient_steps=0, seed=0, action_noise=noise)
    for observations, actions, drawn in collected(model, 6):
        meant = model.actor(th.as_tensor(observations)).detach().numpy()
        np.testing.assert_allclose(meant + drawn, actions, atol=1e-6)
        assert len(set(drawn[:, 0])) == 3


def test_without_exploration_noise_td3_has_none():
    model = TD3("SparseMlpPolicy", "Pendulum-v1", learning_starts=0, gradient_steps=0, seed=0)
    assert all((drawn == 0).all() for *_, drawn in collected(model))


def test_state_dependent_exploration_is_refused():
    model = SAC("SparseMlpPolicy", "Pendulum-v1", use_sde=True)
    with pytest.raises(ValueError, match="use_sde must be False"):
        remember_draws(model)


@pytest.mark.parametrize("noise", [None, NormalActionNoise(np.zeros(1), np.full(1, 0.1))])
@pytest.mark.parametrize("n_envs", [1, 2])
def test_a_policy_that_has_acted_since_is_an_error(n_envs, noise):
    model = SAC("SparseMlpPolicy", "Pendulum-v1", learning_starts=0, gradient_steps=0, action_noise=noise, seed=0)
    model.learn(1)
    remember_draws(model)
    model.learn(2, reset_num_timesteps=False)
    model.predict(np.zeros((n_envs, 3), np.float32))
    with pytest.raises(ValueError, match="before what lets its policy act"):
        impulses(model, np.zeros((1, 1), np.float32), is_warm_up=False)

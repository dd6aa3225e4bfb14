"""The random part of actions: it is what was drawn, and nothing else."""

import numpy as np
import pytest
import torch as th
from siftrl.agents import SAC, TD3
from siftrl.agents.impulses import impulses
from stable_baselines3.common.noise import NormalActionNoise


def collected(model, n_steps=3):
    """Actions and impulses of the first steps after the warm-up, and the observations they were drawn for."""
    from stable_baselines3.common.callbacks import BaseCallback

    seen = []

    class Look(BaseCallback):
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


def test_td3_leaves_its_exploration_noise_within_the_bounds():
    noise = NormalActionNoise(np.zeros(1), np.full(1, 0.1))
    model = TD3("SparseMlpPolicy", "Pendulum-v1", learning_starts=0, gradient_steps=0, seed=0, action_noise=noise)
    for observations, actions, drawn in collected(model, 20):
        meant = model.actor(th.as_tensor(observations)).detach().numpy()
        np.testing.assert_allclose(meant + drawn, actions, atol=1e-6)
        assert np.abs(drawn).max() < 0.6


def test_state_dependent_exploration_is_refused():
    model = SAC("SparseMlpPolicy", "Pendulum-v1", use_sde=True)
    with pytest.raises(ValueError, match="use_sde must be False"):
        impulses(model, np.zeros((1, 1), np.float32), is_warm_up=False)

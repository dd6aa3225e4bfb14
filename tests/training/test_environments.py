"""Environments of a run: seeds apart, orders shared, unusable tasks refused."""

import gymnasium as gym
import numpy as np
import pytest
from siftrl.training.environments import check_continuous, evaluation_seed, make_vec_env


def test_training_and_evaluation_start_differently_and_reproducibly():
    task = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5}
    starts = [make_vec_env(task, n_envs=2, seed=seed).reset() for seed in (0, 0, evaluation_seed(0))]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.isin(starts[2], starts[0]).any()
    assert not np.isin(starts[0][0], starts[0][1]).any()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("HalfCheeta-v5", "HalfCheetah-v5"),
        ("FrozenLake-v1", "cannot make the environment FrozenLake-v1: .*Box observation space, got Discrete"),
    ],
)
def test_unusable_tasks_are_named(task, message):
    with pytest.raises(ValueError, match=message):
        make_vec_env({"env_id": task, "noise_fraction": 0.5}, seed=0)


def test_discrete_actions_are_refused():
    env = make_vec_env({"env_id": "CartPole-v1", "noise_fraction": 0.5}, seed=0)
    with pytest.raises(ValueError, match=r"TD3 needs continuous actions \(a Box\), but .* CartPole-v1 are Discrete\(2\)"):
        check_continuous(env, "CartPole-v1", "td3")


def test_unbounded_actions_are_refused():
    env = make_vec_env({"env_id": "Pendulum-v1", "noise_fraction": 0.5}, seed=0)
    env.action_space = gym.spaces.Box(-np.inf, np.inf, (1,))
    with pytest.raises(ValueError, match="SAC needs bounded actions"):
        check_continuous(env, "Pendulum-v1", "sac")

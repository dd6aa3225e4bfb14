"""Environment states: an environment that takes one over does to the bit what the one it is of does."""

import gymnasium as gym
import numpy as np
import pytest
from siftrl.envs import NoiseFeatures
from siftrl.training.environment_state import environment_state, set_environment_state
from siftrl.training.environments import make_vec_env

pytestmark = pytest.mark.usefixtures("short_tables")

TASKS = ["Humanoid-v5", "Ant-v5", "HalfCheetah-v5", "Reacher-v5", "Pendulum-v1", "MountainCarContinuous-v0"]


def make(task, seed, **kwargs):
    arguments = {"env_id": task, "noise_fraction": 0.5, "permute_every": 13, "max_episode_steps": 60, **kwargs}
    return make_vec_env(arguments, seed=seed).envs[0]


def wander(env, steps):
    for _ in range(steps):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    return env


def assert_equal_steps(env, other, steps):
    """Several episodes: resets draw from the task's generator, and so does the noise from its own."""
    for _ in range(steps):
        action = env.action_space.sample()
        (observation, *outcome, info), (its_observation, *its_outcome, its_info) = env.step(action), other.step(action)
        np.testing.assert_array_equal(observation, its_observation)
        assert outcome == its_outcome
        assert info["permutation"] == its_info["permutation"]
        if outcome[1] or outcome[2]:
            assert {**info["episode"], "t": 0} == {**its_info["episode"], "t": 0}
            np.testing.assert_array_equal(env.reset()[0], other.reset()[0])


@pytest.mark.parametrize("task", TASKS)
def test_a_copy_steps_to_the_bit_as_the_original(task):
    env, other = make(task, seed=0), make(task, seed=5)
    env.action_space.seed(1)
    env.reset(seed=0)
    wander(env, 37)
    set_environment_state(other, environment_state(env))
    assert_equal_steps(env, other, 150)


@pytest.mark.parametrize("kind", ["autoregressive", "brownian", "shadow", "copies"])
def test_noise_of_every_kind_goes_on_where_it_was(kind):
    env, other = (make("Pendulum-v1", seed, noise_distribution=kind) for seed in (0, 5))
    env.action_space.seed(1)
    env.reset(seed=0)
    wander(env, 37)
    set_environment_state(other, environment_state(env))
    assert_equal_steps(env, other, 70)


def test_every_field_of_mujoco_comes_back():
    env, other = make("Humanoid-v5", seed=0), make("Humanoid-v5", seed=5)
    env.reset(seed=0)
    wander(env, 5)
    data, copy = env.unwrapped.data, other.unwrapped.data
    while not data.ncon:  # contacts lie in memory that is handed out anew in each step
        wander(env, 1)
    set_environment_state(other, environment_state(env))
    fields = [name for name in dir(data) if not name.startswith("_") and name != "signature"]
    fields = [name for name in fields if isinstance(getattr(data, name), np.ndarray | int | float)]
    assert len(fields) > 150
    for name in fields:
        np.testing.assert_array_equal(getattr(copy, name), getattr(data, name), err_msg=name)
    for name in ("pos", "frame", "dist"):
        np.testing.assert_array_equal(getattr(copy.contact, name), getattr(data.contact, name))


def test_the_state_is_a_copy_that_later_steps_leave_alone():
    env = make("Pendulum-v1", seed=0)
    env.reset(seed=0)
    state = environment_state(env)
    before = repr(state)
    wander(env, 3)
    assert repr(state) == before


def test_the_monitor_goes_on_counting_time():
    env, other = make("Pendulum-v1", seed=0), make("Pendulum-v1", seed=0)
    env.reset(seed=0)
    env.t_start -= 1000
    set_environment_state(other, environment_state(env))
    assert other.t_start <= env.t_start + 100


class Drift(gym.Env):
    """A task of nobody's, whose state could be anywhere."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-1, 1, (1,))


def test_foreign_tasks_and_wrappers_have_no_state_to_take():
    assert environment_state(NoiseFeatures(Drift(), 0.5)) is None
    clipped = gym.wrappers.ClipAction(gym.make("Pendulum-v1"))
    assert environment_state(clipped) is None
    assert environment_state(clipped.env) is not None

"""The wrapper: what it corrupts and what it leaves, its draws, and its state."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from siftrl.agents.replay_choice import noise_replay_kwargs
from siftrl.envs import CORRUPTIONS, CorruptFeatures, NoiseFeatures, PermuteFeatures, make_ene
from siftrl.training.environment_state import environment_state, set_environment_state
from siftrl.training.environments import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv


def play(env, steps, seed=None):
    """Observations, rewards and infos of random steps, with resets as needed."""
    observation, info = env.reset(seed=seed)
    yield observation, 0.0, info
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        yield observation, reward, info
        if terminated or truncated:
            observation, info = env.reset()
            yield observation, 0.0, info


def seen(env, steps, seed=None, action_seed=0):
    env.action_space.seed(action_seed)
    return np.array([observation for observation, *_ in play(env, steps, seed)])


def pendulum(**kwargs):
    return make_ene("Pendulum-v1", 0.5, max_episode_steps=40, **kwargs)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_nothing_but_what_is_seen_changes(name):
    plain, corrupt = pendulum(), CorruptFeatures(pendulum(), name, severity=5)
    plain.action_space.seed(0), corrupt.action_space.seed(0)
    different = False
    for (clean, reward, info), (observation, its_reward, its_info) in zip(
        play(plain, 90, 1), play(corrupt, 90, 1), strict=True
    ):
        assert reward == its_reward
        np.testing.assert_array_equal(info["noise_key"], its_info["noise_key"])
        assert observation.dtype == clean.dtype
        different |= (observation != clean).any()
    assert different


@pytest.mark.parametrize("name", ["gaussian", "delay", "swap"])
def test_gymnasium_finds_no_fault(name):
    env = CorruptFeatures(pendulum(), name)
    check_env(env, skip_render_check=True)
    assert np.isinf(env.observation_space.high).all()
    again = gym.make(env.spec)
    np.testing.assert_array_equal(seen(env, 30, seed=3), seen(again, 30, seed=3))


def test_draws_come_from_the_seed_and_differ_between_episodes():
    def errors(seed, **kwargs):
        clean = pendulum(noise_seed=0)
        corrupt = CorruptFeatures(pendulum(noise_seed=0), "bias", mean=np.zeros(6), std=np.ones(6), **kwargs)
        return (seen(corrupt, 80, seed) - seen(clean, 80, seed))[[0, 41]].round(5)

    np.testing.assert_array_equal(errors(1), errors(1))
    assert (errors(1) != errors(2)).any()
    np.testing.assert_array_equal(errors(1, corruption_seed=7), errors(2, corruption_seed=7))
    first, second = errors(3)
    assert (first != second).any()


def test_nested_corruptions_draw_apart():
    env = pendulum()
    for _ in range(2):
        env = CorruptFeatures(env, "bias", level=1, mean=np.zeros(6), std=np.ones(6))
    errors = {tuple((env.reset(seed=seed)[0] - pendulum().reset(seed=seed)[0]).round(4)) for seed in range(10)}
    assert any(0 in error for error in errors)  # their signs differ somewhere
    assert len(errors) > 5


def test_real_features_or_noise_alone_wherever_they_stand():
    for which in ("real", "noise"):
        kwargs = {"permute_every": 15, "permutation_seed": 3}
        plain = pendulum(**kwargs)
        corrupt = CorruptFeatures(pendulum(**kwargs), "bias", features=which, mean=np.zeros(6), std=np.ones(6))
        plain.action_space.seed(0), corrupt.action_space.seed(0)
        orders = set()
        for (clean, *_), (observation, _, info) in zip(play(plain, 100, 1), play(corrupt, 100, 1), strict=True):
            is_real = np.isin(np.arange(6), corrupt.get_wrapper_attr("relevant_features"))
            np.testing.assert_array_equal(observation != clean, is_real if which == "real" else ~is_real)
            orders.add(info["permutation"])
        assert len(orders) > 2


def test_running_moments_are_those_of_what_was_observed_in_this_order():
    env = CorruptFeatures(pendulum(), "gaussian")
    clean = seen(pendulum(), 100, seed=0)
    seen(env, 100, seed=0)
    moments = env.get_wrapper_state()["moments"]
    np.testing.assert_allclose(moments["mean"], clean.mean(0), rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(moments["squares"] / moments["count"]), clean.std(0), rtol=1e-6)
    moved = CorruptFeatures(pendulum(permute_every=40), "gaussian")
    seen(moved, 60, seed=0)
    assert moved.get_wrapper_state()["moments"]["count"] == 20 + 1


def test_it_stands_below_a_permutation_too():
    env = PermuteFeatures(CorruptFeatures(pendulum(), "swap", features="real", level=1.0))
    assert sorted(env.relevant_features) == sorted(env.permutations.positions(0)[:3])
    seen(env, 5, seed=0)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_copy_of_its_state_goes_on_to_the_bit(name):
    def make(seed):
        wrap = lambda env: CorruptFeatures(env, name, features="real")  # noqa: E731
        kwargs = {"env_id": "Pendulum-v1", "noise_fraction": 0.5, "permute_every": 30, "max_episode_steps": 25}
        return make_vec_env(kwargs, seed=seed, wrap=wrap).envs[0]

    env, other = make(0), make(5)
    seen(env, 63, seed=0)
    state = environment_state(env)
    own_before = repr(state["wrappers"][1])
    set_environment_state(other, state)
    for _ in range(60):
        action = env.action_space.sample()
        (observation, *outcome, _), (its_observation, *its_outcome, _) = env.step(action), other.step(action)
        np.testing.assert_array_equal(observation, its_observation)
        assert outcome == its_outcome
        if outcome[1] or outcome[2]:
            np.testing.assert_array_equal(env.reset()[0], other.reset()[0])
    assert repr(state["wrappers"][1]) == own_before


def corrupted(*features, distribution="normal"):
    env = make_ene("Pendulum-v1", 0.5, noise_distribution=distribution)
    for which in features:
        env = CorruptFeatures(env, "bias", features=which)
    return env


@pytest.mark.parametrize(
    ("make", "is_as_it_comes"),
    [
        (lambda: corrupted("real"), True),
        (lambda: corrupted("all"), False),
        (lambda: corrupted("noise"), False),
        (lambda: corrupted("noise", "real"), False),
        (lambda: corrupted("real", "real"), True),
        (lambda: corrupted("real", distribution="copies"), False),
        (lambda: NoiseFeatures(CorruptFeatures(gym.make("Pendulum-v1"), "bias"), 0.5), True),
    ],
)
def test_a_replay_regenerates_noise_only_where_it_is_seen_as_it_comes(make, is_as_it_comes):
    assert (noise_replay_kwargs(DummyVecEnv([make])) is not None) is is_as_it_comes


def test_a_replay_stores_noise_where_one_of_the_environments_corrupts_it():
    assert noise_replay_kwargs(DummyVecEnv([lambda: corrupted(), lambda: corrupted("all")])) is None


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_whole_numbers_become_floats(dtype):
    class Counting(gym.Env):
        observation_space = gym.spaces.Box(0, 10, (4,), dtype)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.full(4, 5, dtype), {}

    env = CorruptFeatures(Counting(), "bias", level=0.25, mean=np.full(4, 5.0), std=np.ones(4))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    np.testing.assert_allclose(np.abs(observation - 5), 0.25)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"corruption": "gausian"}, "Did you mean gaussian?"),
        ({"corruption": "gaussian", "severity": 0}, "severity must be a whole number from 1 to 5, not 0"),
        ({"corruption": "dropout", "level": 1.5}, r"level of dropout must be a number from 0 to 1 \(probability\), not 1.5"),
        ({"corruption": "delay", "level": 1.5}, r"level of delay must be a whole number from 0 to 10000 \(steps\), not 1.5"),
        ({"corruption": "gaussian", "level": float("nan")}, "level of gaussian must be a number 0 or more"),
        ({"corruption": "gaussian", "features": "some"}, "features must be one of all, real, noise, not 'some'"),
        ({"corruption": "gaussian", "corruption_seed": -1}, "corruption_seed must not be negative, not -1"),
        ({"corruption": "gaussian", "mean": np.zeros(6)}, "or both None; std is None"),
        ({"corruption": "gaussian", "mean": np.zeros(6), "std": np.ones(5)}, r"std is of shape \(5,\)"),
        ({"corruption": "gaussian", "mean": np.zeros(6), "std": -np.ones(6)}, "std must not be negative"),
    ],
)
def test_bad_arguments_get_one_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CorruptFeatures(pendulum(), **kwargs)


def test_environments_that_do_not_fit_get_one_sentence():
    with pytest.raises(ValueError, match="features must be 'all' where an environment has no noise features, not 'real'"):
        CorruptFeatures(gym.make("Pendulum-v1"), "gaussian", features="real")
    with pytest.raises(TypeError, match="CorruptFeatures needs an environment with a Box observation space"):
        CorruptFeatures(gym.make("FrozenLake-v1"), "gaussian")


@pytest.mark.parametrize("env", [make_ene("Pendulum-v1", 0.0), PermuteFeatures(gym.make("Pendulum-v1"))])
def test_noise_that_is_not_there_cannot_be_corrupted(env):
    with pytest.raises(ValueError, match="features must be 'all' where an environment has no noise features, not 'noise'"):
        CorruptFeatures(env, "bias", features="noise")


def test_numbers_of_numpy_can_be_arguments():
    env = CorruptFeatures(pendulum(), "bias", np.int64(3), level=np.float32(0.5), corruption_seed=np.int64(3))
    assert env.spec.to_json()
    with pytest.raises(ValueError, match=r"severity must be a whole number from 1 to 5, not 3\.0"):
        CorruptFeatures(pendulum(), "bias", 3.0)


def test_a_task_may_have_a_depth_of_its_own():
    task = pendulum()
    task.unwrapped.depth = 2.5
    np.testing.assert_array_equal(
        seen(CorruptFeatures(task, "gaussian"), 5, seed=1), seen(CorruptFeatures(pendulum(), "gaussian"), 5, seed=1)
    )

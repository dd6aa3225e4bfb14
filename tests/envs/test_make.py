"""Building and registering: every id passes the checkers, and a spec rebuilds what it describes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from siftrl.envs import make_ene, register_envs
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

IDS = sorted(env_id for env_id in gym.registry if env_id.startswith("siftrl/"))

# Both checkers advise on spaces and wrappers that are the tasks' own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("short_tables"),
]


def layers(env):
    while isinstance(env, gym.Wrapper):
        yield type(env).__name__
        env = env.env


def roll(env, steps=30, seed=11):
    env.action_space.seed(seed)
    observations = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        observations.append(observation)
        if terminated or truncated:
            observations.append(env.reset()[0])
    return np.array(observations)


def test_every_box_task_of_mujoco_is_registered():
    tasks = ["Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum", "InvertedPendulum"]
    tasks += ["Pusher", "Reacher", "Swimmer", "Walker2d"]
    assert sorted([f"siftrl/ENE-{task}-v5" for task in tasks] + ["siftrl/ENE-Ant-v4", "siftrl/ENE-Humanoid-v4"]) == IDS
    before = dict(gym.registry)
    register_envs()
    assert gym.registry == before


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_passes_both_checkers(env_id):
    env = gym.make(env_id, noise_fraction=0.8, permute=True)
    check_env(env, skip_render_check=True)
    check_env_sb3(gym.make(env_id, noise_fraction=0.8, permute_every=1_000))


@pytest.mark.parametrize("env_id", ["siftrl/ENE-HalfCheetah-v5", "siftrl/ENE-Humanoid-v4", "siftrl/ENE-Hopper-v5"])
def test_a_registered_id_is_the_task_made_by_hand(env_id):
    task = env_id.removeprefix("siftrl/ENE-")
    registered = gym.make(env_id, noise_fraction=0.9, permute=True, permutation_seed=2)
    by_hand = make_ene(task, noise_fraction=0.9, permute=True, permutation_seed=2)
    assert registered.observation_space == by_hand.observation_space
    np.testing.assert_array_equal(roll(registered), roll(by_hand))
    for env in (registered, by_hand):
        assert list(layers(env)).count("TimeLimit") == 1
        assert env.spec.max_episode_steps == gym.spec(task).max_episode_steps
        assert env.spec.reward_threshold == gym.spec(task).reward_threshold


@pytest.mark.parametrize(
    "kwargs",
    [
        {"noise_fraction": 0.99},
        {"noise_fraction": 0.9, "permute": True, "permutation_seed": 3, "noise_std": 4.0},
        {"noise_fraction": 0.5, "permute_every": 10, "noise_distribution": "uniform", "live_noise": 3},
        {"noise_fraction": 0.9, "noise_distribution": "imitate", "noise_seed": 5, "max_episode_steps": 20},
        {"noise_fraction": 0.9, "noise_distribution": "autoregressive", "noise_correlation": np.float64(0.5)},
        {"noise_fraction": np.float64(0.8), "noise_std": np.float32(2), "permute_every": np.int64(100)},
    ],
)
@pytest.mark.parametrize("env_id", ["siftrl/ENE-InvertedPendulum-v5", "InvertedPendulum-v5", "Pendulum-v1"])
def test_a_spec_rebuilds_its_environment_through_json(env_id, kwargs):
    if env_id.startswith("siftrl/"):
        kwargs = {name: getattr(value, "item", lambda value=value: value)() for name, value in kwargs.items()}
        env = gym.make(env_id, **kwargs)
    else:
        env = make_ene(env_id, **kwargs)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec
    assert again.observation_space == env.observation_space
    assert list(layers(again)) == list(layers(env)) or not env_id.startswith("siftrl/")
    assert sorted(layers(again)) == sorted(layers(env))
    np.testing.assert_array_equal(roll(again, 60), roll(env, 60))


def test_imitation_is_the_same_however_the_task_is_made():
    by_hand = make_ene("InvertedPendulum-v5", 0.9, noise_distribution="imitate")
    registered = gym.make("siftrl/ENE-InvertedPendulum-v5", noise_fraction=0.9, noise_distribution="imitate")
    np.testing.assert_array_equal(roll(by_hand), roll(registered))


@pytest.mark.parametrize("kind", ["brownian", "shadow", "copies"])
def test_a_spec_rebuilds_every_kind_of_noise(kind):
    env = make_ene("Pendulum-v1", 0.9, noise_distribution=kind, noise_std=4.0)
    np.testing.assert_array_equal(roll(gym.make(EnvSpec.from_json(env.spec.to_json()))), roll(env))


def test_rendering_passes_through():
    for env in (
        gym.make("siftrl/ENE-Hopper-v5", render_mode="rgb_array"),
        make_ene("CartPole-v1", render_mode="rgb_array"),
    ):
        assert env.render_mode == env.unwrapped.render_mode == "rgb_array"
        assert env.metadata["render_fps"] > 0


@pytest.mark.parametrize("vec_env_cls", [None, SubprocVecEnv])
def test_a_vector_shares_its_order_and_not_its_noise(vec_env_cls):
    vec = make_vec_env(
        "siftrl:siftrl/ENE-InvertedPendulum-v5",  # worker processes import what stands before the colon
        n_envs=4,
        seed=0,
        vec_env_cls=vec_env_cls,
        env_kwargs={"noise_fraction": 0.9, "permute_every": 50, "permutation_seed": 9},
    )
    vec.reset()
    assert len({info["noise_key"][0] for info in vec.reset_infos}) == 4
    assert len(set(vec.get_attr("permutations"))) == 1
    assert len(set(vec.get_attr("noise_source"))) == 1
    vec.env_method("set_permutation", 3)
    vec.reset()
    order = vec.get_attr("permutations")[0].order(3)
    assert vec.get_attr("permutation") == [3] * 4
    assert all(info["permutation"] == 3 for info in vec.reset_infos)
    for features in vec.get_attr("relevant_features"):
        np.testing.assert_array_equal(order[features], np.arange(4))
    assert {info["permutation"] for info in vec.step(np.zeros((4, 1)))[3]} == {3}
    vec.close()


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (["HalfCheeta-v5"], {}, r"env_id must be .*, not 'HalfCheeta-v5'\. Did you mean HalfCheetah-v5\?"),
        (["HalfCheetah-v3"], {}, r"not 'HalfCheetah-v3'\. Did you mean HalfCheetah-v5\?"),
        (["HalfCheetah-v9"], {}, r"not 'HalfCheetah-v9'\. Did you mean HalfCheetah-v5\?"),
        (["no/such env!"], {}, r"env_id must be .*, not 'no/such env!'\. gymnasium\.pprint_registry\(\) lists them"),
        (["nomodule:Pendulum-v1"], {}, r"No module named 'nomodule'.* Did you mean Pendulum-v1\?"),
        (["Pendulum-v1", 1.0], {}, "noise_fraction .* got 1.0"),
        (["Pendulum-v1"], {"permute": True, "permute_every": 5}, "permute=True .* excludes permute_every=5"),
        (["siftrl/ENE-Hopper-v5"], {}, "env must not have noise features yet"),
    ],
)
def test_bad_arguments_get_one_sentence(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_ene(*args, **kwargs)


def test_discrete_observations_are_refused():
    with pytest.raises(TypeError, match="Box observation space, got Discrete"):
        make_ene("FrozenLake-v1")

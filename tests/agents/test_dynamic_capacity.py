"""Dynamic capacity: which transitions are looked at, when they are too far from the policy, and which ones go."""

import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SAC, TD3
from siftrl.agents.dynamic_capacity import DynamicCapacity
from siftrl.agents.replay_rows import n_filled
from siftrl.envs import make_ene
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger

AGENTS = {"SAC": SAC, "TD3": TD3, "SB3's SAC": sb3.SAC, "SB3's TD3": sb3.TD3}
every_agent = pytest.mark.parametrize("algorithm", AGENTS.values(), ids=AGENTS)


def agent(algorithm=SAC, env="Pendulum-v1", buffer_size=20, batch_size=2, **kwargs):
    kwargs = {"policy_kwargs": {"net_arch": [8]}, "seed": 0, "device": "cpu", **kwargs}
    return algorithm("MlpPolicy", env, buffer_size=buffer_size, batch_size=batch_size, **kwargs)


def fill(model, offsets):
    """Store a transition for each offset: its action lies that far from the policy's own, its reward is its number."""
    rng = np.random.default_rng(0)
    for number, offset in enumerate(offsets):
        observation = rng.normal(size=(1, 3)).astype(np.float32)
        with torch.no_grad():
            own = model.policy._predict(torch.as_tensor(observation), deterministic=True).numpy()
        model.replay_buffer.add(observation, observation, own + offset, np.array([number]), np.array([False]), [{}])


def due(model, **kwargs):
    """The callback of ``model`` at a step where a comparison is due."""
    callback = DynamicCapacity(**{"period_steps": 10, "min_size": 0, "n_batches": 2, **kwargs})
    model.set_logger(Logger(None, []))
    callback.init_callback(model)
    model.num_timesteps = 30
    return callback


def kept(model):
    """Numbers of the transitions that are left, the oldest first."""
    buffer = model.replay_buffer
    assert not buffer.full
    return buffer.rewards[: n_filled(buffer), 0].astype(int).tolist()


@every_agent
@pytest.mark.parametrize("before", [0, 3, 20, 33], ids=["", "overwritten", "overwritten once", "overwritten again"])
def test_the_distance_is_that_of_the_oldest_transitions(algorithm, before):
    model = agent(algorithm)
    fill(model, [9.0] * before + [1.0, -2.0, 0.5, 0.5] + [0.0] * 16)
    assert due(model).policy_distance() == pytest.approx(0.5 * (1 + 4 + 0.25 + 0.25) / 4)


def test_fewer_transitions_than_asked_for_are_all_looked_at():
    model = agent()
    fill(model, [1.0, 2.0, 3.0])
    assert due(model).policy_distance() == pytest.approx(0.5 * 14 / 3)


@pytest.mark.parametrize("n_envs", [1, 3])
def test_observations_are_as_the_policy_saw_them(n_envs):
    env = make_vec_env(
        make_ene, n_envs, seed=0, env_kwargs={"env_id": "Pendulum-v1", "noise_fraction": 0.9, "permute_every": 150}
    )
    model = agent(env=env, buffer_size=600, learning_starts=0)
    model.train = lambda *args, **kwargs: None
    model.policy._predict = lambda observations, deterministic: own(observations, deterministic=True)  # acts without noise
    own = model.policy.actor
    assert set(model.learn(600).replay_buffer.orders.flat) == ({0, 1, 2} if n_envs == 1 else {0})
    callback = due(model, n_batches=300)
    assert callback.policy_distance() < 1e-12
    model.replay_buffer.actions[-1] += 2
    assert callback.policy_distance() == pytest.approx(2 * n_envs / 600, rel=0.2 if n_envs > 1 else 1e-3)


def test_looking_draws_nothing_that_training_would_have_drawn():
    env = make_vec_env(make_ene, 2, seed=0, env_kwargs={"env_id": "Pendulum-v1", "noise_fraction": 0.9})
    model = agent(env=env, buffer_size=100, learning_starts=1_000, replay_buffer_kwargs={"replay_noise": "fresh"})
    callback = due(model.learn(40))

    def drawn():
        return np.random.get_state()[1:3], model.replay_buffer._rng.bit_generator.state

    before = repr(drawn())
    callback.policy_distance()
    assert repr(drawn()) == before


@pytest.mark.parametrize(("seen", "first"), [(20, 0), (17, 0), (33, 13)], ids=["just full", "not full", "overwritten"])
def test_exactly_the_oldest_tenth_goes(seen, first):
    model = agent()
    fill(model, [1.0] * seen)
    due(model).on_step()
    n_gone = (seen - first) // 10
    assert kept(model) == list(range(first + n_gone, seen))
    due(model, fraction=0.5).on_step()
    assert kept(model) == list(range(seen - (seen - first - n_gone + 1) // 2, seen))


@pytest.mark.parametrize(
    ("options", "n_left"),
    [
        ({"threshold": 0.499}, 18),
        ({"threshold": 0.501}, 20),
        ({"min_size": 19}, 18),
        ({"min_size": 20}, 20),
        ({"fraction": 0.04}, 20),
    ],
)
def test_it_goes_only_above_threshold_and_size(options, n_left):
    model = agent()
    fill(model, [1.0] * 4 + [0.0] * 16)
    callback = due(model, **options)
    callback.on_step()
    assert n_filled(model.replay_buffer) == n_left
    logged = callback.logger.name_to_value
    assert (logged["replay/size"], logged["replay/policy_distance"]) == (n_left, pytest.approx(0.5))


def test_transitions_near_the_policy_stay_however_far_the_newer_ones_are():
    model = agent()
    fill(model, [0.0] * 4 + [5.0] * 16)
    due(model).on_step()
    assert n_filled(model.replay_buffer) == 20


@pytest.mark.parametrize(("n_envs", "expected"), [(1, [10, 20, 30, 40]), (3, [12, 21, 30, 42]), (14, [14, 28, 42])])
def test_it_looks_once_a_period(n_envs, expected, monkeypatch):
    model = agent(env=make_vec_env("Pendulum-v1", n_envs), buffer_size=20 * n_envs)
    seen = []
    monkeypatch.setattr(DynamicCapacity, "policy_distance", lambda self: seen.append(self.num_timesteps) or 0.0)
    model.learn(42, callback=DynamicCapacity(period_steps=10))
    # With many environments the first steps are not stored yet when the first period ends.
    assert seen == expected[n_envs > 10 :]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period_steps": 0}, "period_steps=0 must be at least 1 environment step"),
        ({"threshold": -0.1}, "threshold=-0.1 must be 0 or more"),
        ({"threshold": float("nan")}, "threshold=nan must be 0 or more"),
        ({"fraction": 1.0}, "fraction=1.0 must be between 0 and 1"),
        ({"fraction": 0.0}, "fraction=0.0 must be between 0 and 1"),
        ({"min_size": -1}, "min_size=-1 must be 0 or more transitions"),
        ({"n_batches": 0}, "n_batches=0 must be at least 1"),
    ],
)
def test_bad_arguments_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        DynamicCapacity(**options)


def test_a_buffer_that_cannot_forget_is_refused_before_training():
    timeouts = {"handle_timeout_termination": False}
    model = agent(sb3.SAC, optimize_memory_usage=True, replay_buffer_kwargs=timeouts)
    with pytest.raises(ValueError, match="to be looked into, got a ReplayBuffer with optimize_memory_usage=True"):
        model.learn(1, callback=DynamicCapacity())

"""Recordings: what a task shows, the same each time, and nothing of it in a pickle."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from siftrl.envs.recording import Recording, play, spec_json, watch


def test_all_observations_are_recorded_as_they_come():
    env = gym.make("InvertedPendulum-v5")
    env.action_space.seed(3)
    expected = [env.reset(seed=3)[0]]
    while len(expected) < 100:
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        expected += [observation, env.reset()[0]] if terminated or truncated else [observation]
    np.testing.assert_array_equal(watch("InvertedPendulum-v5", 100, seed=3), np.array(expected[:100], np.float32))


def test_a_policy_acts_on_what_is_observed():
    seen = []

    def policy(observation):
        seen.append(observation)
        return np.ones(1)

    recorded = watch("Pendulum-v1", 250, policy)
    assert len(seen) in (247, 248), "no action at the end of an episode, nor for the last observation"
    np.testing.assert_array_equal(np.array(seen[:200], np.float32), recorded[:200])


def test_episodes_begin_where_the_task_says():
    played = play(spec_json("Pendulum-v1"), seed=0)
    firsts = [is_first for _, is_first in (next(played) for _ in range(403))]
    assert np.flatnonzero(firsts).tolist() == [0, 201, 402]


def test_the_copy_has_the_tasks_arguments_and_its_time_limit():
    env = gym.make("Pendulum-v1", g=3.0, render_mode="rgb_array", max_episode_steps=7)
    assert '"g": 3.0' in spec_json(env.spec)
    assert "render_mode" not in gym.envs.registration.EnvSpec.from_json(spec_json(env.spec)).kwargs
    played = play(spec_json(env.spec), seed=0)
    assert [is_first for _, is_first in (next(played) for _ in range(9))].index(True, 1) == 8


def test_a_recording_is_made_once_and_travels_without_its_observations():
    recording = Recording.record("Pendulum-v1")
    assert recording.observations.shape == (20_000, 3)
    assert recording.observations is Recording.record(gym.spec("Pendulum-v1")).observations
    assert not recording.observations.flags.writeable
    twin = pickle.loads(pickle.dumps(recording))
    assert twin == recording
    assert twin.observations is recording.observations
    assert len(pickle.dumps(recording)) < 2_000


def test_random_actions_are_not_those_of_an_agent_with_an_ordinary_seed():
    """An agent that explores would otherwise see its own future in the noise."""
    recorded = Recording.record("Pendulum-v1").observations[:200]
    assert not any((watch("Pendulum-v1", 200, seed=seed)[0] == recorded[0]).all() for seed in range(20))


def test_files_are_read_and_bad_ones_get_one_sentence(tmp_path):
    file = tmp_path / "recording.npz"
    np.savez(file, observations=np.arange(6.0).reshape(3, 2))
    assert Recording.load(file).observations.tolist() == [[0, 1], [2, 3], [4, 5]]
    for number, (arrays, message) in enumerate(
        [
            ({"other": np.ones((3, 2))}, "recording must be an .npz file with an array 'observations', got"),
            ({"observations": np.array([["a"]])}, "recording must be an .npz file"),
            ({"observations": np.ones(3)}, r"must hold finite observations of shape \(steps, features\), got \(3,\)"),
            ({"observations": np.ones((0, 3))}, "must hold finite observations"),
            ({"observations": np.full((3, 2), np.nan)}, "must hold finite observations"),
        ]
    ):
        bad = tmp_path / f"{number}.npz"
        np.savez(bad, **arrays)
        with pytest.raises(ValueError, match=message):
            _ = Recording.load(bad).observations
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match=r"recording must be an \.npz file"):
        _ = Recording.load(tmp_path / "broken.npz").observations

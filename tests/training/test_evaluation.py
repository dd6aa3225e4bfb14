"""Periodic evaluation: on the count of environment steps, reproducible, recorded in SB3's format."""

import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.training.environments import make_vec_env
from siftrl.training.evaluation import PeriodicEvaluation, evaluate
from siftrl.training.stopping import StopRequest

TASK = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5}


def make_model(n_envs):
    env = make_vec_env(TASK, n_envs=n_envs, seed=0)
    return sb3.SAC("MlpPolicy", env, buffer_size=1000, learning_starts=10**6, policy_kwargs={"net_arch": [4]}, device="cpu")


def make_callback(tmp_path, **options):
    arguments = {
        "every": 10,
        "episodes": 2,
        "seed": 5,
        "folder": tmp_path,
        "save": lambda path: path.write_text("model"),
        "stop": StopRequest(),
        "announce": lambda line: None,
        **options,
    }
    return PeriodicEvaluation(make_vec_env(TASK, seed=5), **arguments)


@pytest.mark.parametrize("n_envs", [1, 3, 25])
def test_the_frequency_counts_steps_of_all_environments(n_envs, tmp_path):
    callback = make_callback(tmp_path)
    make_model(n_envs).learn(50, callback=callback)
    with np.load(tmp_path / "evaluations.npz") as evaluations:
        steps = evaluations["timesteps"]
        assert set(evaluations) == {"timesteps", "results", "ep_lengths"}
        assert evaluations["results"].shape == evaluations["ep_lengths"].shape == (len(steps), 2)
    expected = {1: [10, 20, 30, 40, 50], 3: [12, 21, 30, 42, 51], 25: [25, 50]}
    assert list(steps) == expected[n_envs]


def test_every_evaluation_plays_the_same_episodes(tmp_path):
    lines = []
    callback = make_callback(tmp_path, announce=lines.append)
    make_model(1).learn(20, callback=callback)
    (_, first), (_, second) = callback.history
    assert first == second  # nothing was learnt in between
    assert len(lines) == 2
    assert lines[0].strip().startswith("10 steps: return ")
    assert " ± " in lines[0]
    assert lines[0].endswith("(best so far)")
    assert not lines[1].endswith("(best so far)")
    assert (tmp_path / "best_model.zip").read_text() == "model"


def test_an_evaluation_depends_on_the_seed_alone():
    env = make_vec_env({"env_id": "Pendulum-v1", "noise_fraction": 0.5}, seed=0)
    model = sb3.SAC("MlpPolicy", env, buffer_size=10, device="cpu")
    played = evaluate(model, env, episodes=3, seed=9)
    env.reset()
    assert evaluate(model, env, episodes=3, seed=9) == played
    assert evaluate(model, env, episodes=3, seed=10) != played


def test_a_requested_stop_ends_an_evaluation_and_the_training(tmp_path):
    stop = StopRequest()
    stop.signal = 2
    callback = make_callback(tmp_path, stop=stop)
    assert make_model(1).learn(50, callback=callback).num_timesteps == 10
    assert callback.history == []

"""Periodic evaluation: on the count of environment steps, reproducible, recorded in SB3's format."""

import json

import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.reports.scores import final_return
from siftrl.training.environments import make_vec_env
from siftrl.training.evaluation import Episodes, PeriodicEvaluation, evaluate
from siftrl.training.run_state import AtTrainingStart
from siftrl.training.stopping import Stopped, StopRequest

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


def test_the_final_return_is_the_one_of_reports(tmp_path):
    callback = make_callback(tmp_path)
    returns = np.random.default_rng(0).normal(size=(40, 2))
    for number, pair in enumerate(returns, start=1):
        callback.history.append((number, Episodes(tuple(pair), (1, 1))))
        assert callback._final_return() == pytest.approx(final_return(returns[:number].mean(1)))


def test_whoever_observes_is_called_once_an_evaluation_is_played(tmp_path):
    stop, seen = StopRequest(), []
    model = make_model(1)
    callback = make_callback(tmp_path, stop=stop, observe=lambda: seen.append((model.num_timesteps, len(callback.history))))
    model.learn(20, callback=callback)
    assert seen == [(10, 0), (20, 1)]
    stop.signal = 2
    with pytest.raises(Stopped):
        model.learn(10, callback=callback, reset_num_timesteps=False)
    assert len(seen) == 2


def test_an_evaluation_depends_on_the_seed_alone():
    env = make_vec_env({"env_id": "Pendulum-v1", "noise_fraction": 0.5}, seed=0)
    model = sb3.SAC("MlpPolicy", env, buffer_size=10, device="cpu")
    played = evaluate(model, env, episodes=3, seed=9)
    env.reset()
    assert evaluate(model, env, episodes=3, seed=9) == played
    assert evaluate(model, env, episodes=3, seed=10) != played


def test_a_requested_stop_leaves_training_with_the_evaluation_still_due(tmp_path):
    stop = StopRequest()
    callback, model = make_callback(tmp_path, stop=stop), make_model(1)
    stop.signal = 2
    with pytest.raises(Stopped):
        model.learn(50, callback=callback)
    assert model.num_timesteps == model.replay_buffer.pos == 10  # the step itself is whole
    assert callback.history == []
    stop.signal, state = None, callback.get_state()
    later = make_callback(tmp_path, stop=stop)
    model.learn(10, callback=[later, AtTrainingStart(lambda: later.set_state(state))], reset_num_timesteps=False)
    assert [steps for steps, _ in later.history] == [10, 20]


def test_the_last_step_is_evaluated_although_none_follows(tmp_path):
    callback = make_callback(tmp_path)
    make_model(1).learn(10, callback=callback)
    assert [steps for steps, _ in callback.history] == [10]


def test_what_a_state_does_not_know_is_gone_from_the_file(tmp_path):
    callback = make_callback(tmp_path)
    states = [callback.get_state()]
    for _ in range(2):
        make_model(1).learn(10, callback=callback)
        states.append(callback.get_state())
    later = make_callback(tmp_path)
    later.set_state(json.loads(json.dumps(states[1])))
    with np.load(tmp_path / "evaluations.npz") as evaluations:
        assert list(evaluations["timesteps"]) == [10]
    later.set_state(states[0])
    assert not (tmp_path / "evaluations.npz").exists()


def test_evaluations_go_on_from_a_state(tmp_path):
    callback = make_callback(tmp_path)
    model = make_model(1).learn(20, callback=callback)
    later = make_callback(tmp_path, save=lambda path: pytest.fail("the best one is the first, saved already"))
    start = AtTrainingStart(lambda: later.set_state(json.loads(json.dumps(callback.get_state()))))
    model.learn(10, callback=[later, start], reset_num_timesteps=False)
    assert later.history[:2] == callback.history
    with np.load(tmp_path / "evaluations.npz") as evaluations:
        assert list(evaluations["timesteps"]) == [10, 20, 30]

"""The runs of a trial: so many at a time, retried when killed, never left behind."""

import dataclasses
import itertools
import signal

import numpy as np
import pytest
from siftrl.training.config import RunConfig
from siftrl.training.folder import EVALUATIONS
from siftrl.training.launch import hashed_folder
from siftrl.training.progress import checkpoint_path
from siftrl.training.stopping import Stopped, StopRequest
from siftrl.tuning.trial_runs import MachineFailed, RunFailed, TrialRuns, read_evaluations

CONFIG = RunConfig(env="Pendulum-v1", noise=0.5, recipe="dense", n_timesteps=1000, eval_freq=100)


def runs(folder, n=3, workers=1, stop=None):
    configs = [dataclasses.replace(CONFIG, seed=1000 + index) for index in range(n)]
    return TrialRuns(configs, folder, workers=workers, stop=stop or StopRequest())


def test_evaluations_come_in_order_and_all_of_them(tmp_path, fake_runs):
    with runs(tmp_path) as trial:
        for index in range(3):
            assert [steps for steps, _ in trial.evaluations(index)] == list(range(100, 1001, 100))


@pytest.mark.parametrize(("workers", "started"), [(1, 1), (2, 2), (5, 3)])
def test_no_more_runs_than_workers_at_a_time(tmp_path, fake_runs, workers, started):
    with runs(tmp_path, workers=workers) as trial:
        next(trial.evaluations(0))
        assert len(list(tmp_path.rglob("starts.txt"))) == started


def test_a_run_that_stands_twice_is_carried_out_once(tmp_path, fake_runs):
    with TrialRuns([CONFIG, CONFIG], tmp_path, workers=2, stop=StopRequest()) as trial:
        first, second = (list(trial.evaluations(index)) for index in range(2))
    assert first == second
    assert len(next(tmp_path.rglob("starts.txt")).read_text().split()) == 1


def test_finished_runs_are_not_started_again(tmp_path, fake_runs):
    for _ in range(2):
        with runs(tmp_path, n=1) as trial:
            assert len(list(trial.evaluations(0))) == 10
    assert len(next(tmp_path.rglob("starts.txt")).read_text().split()) == 1


def test_a_killed_run_goes_on_and_is_given_up_after_three_starts(tmp_path, fake_runs, monkeypatch):
    codes = [None, 137, None, 137]
    poll = fake_runs.poll
    monkeypatch.setattr(fake_runs, "poll", lambda self: codes.pop(0) if codes else poll(self))
    with runs(tmp_path / "a", n=1) as trial:
        assert len(list(trial.evaluations(0))) == 10
    assert len(next(tmp_path.rglob("starts.txt")).read_text().split()) == 3
    monkeypatch.setattr(fake_runs, "poll", lambda self: 137)
    with pytest.raises(RunFailed, match="error: it broke"), runs(tmp_path / "b", n=1) as trial:
        list(trial.evaluations(0))


@pytest.mark.parametrize(("code", "error"), [(1, MachineFailed), (2, RunFailed), (3, RunFailed)])
def test_what_would_end_so_again_is_not_started_again(tmp_path, fake_runs, monkeypatch, code, error):
    monkeypatch.setattr(fake_runs, "poll", lambda self: code)
    with pytest.raises(RunFailed, check=lambda raised: type(raised) is error), runs(tmp_path, n=1) as trial:
        list(trial.evaluations(0))
    assert len(next(tmp_path.rglob("starts.txt")).read_text().split()) == 1


def test_a_return_that_is_no_number_fails_the_run(tmp_path, fake_runs, monkeypatch):
    monkeypatch.setattr(fake_runs, "quality", lambda self: float("nan"))
    with pytest.raises(RunFailed, match=r"the return of .* is nan"), runs(tmp_path, n=1) as trial:
        list(trial.evaluations(0))


def test_a_stop_ends_the_runs_and_they_save(tmp_path, fake_runs, monkeypatch):
    told, stop = [], StopRequest()
    monkeypatch.setattr(fake_runs, "terminate", lambda self: told.append("save"))
    monkeypatch.setattr(fake_runs, "wait", lambda self: told.append("end"))
    with runs(tmp_path, workers=2, stop=stop) as trial:
        coming = trial.evaluations(0)
        next(coming)
        stop.signal = signal.SIGINT
        with pytest.raises(Stopped):
            next(coming)
    assert told == ["save", "save", "end", "end"]
    assert not fake_runs.killed


def test_abandoned_runs_are_killed_and_their_checkpoints_removed(tmp_path, fake_runs):
    with runs(tmp_path, workers=2) as trial:
        next(trial.evaluations(0))
        kept = trial.folders[0] / EVALUATIONS
        checkpoint_path(trial.folders[0], 100).touch()
        trial.abandon()
        assert set(fake_runs.killed) == set(trial.folders[:2])
        assert not list(tmp_path.rglob("checkpoint_*.zip"))
        assert kept.exists()


def test_evaluations_are_read_as_runs_write_them(tmp_path):
    assert read_evaluations(tmp_path) == []
    np.savez(tmp_path / EVALUATIONS, timesteps=[10, 20], results=[[1.0, 3.0], [5.0, 5.0]], ep_lengths=[[1, 1], [1, 1]])
    assert read_evaluations(tmp_path) == [(10, 2.0), (20, 5.0)]


def test_runs_have_the_folders_that_their_options_name(tmp_path, fake_runs):
    with runs(tmp_path, n=1) as trial:
        assert trial.folders == [hashed_folder(trial.configs[0], tmp_path)]


def test_a_run_that_ends_before_its_turn_makes_room(tmp_path, fake_runs, monkeypatch):
    poll, looks = fake_runs.poll, itertools.count()
    monkeypatch.setattr(fake_runs, "poll", lambda self: None if self.config.seed == 1000 else poll(self))
    stop = StopRequest()

    def sleep(seconds):
        if next(looks) == 60:
            stop.signal = signal.SIGINT

    monkeypatch.setattr("siftrl.tuning.trial_runs.time.sleep", sleep)
    with runs(tmp_path, n=4, workers=2, stop=stop) as trial, pytest.raises(Stopped):
        next(trial.evaluations(0))
    assert len(list(tmp_path.rglob("starts.txt"))) == 4

"""The driver: which runs it starts, what it does about failures, and how it stops; without Ray."""

import itertools
from pathlib import Path

import pytest
from siftrl.sweeps import driver
from siftrl.sweeps.driver import DONE, FAILED, RUNNING, WAITING, Sweep
from siftrl.sweeps.study import Part, Study
from siftrl.training.progress import write_steps


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(driver, "_PERIOD", 0)


def runs(n_seeds):
    part = Part("p", ("m",), {"seed": tuple(range(n_seeds))})
    return Study("x", {"n_timesteps": 100}, {"m": {"recipe": "dense"}}, (part,)).runs()


class Scripted:
    """A run that goes on for two looks, then ends with a code."""

    def __init__(self, code, reason=""):
        self.code, self.reason, self.looks, self.is_told_to_stop = code, reason, 0, False

    def poll(self):
        self.looks += 1
        if self.is_told_to_stop:
            return 143
        return self.code if self.looks > 2 else None

    def terminate(self):
        self.is_told_to_stop = True


class Launcher:
    """Starts scripted runs: by seed, the exit codes of one attempt after the other, the last one for all that follow."""

    def __init__(self, codes=None):
        self.codes, self.started, self.processes = codes or {}, [], []

    def __call__(self, config, folder):
        attempt = self.started.count(config.seed)
        codes = self.codes.get(config.seed, [0])
        self.started.append(config.seed)
        self.processes.append(Scripted(codes[min(attempt, len(codes) - 1)]))
        return self.processes[-1]


def sweep_of(n_seeds, launcher, tmp_path, slots=2, **options):
    return Sweep(runs(n_seeds), tmp_path, start=launcher, slots=lambda: slots, **options)


def seeds(jobs):
    return [job.run.config.seed for job in jobs]


def test_as_many_runs_as_there_is_room_for(tmp_path):
    launcher, most = Launcher(), []
    sweep = sweep_of(5, launcher, tmp_path)
    sweep.carry_out(lambda: False, lambda sweep: most.append(len(sweep.of(RUNNING))))
    assert launcher.started == [0, 1, 2, 3, 4]
    assert max(most) == 2
    assert len(sweep.of(DONE)) == 5


def test_room_that_comes_later_is_used_and_room_that_goes_is_not(tmp_path):
    room = itertools.chain([1, 3, 0, 0, 0, 0], itertools.repeat(1))
    launcher, counts = Launcher(), []
    sweep = Sweep(runs(4), tmp_path, start=launcher, slots=lambda: next(room))
    sweep.carry_out(lambda: False, lambda sweep: counts.append(len(launcher.started)))
    assert counts[:3] == [1, 3, 3]
    assert len(sweep.of(DONE)) == 4


def test_a_run_that_fails_is_gone_on_with(tmp_path):
    launcher = Launcher({1: [137, 1, 0]})
    sweep = sweep_of(3, launcher, tmp_path)
    sweep.carry_out(lambda: False, lambda sweep: None)
    assert launcher.started.count(1) == 3
    assert len(sweep.of(DONE)) == 3


def test_a_run_that_fails_too_often_is_given_up_and_the_others_go_on(tmp_path):
    launcher = Launcher({0: [1]})
    sweep = sweep_of(3, launcher, tmp_path, slots=1, retries=1)
    folder = sweep.jobs[0].folder
    folder.mkdir(parents=True)
    (folder / "output.txt").write_text("first\nthe last words")
    sweep.carry_out(lambda: False, lambda sweep: None)
    assert launcher.started.count(0) == 2
    assert (seeds(sweep.of(FAILED)), seeds(sweep.of(DONE))) == ([0], [1, 2])
    assert sweep.jobs[0].reason == "first\nthe last words"


def test_a_run_that_is_refused_is_not_tried_again(tmp_path):
    launcher = Launcher({0: [2]})
    sweep = sweep_of(2, launcher, tmp_path)
    sweep.carry_out(lambda: False, lambda sweep: None)
    assert sorted(launcher.started) == [0, 1]
    assert seeds(sweep.of(FAILED)) == [0]
    assert sweep.jobs[0].reason == "it ended with code 2 and printed nothing"


def test_all_save_when_the_sweep_stops_and_nothing_is_started_any_more(tmp_path):
    launcher = Launcher()
    sweep = sweep_of(5, launcher, tmp_path)
    asked = itertools.count()
    sweep.carry_out(lambda: next(asked) >= 1, lambda sweep: None)
    assert all(process.is_told_to_stop for process in launcher.processes)
    assert len(launcher.started) == 2
    assert seeds(sweep.of(WAITING)) == [0, 1, 2, 3, 4]


def test_steps_and_their_rate_are_read_from_the_folder(tmp_path, monkeypatch):
    clock = iter([100.0, 101.0, 103.0, 104.0, 106.0])
    monkeypatch.setattr(driver.time, "monotonic", lambda: next(clock))
    (job,) = sweep_of(1, Launcher(), tmp_path).jobs
    job.folder.mkdir(parents=True)
    job.state = RUNNING
    for steps, rate in [(10, 0.0), (50, 20.0), (30, 0.0), (40, 5.0)]:
        write_steps(job.folder, steps)
        job.measure()
        assert (job.steps, job.rate) == (steps, rate)


def test_one_run_under_two_names_is_carried_out_once(tmp_path):
    one = runs(1)[0]
    other = type(one)(("q",), "other", one.config, "other")
    assert len(Sweep([one, other], Path(tmp_path), start=Launcher(), slots=lambda: 1).jobs) == 1

"""Runs that take no time: one evaluation more whenever they are asked how they are, a function of their options."""

import contextlib
import os

import numpy as np
import pytest
from siftrl.training.folder import EVALUATIONS
from siftrl.training.stopping import StopRequest
from siftrl.tuning import trial_runs
from siftrl.tuning.options import SearchOptions
from siftrl.tuning.plan import make_plan
from siftrl.tuning.search import search

EVALUATIONS_OF_A_RUN = 10


class FakeRun:
    """Takes the place of RunProcess; what it has done stays in its folder."""

    killed = ()

    def __init__(self, config, folder, *, threads):
        self.config, self.folder = config, folder
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "starts.txt").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def quality(self):
        """The best is at a learning rate of 1e-3."""
        return -100 * abs(np.log10((self.config.learning_rate or 3e-4) / 1e-3)) - self.config.seed % 1000

    def poll(self):
        done = len(trial_runs.read_evaluations(self.folder)) + 1
        steps = self.config.eval_freq * np.arange(1, done + 1)
        part = self.folder / f"part{os.getpid()}"
        with part.open("wb") as file:
            np.savez(file, timesteps=steps, results=(self.quality() - 1000 / steps)[:, None])
        part.replace(self.folder / EVALUATIONS)
        return 0 if done >= EVALUATIONS_OF_A_RUN else None

    def wait(self):
        return 0

    def terminate(self):
        pass

    def kill(self):
        type(self).killed = (*type(self).killed, self.folder)

    def output(self, lines):
        return "error: it broke"


def is_finished(folder):
    return len(trial_runs.read_evaluations(folder)) >= EVALUATIONS_OF_A_RUN


@contextlib.contextmanager
def faked():
    class OfThisTest(FakeRun):
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_runs, "RunProcess", OfThisTest)
        patch.setattr(trial_runs, "is_finished", is_finished)
        patch.setattr(trial_runs, "_POLL_SECONDS", 0)
        # A kill loses nothing that was written; only a power cut does, and waiting for the disk takes most of the time.
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield OfThisTest


@pytest.fixture
def fake_runs():
    """Trials are carried out by fake runs, of this class."""
    with faked() as runs:
        yield runs


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """Plan and folder of a search that has come to its end, both only to be read."""
    plan = make_plan({"recipe": "set", "env": "Pendulum-v1", "n_timesteps": 1000, "width": 32}, SearchOptions(), {})
    folder = tmp_path_factory.mktemp("searches") / "done"
    with faked():
        search(plan, folder, 13, workers=1, stop=StopRequest(), announce=lambda line: None)
    return plan, folder

"""The live table: what it counts, what it expects, and what it shows without a terminal."""

import io
import math

import numpy as np
import pytest
from rich.console import Console
from siftrl.sweeps.driver import DONE, FAILED, RUNNING, Sweep
from siftrl.sweeps.study import Part, Study
from siftrl.sweeps.table import LiveTable, seconds_left, summary_line


@pytest.fixture
def sweep(tmp_path):
    part = Part("p", ("m",), {"seed": (0, 1, 2, 3)})
    runs = Study("x", {"n_timesteps": 1000, "env": "Pendulum-v1"}, {"m": {}}, (part,)).runs()
    sweep = Sweep(runs, tmp_path, start=None, slots=None)
    done, failed, running, _ = sweep.jobs
    done.state, failed.state, running.state = DONE, FAILED, RUNNING
    done.steps, failed.steps, running.steps, running.rate = 1000, 700, 400, 8.0
    return sweep


def test_the_time_left_counts_what_runs_and_what_waits(sweep):
    assert seconds_left(sweep) == (600 + 1000) / 8
    assert summary_line(sweep) == "1 done, 1 running, 1 failed, 1 waiting; time left: 0:03:20"


def test_without_a_speed_the_time_is_unknown(sweep):
    sweep.jobs[2].rate = 0.0
    assert math.isinf(seconds_left(sweep))
    assert summary_line(sweep).endswith("time left: unknown")


def show(sweep, times, **terminal):
    output = io.StringIO()
    with LiveTable(Console(file=output, width=120, **terminal)) as table:
        for _ in range(times):
            table.show(sweep)
    return output.getvalue()


def test_a_file_gets_a_line_now_and_then(sweep):
    assert show(sweep, 3) == summary_line(sweep) + "\n"


def test_a_terminal_gets_a_table_of_what_runs(sweep):
    folder = sweep.jobs[2].folder
    folder.mkdir(parents=True)
    np.savez(folder / "evaluations.npz", timesteps=[300], results=[[-1234.0]])
    output = show(sweep, 1, force_terminal=True)
    (line,) = {line.strip() for line in output.splitlines() if "m on Pendulum-v1, noise 0.9, seed 2" in line}
    assert line.split()[-4:] == ["400", "1,000", "8", "-1,234.0"]
    assert "seed 0" not in output


def test_labels_are_no_markup(tmp_path):
    part = Part("p", ("m[/v2]",), {"seed": (0,)})
    runs = Study("x", {"n_timesteps": 1000, "env": "Pendulum-v1"}, {"m[/v2]": {}}, (part,)).runs()
    sweep = Sweep(runs, tmp_path, start=None, slots=None)
    sweep.jobs[0].state = RUNNING
    assert "m[/v2] on Pendulum-v1" in show(sweep, 1, force_terminal=True)

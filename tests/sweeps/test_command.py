"""siftrl-sweep: a whole study through Ctrl-C and kills of driver, worker and run; and what bad input gets."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from siftrl.sweeps.command import main
from siftrl.sweeps.results import RESULTS, SUMMARY, write_results
from siftrl.sweeps.study import Study
from siftrl.training.folder import FolderLock
from siftrl.training.progress import checkpoint_steps, checkpoints, steps_done
from siftrl.training.run import prepare
from siftrl.training.sealed import SealedWriter
from siftrl.training.snapshot import write_snapshot

STUDY = """
name = "tiny"
[options]
env = "Pendulum-v1"
n_timesteps = 600
eval_freq = 300
eval_episodes = 1
save_freq = 50
learning_starts = 50
width = 64
buffer_size = 600
batch_size = 8
device = "cpu"
[methods.anf]
recipe = "anf"
[methods.dense]
recipe = "dense"
[[parts]]
name = "noise"
noise = [0.5, 0.8]
seed = 0
[[parts]]
name = "shared"
methods = ["anf"]
noise = 0.8
seed = [0, 1]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(STUDY)
    return path


class SweepProcess:
    """The command in a session of its own, as in a terminal of its own."""

    def __init__(self, path, folder):
        self.folder = folder
        others = {process.pid for process, _ in run_processes(folder)}
        command = [sys.executable, "-m", "siftrl.sweeps", str(path), "--folder", str(folder), "--workers", "2"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        # Runs of a killed driver are saving; those of this one are not there yet.
        wait_for(lambda: others.isdisjoint(process.pid for process, _ in run_processes(folder)))
        self.steps_before = {path: newest_steps(path) for path in folder.glob("*/*/*")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def wait(self):
        output, _ = self.process.communicate(timeout=300)
        return self.process.returncode, output

    def wait_for_training(self, but=()):
        """Processes of runs in the middle of their training, at least one, but those in the folders ``but``."""

        def found():
            # A new checkpoint is there, and others are to come. Folders are quick to look at, processes are not.
            steps = {path: newest_steps(path) for path in self.folder.glob("*/*/*") if path not in but}
            halfway = [path for path, n_steps in steps.items() if self.steps_before.get(path, 0) < n_steps < 400]
            return halfway and [pair for pair in run_processes(self.folder) if pair[1] in halfway]

        return wait_for(found, lambda: self.process.poll() is None)


def newest_steps(folder):
    """Environment steps behind the newest checkpoint; 0 where there is none."""
    return max(map(checkpoint_steps, checkpoints(folder)), default=0)


def run_processes(parent):
    """The processes of launched runs below ``parent``, with their folders."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "siftrl.training.launched" in words and words[-1].startswith(str(parent)):
            found.append((process, Path(words[-1])))
    return found


def wait_for(condition, is_alive=lambda: True, seconds=300):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert is_alive(), "the sweep has ended"
        assert time.monotonic() < end, "nothing has happened"
        time.sleep(0.05)
    return result


def run_alone(study, parent):
    """Carry out each run alone and undisturbed, in this process."""
    for run in study.runs():
        folder = run.folder(parent)
        folder.mkdir(parents=True)
        config = dataclasses.replace(run.config, threads=1, verbose=0, save_freq=0)
        prepare(config, lock=FolderLock(folder)).carry_out()
    write_results(study, study.runs(), parent)


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_study_survives_everything_and_finds_what_its_runs_find_alone(path, tmp_path):
    study = Study.from_file(path)
    alone, parent = tmp_path / "alone", tmp_path / "sweep" / "tiny"
    run_alone(study, alone)
    assert len(study.runs()) == 5
    # That of the second seed is finished already.
    (finished,) = (run.folder(parent) for run in study.runs() if run.config.seed == 1)
    shutil.copytree(alone / finished.relative_to(parent), finished)
    before = files(finished)

    # Ctrl-C reaches all that belong to the terminal; the runs save, and the command says how to go on.
    with SweepProcess(path, tmp_path / "sweep") as sweep:
        stopped = sweep.wait_for_training()
        os.killpg(sweep.process.pid, signal.SIGINT)
        code, output = sweep.wait()
    assert code == 128 + signal.SIGINT, output
    assert "Stopped; the same command goes on." in output
    assert "Traceback" not in output
    assert all(steps_done(folder) == newest_steps(folder) for _, folder in stopped)
    assert not run_processes(parent)

    # A killed driver: nobody waits for its runs any more, so they save and stop, and the study can be started again at once.
    with SweepProcess(path, tmp_path / "sweep") as sweep:
        sweep.wait_for_training()

    # A killed run, and a killed worker of Ray: both are gone on with.
    with SweepProcess(path, tmp_path / "sweep") as sweep:
        process, killed = sweep.wait_for_training()[0]
        process.kill()
        process, _ = sweep.wait_for_training(but=(killed,))[0]
        worker = process.parent()
        assert worker.cmdline()[0].startswith("ray::"), worker.cmdline()
        worker.kill()
        code, output = sweep.wait()
    assert code == 0, output
    assert "5 of 5 runs are finished." in output
    assert not run_processes(parent)
    assert files(finished) == before
    for name in (RESULTS, SUMMARY):
        assert (parent / name).read_bytes() == (alone / name).read_bytes()


def test_what_is_finished_is_listed_as_such_and_nothing_is_started(path, tmp_path, capsys):
    _, run = Study.from_file(path).runs(scale=0.5, methods=["anf"])
    end = run.folder(tmp_path / "tiny") / "checkpoint_300.zip"
    end.parent.mkdir(parents=True)
    with end.open("wb") as file, SealedWriter(file, num_timesteps=300) as archive:
        write_snapshot(archive, {"finished": True})
    argv = [str(path), "--folder", str(tmp_path), "--list", "--methods", "anf", "--scale", "0.5"]
    assert main(argv) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.partition(str(tmp_path))[0] for line in lines] == [
        "open  noise: anf on Pendulum-v1, noise 0.5, seed 0  ",
        "done  noise+shared: anf on Pendulum-v1, noise 0.8, seed 0  ",
    ]
    assert total == "2 runs, 1 of them finished; 600 environment steps, 300 of them in open runs"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [end]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (["--parts", "shared"], RESULTS),
        (["--methods", "anf", "--seeds", "1"], RESULTS),
        (["--scale", "0.5"], "results-0.5.csv"),
    ],
)
def test_a_part_of_a_study_leaves_the_rows_of_the_rest(path, tmp_path, monkeypatch, choice, name):
    study, parent = Study.from_file(path), tmp_path / "tiny"
    for run in study.runs():
        run.folder(parent).mkdir(parents=True)
        np.savez(run.folder(parent) / "evaluations.npz", timesteps=[300], results=[[1.0]])
    monkeypatch.setattr(
        "siftrl.sweeps.cluster.connect", lambda *_: nullcontext(SimpleNamespace(start=None, slots=lambda: 0))
    )
    monkeypatch.setattr("siftrl.sweeps.driver.Sweep.carry_out", lambda *_: None)
    write_results(study, study.runs(), parent)
    before = (parent / RESULTS).read_bytes()
    assert before.count(b"\n") == 1 + 5 + 1
    (parent / name).unlink(missing_ok=True)
    assert main([str(path), "--folder", str(tmp_path), *choice]) == 0
    assert (parent / RESULTS).read_bytes() == before
    assert (parent / name).exists()


BAD_INPUT = [
    (["--scale", "2"], "scale must be above 0 and at most 1, not 2.0"),
    (["--parts", "noise,sharde"], "Did you mean shared?"),
    (["--methods", "amf"], "Did you mean anf?"),
    (["--wokers", "2"], "Did you mean --workers?"),
    (["--seeds", "0"], "seeds must be at least 1"),
    (["--folder", __file__], "cannot write to the folder"),
]


@pytest.mark.parametrize(
    ("argv", "message"), BAD_INPUT, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_sentence_and_leaves_nothing(argv, message, path, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(path), *argv]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("siftrl-sweep: error: ")
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert not list(tmp_path.iterdir())


def test_a_study_is_carried_out_once_at_a_time(path, tmp_path, capsys):
    (tmp_path / "tiny").mkdir()
    lock = FolderLock(tmp_path / "tiny")
    assert main([str(path), "--folder", str(tmp_path)]) == 2
    assert "another process carries out the study" in capsys.readouterr().err
    lock.release()


def test_help_loads_neither_torch_nor_ray():
    code = """if True:
        import sys
        from siftrl.sweeps.command import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        print({"torch", "ray"} & set(sys.modules) or "nothing heavy")
    """
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--threads-per-run" in output
    assert output.endswith("\nnothing heavy\n")

"""Launched runs: names that last, processes that save when told to or left alone, and go on to the same bits."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from siftrl.training.config import MACHINE, RunConfig
from siftrl.training.folder import FolderLock
from siftrl.training.launch import RunProcess, experiment, hashed_folder, last_output, run_hash
from siftrl.training.progress import checkpoints, is_finished, steps_done, write_steps

QUICK = RunConfig(
    env="Pendulum-v1", noise=0.5, recipe="dense", buffer_size=1000, n_timesteps=600, eval_freq=200, eval_episodes=1,
    save_freq=150, batch_size=8, device="cpu", verbose=0,
)  # fmt: skip
ENDLESS = dataclasses.replace(QUICK, n_timesteps=1_000_000, eval_freq=0)


def wait_for(condition, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.output()
        assert time.monotonic() < end
        time.sleep(0.02)


def start(config, folder):
    """A run that has begun to train."""
    process = RunProcess(config, folder)
    wait_for(lambda: process.progress() > 0, process)
    return process


def evaluations(folder):
    with np.load(folder / "evaluations.npz") as file:
        return {name: file[name].tobytes() for name in file.files}


def test_hashes_stay_what_they_are():
    """A changed hash orphans the runs of all studies: a new option must leave these as they are."""
    assert run_hash(RunConfig()) == "17d9088e3a67"
    config = RunConfig(algo="td3", recipe="set", env="Hopper-v5", noise=0.95, density=0.1, seed=3, permute=True)
    assert run_hash(config) == "e5b934497424"


def test_a_hash_tells_experiments_apart_and_nothing_else():
    changes = {
        "algo": "td3", "recipe": "set", "hparams": "paper", "env": "Hopper-v5", "noise_distribution": "uniform",
        "replay_noise": "fresh", "on_permute": "clear", "distribution": "erk", "permute": True, "n_timesteps": 7,
        "quiet_start": True,
    }  # fmt: skip
    base = {"noise_distribution": "autoregressive"}  # whose correlation is an option too
    hashes = {run_hash(RunConfig(**base))}
    fields = [field for field in dataclasses.fields(RunConfig) if field.name in experiment(RunConfig())]
    for field in fields:
        value = changes.get(field.name, 0.25 if "float" in str(field.type) else 7)
        hashes.add(run_hash(RunConfig(**{**base, field.name: value})))
    assert len(hashes) == len(fields) + 1
    same = {
        "log_folder": "a",
        "tensorboard_log": "b",
        "save_freq": 1,
        "progress": True,
        "verbose": 0,
        "device": "cpu",
        "threads": 2,
    }
    assert run_hash(RunConfig(**same)) == run_hash(RunConfig())
    machine = {field.name for field in dataclasses.fields(RunConfig) if field.metadata["group"] == MACHINE}
    assert {field.name for field in fields} | set(same) | {"trained_agent"} | machine == set(RunConfig().to_dict())


def test_a_whole_number_is_the_same_option_as_its_float():
    assert run_hash(RunConfig(noise=0)) == run_hash(RunConfig(noise=0.0))
    assert run_hash(RunConfig(noise_std=2)) == run_hash(RunConfig(noise_std=2.0))


def test_a_folder_is_named_for_what_one_looks_for(tmp_path):
    config = RunConfig(env="siftrl/ENE-Hopper-v5", noise=0, seed=4)
    expected = tmp_path / "sac-sift" / f"siftrl-ENE-Hopper-v5_0_s4_{run_hash(config)}"
    assert hashed_folder(config, tmp_path) == expected
    assert not expected.parent.exists()


def test_another_runs_agent_is_refused(tmp_path):
    with pytest.raises(ValueError, match="trained-agent must be left out"):
        RunProcess(dataclasses.replace(QUICK, trained_agent="run"), tmp_path)


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write to the folder"):
        RunProcess(QUICK, tmp_path / "file" / "run")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = RunProcess(QUICK, folder)
    assert process.wait(120) == 0, process.output()
    return folder


def test_a_run_ends_in_its_folder(undisturbed):
    assert is_finished(undisturbed)
    assert steps_done(undisturbed) == 600
    assert (undisturbed / "model.zip").exists()
    command = (undisturbed / "command.txt").read_text()
    assert command.startswith("siftrl-train --recipe dense --batch-size 8 --env Pendulum-v1 --noise 0.5 ")
    assert json.loads((undisturbed / "config.json").read_text())["config"]["threads"] == 1


def test_a_finished_run_is_not_run_again(undisturbed):
    before = {path.name: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    assert RunProcess(QUICK, undisturbed).wait(60) == 0
    assert {path.name: path.stat().st_mtime_ns for path in undisturbed.iterdir()} == before


def test_a_run_that_is_stopped_and_killed_ends_like_an_undisturbed_one(undisturbed, tmp_path):
    process = start(QUICK, tmp_path)
    process.terminate()
    assert process.wait(120) == 128 + signal.SIGTERM
    assert not is_finished(tmp_path)
    assert steps_done(tmp_path) == int(checkpoints(tmp_path)[0].stem.removeprefix("checkpoint_")) < 600
    other = RunProcess(dataclasses.replace(QUICK, noise=0.6), tmp_path)
    assert other.wait(120) == 2
    assert other.output(1) == "error: noise is 0.5 in the run to go on with and cannot become 0.6."
    process = RunProcess(QUICK, tmp_path)
    wait_for(lambda: len(checkpoints(tmp_path)) == 2, process)
    process.kill()
    assert process.wait(120) == 128 + signal.SIGKILL
    assert RunProcess(QUICK, tmp_path).wait(120) == 0, last_output(tmp_path)
    assert is_finished(tmp_path)
    assert evaluations(tmp_path) == evaluations(undisturbed)
    assert "siftrl-train -i" in (tmp_path / "command.txt").read_text()


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    leftovers = [
        "config.json",
        "0.monitor.csv",
        "evaluations.npz",
        "features.npz",
        "events.out.tfevents.1",
        ".checkpoint_9.zip.x.tmp",
    ]
    for name in [*leftovers, "note"]:
        (tmp_path / name).write_text("half")
    process = start(ENDLESS, tmp_path)
    assert not (tmp_path / "evaluations.npz").exists()
    assert not list(tmp_path.glob(".checkpoint*"))
    assert (tmp_path / "note").read_text() == "half"
    process.kill()
    process.wait(60)


STARTER = """
import json, sys, time
from siftrl.training.config import RunConfig
from siftrl.training.launch import RunProcess

process = RunProcess(RunConfig.from_json(sys.argv[1]), sys.argv[2])
print(process.pid, flush=True)
time.sleep(600)
"""


def test_a_run_whose_starter_is_killed_saves_and_stops(tmp_path):
    command = [sys.executable, "-c", STARTER, ENDLESS.to_json(), str(tmp_path)]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pid = int(starter.stdout.readline())
    wait_for(lambda: steps_done(tmp_path) > 0)
    starter.kill()
    starter.communicate()
    wait_for(lambda: not exists(pid))
    assert len(checkpoints(tmp_path)) >= 1
    steps = steps_done(tmp_path)
    time.sleep(1)
    assert steps_done(tmp_path) == steps
    FolderLock(tmp_path).release()


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # The one that adopts orphans may not have collected it yet.
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_a_cut_checkpoint_is_no_end(undisturbed, tmp_path):
    newest = checkpoints(undisturbed)[0]
    (tmp_path / newest.name).write_bytes(newest.read_bytes()[:5000])
    assert not is_finished(tmp_path)
    write_steps(tmp_path, 12)
    assert steps_done(tmp_path) == 12
    (tmp_path / "progress.json").unlink()
    assert steps_done(tmp_path) == 600

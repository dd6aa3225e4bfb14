"""Does a run that is killed again and again end as if it had never been?

Trains small runs twice: once undisturbed, and once killed (SIGKILL) at random moments, a third of them while a checkpoint is
being written, and resumed each time by ``train.py -i``. Then compares the two to the last bit: weights, optimisers' moments,
topology, replay, random generators, evaluations, feature history, monitor files and TensorBoard's scalars, images and
histograms; all but wall-clock times.

    python experiments/kill_and_resume.py --kills 10

Writes ``experiments/results/kill_and_resume.md``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from siftrl.training.checkpoint import checkpoints, model_of, read_checkpoint

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "experiments" / "results" / "kill_and_resume.md"

_COMMON = "--noise 0.5 --eval-freq 110 --eval-episodes 2 --save-freq 40 --buffer-size 400 --threads 1 --verbose 0"
# Long enough for a rewiring, which comes after 1 000 updates.
RUNS = {
    "HalfCheetah-v5, SAC, ANF": "--env HalfCheetah-v5 --recipe anf -n 1300",
    "InvertedPendulum-v5, SAC, RigL": "--env InvertedPendulum-v5 --recipe rigl -n 1300",
    "Pendulum-v1, TD3, DS, permuted features": "--env Pendulum-v1 --algo td3 --recipe ds --permute-every 130 -n 1300",
    "Hopper-v5 three times, SAC, ANF, fresh noise": "--env Hopper-v5 --recipe anf --n-envs 3 --replay-noise fresh -n 1500",
    "Ant-v5, SAC, GraNet, density falls": "--env Ant-v5 --recipe granet -n 1500",
    "Humanoid-v5, SAC, SNFS": "--env Humanoid-v5 --recipe snfs -n 1300",
}
# Depend on the clock, or on how many digits it had when it was written to a file.
# MuJoCo's serialisation holds timers as well; what it does to the steps that follow is compared.
_TIMES = ("seconds", "episode_times", "monitors", "events", "t", "serialized")


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed.

    Args:
        folder: the run folder.
        kills: how often it was killed.
        while_saving: how many of these kills left the unfinished file of a checkpoint behind.
    """

    folder: Path
    kills: int
    while_saving: int


def train(options: list[str], folder: Path) -> subprocess.Popen:
    """Start a training in ``folder``, or resume the one that is there."""
    runs = list(folder.rglob("config.json"))
    arguments = ["-i", str(runs[0].parent)] if runs else [*options, "-f", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def run_through(options: list[str], folder: Path) -> Path:
    """Train, or resume, to the end, undisturbed; gives the run folder.

    Raises:
        RuntimeError: where the training fails.
    """
    process = train(options, folder)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(errors.decode())
    return next(folder.rglob("config.json")).parent


def run_killed(options: list[str], folder: Path, kills: int, rng: random.Random) -> Outcome:
    """Train to the end through so many kills, at moments between the loading of the program and its last step.

    The first comes after the first checkpoint: without one there is nothing to resume.
    """
    done = while_saving = 0
    while done < kills:
        process = train(options, folder)
        if rng.random() < 1 / 3:
            _wait_for_checkpoint(process, folder)
            _stop_in_unfinished_checkpoint(process, folder)
        else:
            _wait(process, rng.uniform(0, 8))
            _wait_for_checkpoint(process, folder)
        # It may have come to its end: then there was nothing to kill.
        if process.poll() is not None:
            process.communicate()
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done += 1
        while_saving += any(folder.rglob(".checkpoint_*.tmp"))
    if process.returncode == 0:
        return Outcome(next(folder.rglob("config.json")).parent, done, while_saving)
    return Outcome(run_through(options, folder), done, while_saving)


def _wait(process: subprocess.Popen, seconds: float) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def _wait_for_checkpoint(process: subprocess.Popen, folder: Path) -> None:
    while process.poll() is None and not any(folder.glob("*/*/checkpoint_*.zip")):
        time.sleep(0.002)


def _stop_in_unfinished_checkpoint(process: subprocess.Popen, folder: Path) -> None:
    pattern = "*/*/.checkpoint_*.tmp"
    before = set(folder.glob(pattern))
    while process.poll() is None:
        if set(folder.glob(pattern)) - before:
            # Time for the kill: a small checkpoint is finished in milliseconds.
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if set(folder.glob(pattern)) - before:
                return
            process.send_signal(signal.SIGCONT)
        time.sleep(0.002)


def differences(folder: Path, other: Path) -> list[str]:
    """What two runs do not have in common, by name; wall-clock times do not count."""
    left, right = dict(contents(folder)), dict(contents(other))
    unlike = [name for name in left.keys() & right.keys() if not _same(left[name], right[name])]
    return sorted([*unlike, *(left.keys() ^ right.keys())])


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    return repr(left) == repr(right)  # which takes nan for nan


def contents(folder: Path) -> Iterator[tuple[str, Any]]:
    """All that a run left behind, as arrays and plain values, by name."""
    newest = checkpoints(folder)[0]
    yield "checkpoint", newest.name
    with zipfile.ZipFile(newest) as archive:
        for name in archive.namelist():
            if name.startswith("replay/"):
                yield name, np.load(io.BytesIO(archive.read(name)))
        yield "replay", json.loads(archive.read("replay.json"))
    yield from _leaves("state", read_checkpoint(newest).state)
    for name, file in (
        ("checkpoint", model_of(newest)),
        ("model", folder / "model.zip"),
        ("best", folder / "best_model.zip"),
    ):
        yield from _tensors(name, file)
    with np.load(folder / "evaluations.npz") as evaluations:
        yield from evaluations.items()
    yield "features", (folder / "features.npz").read_bytes()
    for path in sorted(folder.glob("*.monitor.csv")):
        with path.open() as file:
            next(file)  # the time of the start
            yield path.name, [(row["r"], row["l"]) for row in csv.DictReader(file)]
    yield from _events(folder)


def _tensors(name: str, file: Any) -> Iterator[tuple[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.namelist():
            if member.endswith(".pth"):
                yield from _leaves(f"{name}/{member}", torch.load(io.BytesIO(archive.read(member)), weights_only=True))


def _leaves(name: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list | tuple):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            if key not in _TIMES and not str(key).startswith("time/"):
                yield from _leaves(f"{name}/{key}", child)
    else:
        yield name, node.detach().numpy() if isinstance(node, torch.Tensor) else node


def _events(folder: Path) -> Iterator[tuple[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # Nothing is purged: a value that was written twice shall show.
    everything = dict.fromkeys(("scalars", "images", "histograms"), 0)
    events = EventAccumulator(str(folder), size_guidance=everything, purge_orphaned_data=False)
    events.Reload()
    for kind, read in (("scalars", events.Scalars), ("images", events.Images), ("histograms", events.Histograms)):
        for key in events.Tags()[kind]:
            if not key.startswith("time/"):
                # The first of an event is the time of day.
                yield f"tensorboard/{key}", sorted(astuple(event)[1:] for event in read(key))


def main() -> None:
    """Run all of ``RUNS`` and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="of each run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    lines = ["| run | kills | while saving | compared | different |", "|---|---:|---:|---:|---:|"]
    for name, options in RUNS.items():
        argv = [*options.split(), *_COMMON.split()]
        with tempfile.TemporaryDirectory() as logs:
            reference = run_through(argv, Path(logs) / "undisturbed")
            outcome = run_killed(argv, Path(logs) / "killed", arguments.kills, rng)
            unlike, n_compared = differences(reference, outcome.folder), len(list(contents(reference)))
        print(name, outcome.kills, outcome.while_saving, n_compared, unlike, flush=True)
        lines.append(f"| {name} | {outcome.kills} | {outcome.while_saving} | {n_compared} | {len(unlike)} |")
    RESULT.write_text("\n".join([f"`python experiments/kill_and_resume.py --kills {arguments.kills}`", "", *lines, ""]))


if __name__ == "__main__":
    main()

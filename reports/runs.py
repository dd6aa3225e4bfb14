"""Reading what a run has left in its folder. Loads no torch; nothing in the folder can run code."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..names import did_you_mean
from ..training.archive import read_provenance
from ..training.config import RunConfig
from ..training.feature_history import FeatureHistory, load_features
from ..training.folder import BEST_MODEL, COMMAND, CONFIG, EVALUATIONS, FEATURES, MODEL
from ..training.journals import MONITORS
from ..training.sealed import UNREADABLE, read_array
from ..training.zip_size import require_sensible_size

_MOST_TEXT = 2**20  # bytes of a command or a configuration


@dataclass(frozen=True, eq=False)
class RunRecord:
    """A run as its folder tells of it.

    Attributes:
        folder: Where it is.
        config: Its options.
        version: The siftrl that wrote it.
        commands: The command lines behind it, one for the start and one for each time it went on.
        steps: Environment steps of its evaluations, int64 ``(n_evaluations,)``.
        returns: Return of each episode of them, float64 ``(n_evaluations, n_episodes)``.
        features: What its networks read, over time; None where the run did not write that down.
        model: Its last model, or the best one where there is no last; None where there is neither.
        timesteps: Environment steps behind it as far as its files say.
        steps_per_second: Environment steps per second of training, evaluations included; NaN where no episode ended.
    """

    folder: Path
    config: RunConfig
    version: str
    commands: tuple[str, ...]
    steps: np.ndarray
    returns: np.ndarray
    features: FeatureHistory | None
    model: Path | None
    timesteps: int
    steps_per_second: float

    @property
    def is_finished(self) -> bool:
        """Whether it got as far as it was meant to."""
        return self.timesteps >= self.config.n_timesteps

    @property
    def name(self) -> str:
        """The last two parts of its folder's path, which say agent, task and seed."""
        return "/".join(self.folder.resolve().parts[-2:])


def find_runs(paths: Iterable[str | Path]) -> list[Path]:
    """The run folders that ``paths`` mean: each one itself, or all below it, in the order of their names.

    Raises:
        ValueError: Where a path leads to no run.
    """
    return list(dict.fromkeys(run for path in paths for run in _runs_at(Path(path))))


def _runs_at(path: Path) -> list[Path]:
    if path.is_file():
        raise ValueError(f"a report is of run folders, and {path} is a file: name the folder that it lies in.")
    if not path.is_dir():
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ValueError(f"there is no folder {path}.{did_you_mean(path.name, siblings)}")
    if (path / CONFIG).is_file():
        return [path]
    runs = sorted(config.parent for config in path.rglob(CONFIG))
    if not runs:
        raise ValueError(f"the folder {path} holds no run: no {CONFIG} in it or below.")
    return runs


def read_run(folder: Path) -> RunRecord:
    """Read the run in ``folder``, which may still be going on.

    Raises:
        ValueError: Where it is no whole run, or has not been evaluated yet.
    """
    description = _read_description(folder)
    steps, returns = read_evaluations(folder)
    features = load_features(folder) if (folder / FEATURES).exists() else None
    model = next((folder / name for name in (MODEL, BEST_MODEL) if (folder / name).is_file()), None)
    provenance = read_provenance(model) if model is not None else None
    commands = folder / COMMAND
    return RunRecord(
        folder=folder,
        config=description[0],
        version=description[1],
        commands=tuple(_read_text(commands).splitlines()) if commands.is_file() else (),
        steps=steps,
        returns=returns,
        features=features if features is not None and _says_anything(features) else None,
        model=model,
        timesteps=max(int(steps[-1]), provenance.num_timesteps if provenance else 0),
        steps_per_second=_steps_per_second(folder),
    )


def _says_anything(features: FeatureHistory) -> bool:
    return len(features.timesteps) > 0 and features.n_features > 0 and len(features.links) > 0


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_TEXT).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _read_description(folder: Path) -> tuple[RunConfig, str]:
    path = folder / CONFIG
    try:
        description = json.loads(_read_text(path))
        return RunConfig.from_dict(description["config"]), str(description.get("siftrl", "unknown"))
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"{path} does not describe a run: {error}") from error


def read_evaluations(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The evaluations of the run in ``folder``: steps int64 ``(n,)`` and returns float64 ``(n, n_episodes)``.

    Raises:
        ValueError: Where there are none, or they are damaged.
    """
    path = folder / EVALUATIONS
    if not path.is_file():
        raise ValueError(
            f"the run {folder} has no evaluations, so there is nothing to report: no {EVALUATIONS} in it. Train for longer, "
            "or with a smaller --eval-freq."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            require_sensible_size(archive)
            steps, returns = read_array(archive, "timesteps.npy"), read_array(archive, "results.npy")
        steps, returns = steps.astype(np.int64, casting="same_kind"), returns.astype(np.float64, casting="same_kind")
    except UNREADABLE as error:
        raise ValueError(f"the evaluations {path} cannot be read: {error}") from error
    if steps.ndim != 1 or returns.ndim != 2 or len(steps) != len(returns) or not returns.size:
        raise ValueError(f"the evaluations {path} contradict themselves: {steps.shape} steps, {returns.shape} returns.")
    if not np.isfinite(returns).all() or (np.diff(steps) <= 0).any() or steps[0] < 0:
        raise ValueError(f"the evaluations {path} are no learning curve: steps must increase and returns be numbers.")
    return steps, returns


def _steps_per_second(folder: Path) -> float:
    """Of the episodes that ended. Environments that are stepped together share the time."""
    try:
        monitors = [list(_episodes(path)) for path in folder.glob(MONITORS)]
    except (OSError, csv.Error):
        return math.nan
    seconds = max((sum(seconds for _, seconds in episodes) for episodes in monitors), default=0.0)
    return sum(length for episodes in monitors for length, _ in episodes) / seconds if seconds > 0 else math.nan


def _episodes(path: Path) -> Iterator[tuple[int, float]]:
    """Length and seconds of each episode, from a monitor file of SB3; lines that are none are skipped."""
    before = 0.0
    with path.open(errors="replace", newline="") as file:
        for row in csv.reader(file):
            try:
                length, until = int(row[1]), float(row[2])
            except (IndexError, ValueError):
                continue
            if not math.isfinite(until):
                continue
            # The clock starts anew when a run goes on.
            yield length, until - before if until >= before else until
            before = until

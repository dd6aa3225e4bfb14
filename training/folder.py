"""Run folders: where a run writes, and how a path that a user gives leads to a model."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..names import did_you_mean
from .config import RunConfig

CONFIG = "config.json"
COMMAND = "command.txt"
MODEL = "model.zip"
BEST_MODEL = "best_model.zip"
EVALUATIONS = "evaluations.npz"
FEATURES = "features.npz"
_LOCK = ".lock"  # only where folders cannot be locked


def create_run_folder(config: RunConfig) -> Path:
    """Create ``<log_folder>/<algo>-<recipe>/<Env>_<noise>_s<seed>_<run>``, where ``<run>`` counts up from 1.

    Two processes that start at the same moment get two folders: making a folder either succeeds for one or fails.

    Raises:
        ValueError: where nothing can be written.
    """
    parent = Path(config.log_folder) / f"{config.algo}-{config.recipe}"
    stem = f"{config.env.replace('/', '-')}_{config.noise:g}_s{config.seed}_"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name[len(stem) :]) for path in parent.glob(f"{stem}*") if path.name[len(stem) :].isdigit()]
        run = max(taken, default=0) + 1
        while True:
            with contextlib.suppress(FileExistsError):
                folder = parent / f"{stem}{run}"
                folder.mkdir()
                return folder
            run += 1
    except OSError as error:
        raise ValueError(f"cannot write to the log folder {config.log_folder}: {error.strerror}.") from error


@contextlib.contextmanager
def new_run_folder(config: RunConfig) -> Iterator[Path]:
    """A fresh run folder that vanishes again if the block raises: a refused run leaves nothing behind."""
    existing = {path for path in (Path(config.log_folder), *Path(config.log_folder).parents) if path.exists()}
    folder = create_run_folder(config)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        # Parents go as well where this run made them and nothing else has come to live there.
        for parent in folder.parents:
            with contextlib.suppress(OSError):
                if parent not in existing:
                    parent.rmdir()
        raise


def events_folder(config: RunConfig, folder: Path) -> Path:
    """Where the run in ``folder`` writes TensorBoard events: there, or in one of the same name in ``tensorboard_log``."""
    if config.tensorboard_log is None:
        return folder
    return Path(config.tensorboard_log).joinpath(*folder.resolve().parts[-2:])


class FolderLock:
    """Keeps other processes from writing to the same run, until it is released, forgotten, or the process ends or is killed.

    Args:
        folder: the run folder, which exists.

    Raises:
        ValueError: where another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Windows knows no locks on folders: there, users have to take care themselves.
        self._descriptor = None if os.name == "nt" else os.open(folder, os.O_RDONLY)
        if self._descriptor is None:
            return
        try:
            self._lock()
        except BlockingIOError as error:
            self.release()
            raise ValueError(f"the run {folder} is still going on in another process.") from error

    def _lock(self) -> None:
        import fcntl

        how = fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.flock(self._descriptor, how)
        except BlockingIOError:
            raise
        except OSError:
            # NFS locks nothing but files that are open for writing.
            self.release()
            self._descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._descriptor, how)

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Let others write."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def find_run(path: Path) -> Path:
    """The run folder that the folder ``path`` means: itself, or the one below that was written to last.

    Raises:
        ValueError: where there is none.
    """
    runs = [config.parent for config in path.rglob(CONFIG)]
    if not runs:
        raise ValueError(f"the folder {path} holds no run: no {CONFIG} in it or below.")
    return max(runs, key=lambda run: max(file.stat().st_mtime_ns for file in run.iterdir()))


def find_model(path: str | Path, names: tuple[str, ...] = (MODEL, BEST_MODEL)) -> Path:
    """The model that ``path`` means: a zip, a run folder, or a folder with runs below, of which the newest counts.

    Args:
        path: what the user gave.
        names: what to take from a run folder, in order of preference.

    Raises:
        ValueError: where there is no model, saying what there is instead.
    """
    path = Path(path)
    if path.is_file():
        return path
    if path.is_dir():
        return _newest_model(path, names)
    with_suffix = path.with_name(f"{path.name}.zip")
    if with_suffix.is_file():
        return with_suffix
    siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    raise ValueError(f"there is no run folder or model at {path}.{did_you_mean(path.name, siblings)}")


def _newest_model(folder: Path, names: tuple[str, ...]) -> Path:
    runs = {found.parent for name in names for found in folder.rglob(name)}
    if not runs:
        raise ValueError(f"the folder {folder} holds no trained model: no {' or '.join(names)} in it or below.")
    models = [next(run / name for name in names if (run / name).is_file()) for run in runs]
    return max(models, key=lambda model: model.stat().st_mtime_ns)

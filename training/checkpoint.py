"""Checkpoints: files from which a run goes on as if it had never stopped, written atomically, the two newest kept.

A checkpoint is a sealed archive (see ``sealed.py``): ``model.zip`` (weights, optimisers, topology and provenance, loadable
by itself), the replay (see ``replay_file.py``), and the state of everything else (see ``snapshot.py``).
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from .archive import Provenance, open_archive, read_provenance, write_model
from .atomic import atomic_write
from .memory import human_bytes
from .progress import checkpoint_path, checkpoint_steps, checkpoints
from .replay_file import filled_nbytes, read_replay, write_replay
from .report import warn
from .sealed import SealedWriter, check_seal, versions
from .snapshot import array_nbytes, read_snapshot, write_snapshot

_MODEL = "model.zip"
_ROOM = 2**24  # bytes beyond model, replay and the state's arrays, more than all else takes


@dataclass(frozen=True)
class Checkpoint:
    """An intact checkpoint.

    Args:
        path: its file.
        provenance: which run it is of, and how far that had come.
        state: what the run gave as its state.
    """

    path: Path
    provenance: Provenance
    state: dict[str, Any]


def save_checkpoint(folder: Path, model: Any, provenance: Provenance, state: dict[str, Any]) -> Path:
    """Write everything that a run needs to go on, then remove all older checkpoints but one.

    Checkpoints of more steps go too: they were passed over as damaged, or the run went on from before them.

    Returns:
        The checkpoint's path.

    Raises:
        OSError: where it cannot be written or has no room; what was there before is still there then.
    """
    path = checkpoint_path(folder, provenance.num_timesteps)
    part = io.BytesIO()
    write_model(model, part, provenance)
    nbytes = part.getbuffer().nbytes + filled_nbytes(model.replay_buffer) + array_nbytes(state)
    _require_room(folder, nbytes + _ROOM)
    with atomic_write(path) as file, SealedWriter(file, provenance.num_timesteps) as archive:
        archive.write(_MODEL, part.getbuffer())
        write_replay(archive, model.replay_buffer)
        write_snapshot(archive, state)
    older = [other for other in checkpoints(folder) if checkpoint_steps(other) < provenance.num_timesteps]
    for other in checkpoints(folder):
        if other not in (path, *older[:1]):
            other.unlink()
    return path


def _require_room(folder: Path, nbytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        reason = f"a checkpoint takes {human_bytes(nbytes)}, but {human_bytes(free)} are free"
        raise OSError(errno.ENOSPC, reason, os.fspath(folder))


def newest_checkpoint(folder: Path) -> Checkpoint:
    """The newest intact checkpoint in ``folder``; a damaged one is named in a warning, and the one before it tried.

    Raises:
        ValueError: where there is none.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            return read_checkpoint(path)
        except ValueError as error:
            warn(str(error))
    reason = "those that are there are damaged" if found else "it was stopped before its first"
    raise ValueError(f"the run {folder} has no checkpoint to go on from: {reason}.")


def read_checkpoint(path: Path) -> Checkpoint:
    """Check every byte of a checkpoint and read it, but for model and replay. No code of the file is run.

    Raises:
        ValueError: where it is damaged or foreign.
    """
    manifest = check_seal(path)
    others = {name: there for name, there in manifest["versions"].items() if versions().get(name) != there}
    if others:
        found = ", ".join(f"{name} {there}" for name, there in others.items())
        warn(f"{path} was written with other versions ({found}): the run may end otherwise than it would have.")
    with zipfile.ZipFile(path) as archive:
        state = read_snapshot(archive)
    if not isinstance(state, dict):
        raise ValueError(f"the checkpoint {path} does not hold the state of a run.")
    provenance = read_provenance(path, model_of(path))
    if provenance is None:
        raise ValueError(f"the checkpoint {path} does not say which run it is of.")
    return Checkpoint(path, provenance, state)


def is_checkpoint(path: Path) -> bool:
    """Whether the zip at ``path`` is a checkpoint rather than a lone model.

    Raises:
        ValueError: where it is no intact zip.
    """
    with open_archive(path) as archive:
        return _MODEL in archive.namelist()


def model_of(path: Path) -> io.BytesIO:
    """The model archive inside the checkpoint at ``path``, as a file that SB3's ``load`` takes.

    Raises:
        ValueError: where it holds none.
    """
    with zipfile.ZipFile(path) as archive:
        if _MODEL not in archive.namelist():
            raise ValueError(f"the checkpoint {path} holds no model.")
        return io.BytesIO(archive.read(_MODEL))


def restore_replay(model: Any, path: Path) -> None:
    """Fill the empty replay of ``model`` from the checkpoint at ``path``.

    Raises:
        ValueError: where it is of another size.
    """
    with zipfile.ZipFile(path) as archive:
        read_replay(archive, model.replay_buffer)


class PeriodicCheckpoint(BaseCallback):
    """Calls ``save`` whenever another ``every`` environment steps are done; where the disk fails it, training goes on.

    Before new steps are collected, that is: the step that completes a period is then in the replay and learnt from.
    """

    def __init__(self, every: int, save: Callable[[], None]) -> None:
        super().__init__()
        self.every, self.save = every, save
        self._periods = 0

    def _on_training_start(self) -> None:
        self._periods = self.model.num_timesteps // self.every

    def _on_rollout_start(self) -> None:
        periods = self.model.num_timesteps // self.every
        if periods == self._periods:
            return
        self._periods = periods
        try:
            self.save()
        except OSError as error:
            warn(f"no checkpoint after {self.model.num_timesteps:,} environment steps: {error}. The last one stands.")

    def _on_step(self) -> bool:
        return True

"""Checkpoints: one file from which a run goes on, written atomically, so that its parts always belong together.

A checkpoint is a zip (stored, not compressed) with ``model.zip`` (weights, optimisers, topology, counters and
provenance, loadable by itself) and ``replay.pkl``. Readers ignore members that they do not know, so that further state
can join without a new format.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from .archive import Provenance, open_archive, write_model
from .atomic import atomic_write

MODEL_MEMBER = "model.zip"
REPLAY_MEMBER = "replay.pkl"


def save_checkpoint(model: Any, path: str | os.PathLike, provenance: Provenance) -> None:
    """Write everything that ``model`` needs to go on to ``path``, atomically."""
    part = io.BytesIO()
    write_model(model, part, provenance)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MODEL_MEMBER, part.getbuffer())
        with archive.open(REPLAY_MEMBER, "w", force_zip64=True) as member:
            _FilledRowsPickler(model.replay_buffer, member).dump(model.replay_buffer)


def is_checkpoint(path: Path) -> bool:
    """Whether the zip at ``path`` is a checkpoint rather than a lone model.

    Raises:
        ValueError: where it is no intact zip.
    """
    with open_archive(path) as archive:
        return MODEL_MEMBER in archive.namelist()


def model_of(path: Path) -> io.BytesIO:
    """The model archive inside the checkpoint at ``path``, as a file that SB3's ``load`` takes."""
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read(MODEL_MEMBER))


def restore_replay(model: Any, path: Path) -> None:
    """Give ``model`` the replay of the checkpoint at ``path``."""
    with zipfile.ZipFile(path) as archive, archive.open(REPLAY_MEMBER) as member:
        model.replay_buffer = pickle.load(member)
    model.replay_buffer.device = model.device


class _FilledRowsPickler(pickle.Pickler):
    """Pickles a replay buffer without the rows that are still empty: a young buffer of a million rows stays small."""

    def __init__(self, buffer: Any, file: BinaryIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.rows = buffer.buffer_size
        self.filled = self.rows if buffer.full else buffer.pos

    def reducer_override(self, obj: Any) -> Any:
        """Cut arrays that have a row for each transition and nothing but zeros after the filled ones."""
        if type(obj) is not np.ndarray or obj.ndim == 0 or len(obj) != self.rows or obj.dtype.hasobject:
            return NotImplemented
        if self.filled == self.rows or obj[self.filled :].any():
            return NotImplemented
        return _with_empty_rows, (obj[: self.filled].copy(), self.rows)


def _with_empty_rows(filled: np.ndarray, rows: int) -> np.ndarray:
    """Undo the cut of :class:`_FilledRowsPickler`; empty rows cost no memory until they are written."""
    array = np.zeros((rows, *filled.shape[1:]), filled.dtype)
    array[: len(filled)] = filled
    return array


class PeriodicCheckpoint(BaseCallback):
    """Calls ``save`` whenever another ``every`` environment steps are done.

    Before new steps are collected, that is: the step that completes a period is then in the replay and learnt from.
    """

    def __init__(self, every: int, save: Callable[[], None]) -> None:
        super().__init__()
        self.every, self.save = every, save
        self._periods = 0

    def _on_training_start(self) -> None:
        self._periods = self.num_timesteps // self.every

    def _on_rollout_start(self) -> None:
        periods = self.model.num_timesteps // self.every
        if periods != self._periods:
            self._periods = periods
            self.save()

    def _on_step(self) -> bool:
        return True

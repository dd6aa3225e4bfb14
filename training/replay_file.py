"""Replay buffers in an archive: a header in JSON and an npy member for each array, empty rows left out, without pickles.

Arrays go to the file and come back in pieces, so that neither needs memory for a second replay.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from .sealed import SealedWriter, read_array_into

HEADER = "replay.json"


def write_replay(archive: SealedWriter, buffer: ReplayBuffer) -> None:
    """Write SB3's replay buffer, or one derived from it, into ``archive``: rows, numbers, and its own generators."""
    numbers, generators = {}, {}
    for name, value in vars(buffer).items():
        if isinstance(value, bool | int | float):
            numbers[name] = value
        elif isinstance(value, np.random.Generator):
            generators[name] = value.bit_generator.state
    archive.write(HEADER, json.dumps({"numbers": numbers, "generators": generators}, indent=2).encode())
    for name, rows in _storage(buffer):
        archive.write_array(_member(name), rows[: n_filled(buffer)])


def read_replay(archive: zipfile.ZipFile, buffer: ReplayBuffer) -> None:
    """Fill ``buffer``, which is new and of the same kind and size, with the rows that were written.

    Raises:
        ValueError: where it is of another size, or the archive lacks an array.
    """
    header = json.loads(archive.read(HEADER))
    for name, rows in _storage(buffer):
        if _member(name) not in archive.namelist():
            raise ValueError(f"the replay holds no {name}.")
        read_array_into(archive, _member(name), rows)
    vars(buffer).update(header["numbers"])
    for name, state in header["generators"].items():
        getattr(buffer, name).bit_generator.state = state


def n_filled(buffer: ReplayBuffer) -> int:
    """Rows that hold a transition."""
    return buffer.buffer_size if buffer.full else buffer.pos


def filled_nbytes(buffer: ReplayBuffer) -> int:
    """Bytes of the rows that hold a transition."""
    return sum(rows[: n_filled(buffer)].nbytes for _, rows in _storage(buffer))


def _storage(buffer: ReplayBuffer) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that have a row for each transition, by name."""
    for name, value in vars(buffer).items():
        if _is_storage(value, buffer):
            yield name, value


def _is_storage(value: Any, buffer: ReplayBuffer) -> bool:
    return isinstance(value, np.ndarray) and value.shape[:2] == (buffer.buffer_size, buffer.n_envs)


def _member(name: str) -> str:
    return f"replay/{name}.npy"

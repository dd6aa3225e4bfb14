"""Replay buffers in an archive: a header in JSON and an npy member for each array, empty rows left out, without pickles.

Arrays go to the file and come back in pieces, so that neither needs memory for a second replay.
"""

from __future__ import annotations

import json
import zipfile
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from ..agents.replay import NoiseReplayBuffer
from ..agents.replay_rows import n_filled, storage
from .sealed import UNREADABLE, SealedWriter, read_array, read_array_into

HEADER = "replay.json"
_OWN_ORDERS = "own_orders"


def write_replay(archive: SealedWriter, buffer: ReplayBuffer) -> None:
    """Write SB3's replay buffer, or one derived from it, into ``archive``: rows, numbers, and its own generators."""
    numbers, generators = {}, {}
    for name, value in vars(buffer).items():
        if isinstance(value, bool | int | float):
            numbers[name] = value
        elif isinstance(value, np.random.Generator):
            generators[name] = value.bit_generator.state
    archive.write(HEADER, json.dumps({"numbers": numbers, "generators": generators}, indent=2).encode())
    for name, rows in storage(buffer):
        archive.write_array(_member(name), rows[: n_filled(buffer)])
    if isinstance(buffer, NoiseReplayBuffer):
        archive.write_array(_member(_OWN_ORDERS), buffer.own_orders)


def read_replay(archive: zipfile.ZipFile, buffer: ReplayBuffer) -> None:
    """Fill ``buffer``, which is new and of the same kind and size, with the rows that were written.

    Raises:
        ValueError: where it is of another size, or the archive lacks an array or says what cannot be.
    """
    try:
        header = json.loads(archive.read(HEADER))
        _require_own_numbers(header["numbers"], buffer)
        for name, rows in storage(buffer):
            if _member(name) not in archive.namelist():
                raise ValueError(f"the replay holds no {name}.")
            read_array_into(archive, _member(name), rows)
        if isinstance(buffer, NoiseReplayBuffer) and _member(_OWN_ORDERS) in archive.namelist():
            buffer.own_orders = _own_orders(read_array(archive, _member(_OWN_ORDERS)), buffer)
        vars(buffer).update(header["numbers"])
        for name, value in vars(buffer).items():
            if isinstance(value, np.random.Generator):
                value.bit_generator.state = header["generators"][name]
    except UNREADABLE as error:
        raise ValueError(f"the replay in {archive.filename} cannot be read: {error}") from error


def _require_own_numbers(numbers: dict[str, Any], buffer: ReplayBuffer) -> None:
    for name, value in numbers.items():
        if not isinstance(getattr(buffer, name, None), type(value)):
            raise ValueError(f"its {name} is {value!r}, which no replay of this kind has.")
    for name in ("buffer_size", "n_envs"):
        if numbers[name] != getattr(buffer, name):
            raise ValueError(f"its {name} is {numbers[name]}, and {getattr(buffer, name)} in the run that goes on.")
    if not 0 <= numbers["pos"] < buffer.buffer_size:
        raise ValueError(f"its pos is {numbers['pos']}, outside of its {buffer.buffer_size} rows.")


def _own_orders(orders: np.ndarray, buffer: NoiseReplayBuffer) -> np.ndarray:
    n_features = buffer.noise_source.n_features
    if orders.dtype != np.int64 or orders.shape[1:] != (n_features,):
        raise ValueError(f"its {_OWN_ORDERS} are {orders.dtype} of shape {orders.shape}, not of {n_features} features.")
    if (np.sort(orders, axis=1) != np.arange(n_features)).any() or buffer.orders.min() < -len(orders):
        raise ValueError(f"its {_OWN_ORDERS} are not those of its rows.")
    return orders


def filled_nbytes(buffer: ReplayBuffer) -> int:
    """Bytes of the rows that hold a transition."""
    return sum(rows[: n_filled(buffer)].nbytes for _, rows in storage(buffer))


def _member(name: str) -> str:
    return f"replay/{name}.npy"

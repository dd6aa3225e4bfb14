"""The rows of a replay buffer: which arrays have them, which hold a transition, forgetting the oldest, and reordering."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from .replay import NoiseReplayBuffer

_BLOCK = 64  # bytes of each row that are moved at a time: a cache line


def storage(buffer: ReplayBuffer) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that have a row for each transition, by name: (rows, n_envs, …)."""
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray) and value.shape[:2] == (buffer.buffer_size, buffer.n_envs):
            yield name, value


def n_filled(buffer: ReplayBuffer) -> int:
    """Rows that hold a transition of each environment."""
    return buffer.buffer_size if buffer.full else buffer.pos


def oldest_rows(buffer: ReplayBuffer, n_rows: int) -> np.ndarray:
    """The oldest rows, or all where there are fewer: int64 (n_rows,), the oldest first."""
    first = buffer.pos if buffer.full else 0
    return (first + np.arange(min(n_rows, n_filled(buffer)))) % buffer.buffer_size


def newest_rows(buffer: ReplayBuffer, n_rows: int) -> np.ndarray:
    """The newest rows, or all where there are fewer: int64 (n_rows,), the newest last."""
    n_rows = min(n_rows, n_filled(buffer))
    return (buffer.pos - n_rows + np.arange(n_rows)) % buffer.buffer_size


def observed(buffer: ReplayBuffer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both observations of these rows as shown, or as reordered since: ``(rows * n_envs, n_features)``, row by row."""
    if isinstance(buffer, NoiseReplayBuffer):
        return buffer.observed(rows)
    return tuple(
        part[rows].reshape(len(rows) * buffer.n_envs, -1) for part in (buffer.observations, buffer.next_observations)
    )


def reorder(buffer: ReplayBuffer, where: np.ndarray, sources: np.ndarray) -> None:
    """From now on give these transitions back with the features of both observations in other places.

    Args:
        buffer: SB3's, or one derived from it.
        where: bool ``(buffer_size, n_envs)``: which transitions.
        sources: int64 ``(n_features,)``: feature ``j`` is then what feature ``sources[j]`` was.

    Raises:
        ValueError: See :func:`require_own_rows`.
    """
    require_own_rows(buffer)
    if isinstance(buffer, NoiseReplayBuffer):
        buffer.reorder(where, sources)
        return
    for row, env in np.argwhere(where):  # one by one: there need not be memory for a second buffer
        for part in (buffer.observations, buffer.next_observations):
            part[row, env] = part[row, env][sources]


def require_own_rows(buffer: ReplayBuffer) -> None:
    """Check that a row of ``buffer`` is whole without its neighbours, and all of it in arrays.

    Raises:
        ValueError: for SB3's buffers of dictionaries, and for those that save memory.
    """
    if not isinstance(buffer.observations, np.ndarray) or buffer.optimize_memory_usage:
        raise ValueError(
            "replay_buffer must hold both observations of each transition as arrays to be looked into, "
            f"got a {type(buffer).__name__} with optimize_memory_usage={buffer.optimize_memory_usage}"
        )


def forget_oldest(buffer: ReplayBuffer, n_rows: int) -> None:
    """Drop the oldest rows; the others move to the front, in their order, and new ones follow behind them.

    The rows move in place, some bytes of each at a time: there need not be memory for a second buffer.

    Args:
        buffer: SB3's, or one derived from it.
        n_rows: How many; each is a transition of every environment.

    Raises:
        ValueError: If there are fewer; or see :func:`require_own_rows`.
    """
    require_own_rows(buffer)
    filled = n_filled(buffer)
    if not 0 <= n_rows <= filled:
        raise ValueError(f"n_rows={n_rows} must be from 0 to {filled}, the rows that are filled")
    if n_rows == 0:
        return
    shift = n_rows + (buffer.pos if buffer.full else 0)
    for _, rows in storage(buffer):
        columns = rows[:filled].reshape(filled, -1)
        width = _BLOCK // rows.itemsize
        for start in range(0, columns.shape[1], width):
            columns[:, start : start + width] = np.roll(columns[:, start : start + width], -shift, axis=0)
    buffer.pos, buffer.full = filled - n_rows, False

"""Build a feature-major batch from slices of flat arrays, without ever having it row-major."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_OPTIONS = {"nogil": True, "cache": True}

# Rows copied side by side: sixteen float32 are one cache line of the output.
_TILE_ROWS = 16


def gather(
    source: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    widths: np.ndarray,
    out: np.ndarray,
    columns: np.ndarray | None = None,
    *,
    n_threads: int = 1,
) -> None:
    """Copy blocks of a flat array into columns of a feature-major batch.

    Row ``r`` of the batch is described by one offset for each block: its features from ``starts[b]`` on are
    ``source[offsets[r, b] : offsets[r, b] + widths[b]]``.

    Args:
        source: float32, flat, contiguous.
        offsets: int64 ``(rows, blocks)``.
        starts: int64 ``(blocks,)``.
        widths: int64 ``(blocks,)``.
        out: float32 ``(features, batch)``, contiguous; overwritten where there are blocks.
        columns: int64 ``(rows,)``, ascending: the column of ``out`` for each row. None: all of them in order.
        n_threads: Threads to share out the blocks.

    Raises:
        IndexError: If a block lies outside the source or the batch.

    Example:
        >>> out = np.empty((3, 2), np.float32)
        >>> source, offsets = np.arange(10, dtype=np.float32), np.array([[0], [5]])
        >>> gather(source, offsets, np.array([0]), np.array([3]), out)
        >>> out.T
        array([[0., 1., 2.],
               [5., 6., 7.]], dtype=float32)
    """
    columns = np.arange(len(offsets)) if columns is None else columns
    if offsets.size and (offsets.min() < 0 or (offsets + widths).max() > len(source) or (starts + widths).max() > len(out)):
        raise IndexError(f"a block lies outside the source of {len(source)} numbers or the batch of {len(out)} features")
    if n_threads > 1 and len(starts) > 1:
        _gather_threads(source, offsets, starts, widths, out, columns)
    else:
        _gather(source, offsets, starts, widths, out, columns, 0, len(starts))


@njit(**_OPTIONS)
def _gather(source, offsets, starts, widths, out, columns, first, last):
    n_rows = offsets.shape[0]
    for block in range(first, last):
        start, width = starts[block], widths[block]
        for row in range(0, n_rows, _TILE_ROWS):
            end = min(row + _TILE_ROWS, n_rows)
            for feature in range(width):
                out_feature = out[start + feature]
                for r in range(row, end):
                    out_feature[columns[r]] = source[offsets[r, block] + feature]


@njit(parallel=True, **_OPTIONS)
def _gather_threads(source, offsets, starts, widths, out, columns):
    for block in prange(starts.shape[0]):
        _gather(source, offsets, starts, widths, out, columns, block, block + 1)

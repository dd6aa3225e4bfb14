"""Build a feature-major batch from slices of flat arrays, without ever having it row-major."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .kernels import use_threads

_OPTIONS = {"nogil": True, "cache": True}

# Rows copied side by side: sixteen float32 are one cache line of the output.
_TILE_ROWS = 16

# Below this many numbers, waking another thread costs more than it saves.
_MIN_NUMBERS_FOR_THREADS = 500_000


def gather(
    source: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    widths: np.ndarray,
    out: np.ndarray,
    *,
    n_threads: int = 1,
) -> None:
    """Copy blocks of a flat array into the columns of a feature-major batch.

    Row ``r`` of the batch is described by one offset for each block: its features from ``starts[b]`` on are
    ``source[offsets[r, b] : offsets[r, b] + widths[b]]``, and go to column ``r``.

    Args:
        source: float32, flat, contiguous.
        offsets: int64 ``(batch, blocks)``.
        starts: int64 ``(blocks,)``.
        widths: int64 ``(blocks,)``.
        out: float32 ``(features, batch)``, contiguous; overwritten where there are blocks.
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
    if len(offsets) != out.shape[1]:
        raise IndexError(f"offsets of {len(offsets)} rows do not fit a batch of {out.shape[1]}")
    if offsets.size and (offsets.min() < 0 or (offsets + widths).max() > len(source) or (starts + widths).max() > len(out)):
        raise IndexError(f"a block lies outside the source of {len(source)} numbers or the batch of {len(out)} features")
    if n_threads > 1 and offsets.size and widths.sum() * len(offsets) >= _MIN_NUMBERS_FOR_THREADS:
        use_threads(n_threads)
        _gather_threads(source, offsets, starts, widths, out)
    else:
        _gather(source, offsets, starts, widths, out, 0, len(starts))


@njit(**_OPTIONS)
def _gather(source, offsets, starts, widths, out, first, last):
    batch = offsets.shape[0]
    whole_tiles = batch - batch % _TILE_ROWS
    at = np.empty(_TILE_ROWS, np.int64)
    for block in range(first, last):
        start, width = starts[block], widths[block]
        for row in range(0, whole_tiles, _TILE_ROWS):
            for r in range(_TILE_ROWS):
                at[r] = offsets[row + r, block]
            for feature in range(width):
                out_tile = out[start + feature, row : row + _TILE_ROWS]
                for r in range(_TILE_ROWS):
                    out_tile[r] = source[at[r] + feature]
        for row in range(whole_tiles, batch):
            for feature in range(width):
                out[start + feature, row] = source[offsets[row, block] + feature]


@njit(parallel=True, **_OPTIONS)
def _gather_threads(source, offsets, starts, widths, out):
    for block in prange(starts.shape[0]):
        _gather(source, offsets, starts, widths, out, block, block + 1)

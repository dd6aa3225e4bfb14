"""Batches that are described as slices of flat arrays, and built feature-major, without ever being row-major."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import threads
from .compiled import compiled

# Rows copied side by side: sixteen float32 are one cache line of the output.
TILE_ROWS = 16


class Slices(NamedTuple):
    """A batch as the places its numbers are read from: block ``b`` of row ``r`` is a run of one flat array.

    Features ``starts[b]`` to before ``starts[b] + widths[b]`` of row ``r`` are
    ``sources[which[b]][offsets[b, r] : offsets[b, r] + widths[b]]``.

    Attributes:
        sources: float32, flat, contiguous, read-only.
        which: int64 ``(blocks,)``.
        starts: int64 ``(blocks,)``, ascending.
        widths: int64 ``(blocks,)``; blocks do not overlap.
        offsets: int64 ``(blocks, batch)``, contiguous.
    """

    sources: tuple[np.ndarray, ...]
    which: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    offsets: np.ndarray

    @property
    def n_features(self) -> int:
        """Features of the batch."""
        return int(self.starts[-1] + self.widths[-1])

    @property
    def batch(self) -> int:
        """Rows of the batch."""
        return self.offsets.shape[1]

    @classmethod
    def join(cls, *parts: tuple[np.ndarray, np.ndarray, Sequence[int]]) -> Slices:
        """Put blocks of several sources side by side.

        Args:
            *parts: Of each source, float32 and flat, the offsets int64 ``(batch, blocks)`` and the widths of its blocks.

        Raises:
            IndexError: If a block lies outside its source.

        Example:
            >>> numbers = np.arange(10, dtype=np.float32)
            >>> Slices.join((numbers, np.array([[0], [5]]), [3])).build().T
            array([[0., 1., 2.],
                   [5., 6., 7.]], dtype=float32)
        """
        for source, offsets, widths in parts:
            if offsets.size and (offsets.min() < 0 or (offsets + widths).max() > len(source)):
                raise IndexError(f"a block lies outside its source of {len(source)} numbers")
        sources = [source.view() for source, _, _ in parts]
        for source in sources:
            source.flags.writeable = False  # numba tells arrays apart by this
        widths = np.concatenate([widths for _, _, widths in parts]).astype(np.int64)
        return cls(
            tuple(sources),
            np.repeat(np.arange(len(parts)), [len(widths) for _, _, widths in parts]),
            np.cumsum(widths) - widths,
            widths,
            np.ascontiguousarray(np.concatenate([offsets for _, offsets, _ in parts], axis=1).T),
        )

    def build(self, out: np.ndarray | None = None) -> np.ndarray:
        """Build the batch.

        Args:
            out: float32 ``(n_features, batch)``, contiguous, overwritten. None: a new array.

        Raises:
            ValueError: If ``out`` has another shape.
        """
        shape = self.n_features, self.batch
        out = np.empty(shape, np.float32) if out is None else out
        if out.shape != shape:
            raise ValueError(f"out must have shape {shape}, got {out.shape}")
        n_threads = threads.worth(out.size)
        bounds = row_bounds(self.batch, n_threads)
        copy(self, 0, len(out), out, 0, bounds, n_threads, threads.TEAM)
        return out

    def features(self, features: np.ndarray) -> np.ndarray:
        """Some of the features alone, float32 ``(n, batch)``, a new array.

        Args:
            features: int64 ``(n,)``.
        """
        blocks = np.searchsorted(self.starts, features, side="right") - 1
        where = self.offsets[blocks] + (features - self.starts[blocks])[:, None]
        out = np.empty(where.shape, np.float32)
        for number, source in enumerate(self.sources):
            rows = self.which[blocks] == number
            out[rows] = source[where[rows]]
        return out


def row_bounds(batch: int, parts: int) -> np.ndarray:
    """Cut a batch into so many runs of whole tiles, or fewer where it is small; int64 ``(runs + 1,)``."""
    tiles = -(-batch // TILE_ROWS)
    runs = max(1, min(parts, tiles))
    return np.minimum(np.arange(runs + 1) * tiles // runs * TILE_ROWS, batch)


@compiled()
def copy_blocks(slices, first_feature, last_feature, first_row, last_row, out, to_feature, to_row):
    """Copy a range of features and rows to ``out``, where they begin at ``(to_feature, to_row)``."""
    starts, offsets = slices.starts, slices.offsets
    block = np.searchsorted(starts, first_feature, side="right") - 1
    whole_tiles = first_row + (last_row - first_row) // TILE_ROWS * TILE_ROWS
    at = np.empty(TILE_ROWS, np.int64)
    while block < starts.shape[0] and starts[block] < last_feature:
        source = slices.sources[slices.which[block]]
        skipped = max(first_feature - starts[block], 0)
        width = min(slices.widths[block], last_feature - starts[block]) - skipped
        feature = to_feature + starts[block] + skipped - first_feature
        for row in range(first_row, whole_tiles, TILE_ROWS):
            for r in range(TILE_ROWS):
                at[r] = offsets[block, row + r] + skipped
            column = to_row + row - first_row
            for i in range(width):
                tile = out[feature + i, column : column + TILE_ROWS]
                for r in range(TILE_ROWS):
                    tile[r] = source[at[r] + i]
        for row in range(whole_tiles, last_row):
            for i in range(width):
                out[feature + i, to_row + row - first_row] = source[offsets[block, row] + skipped + i]
        block += 1


@compiled()
def _copy_rows(t, slices, first_feature, last_feature, out, to_feature, bounds):
    copy_blocks(slices, first_feature, last_feature, bounds[t], bounds[t + 1], out, to_feature, bounds[t])


@compiled()
def copy(slices, first_feature, last_feature, out, to_feature, bounds, n_threads, team):
    """Copy a range of features to ``out``, from ``to_feature`` on; threads share out the rows."""
    arguments = (slices, first_feature, last_feature, out, to_feature, bounds)
    threads.share_out(_copy_rows, arguments, bounds.shape[0] - 1, n_threads, team)

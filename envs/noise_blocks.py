"""Which numbers of a table the noise of a key is: blocks of features, each read side by side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .noise_tables import BLOCK_WIDTH, NoiseTable

_FEWEST_BLOCKS = 8  # an observation has so many at least, where it has that many noise features
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 2**16  # numbers copied at a time, so that the copy stays in the processor's cache


class Segments(NamedTuple):
    """Where a batch's noise lies: noise feature ``starts[b] + j`` of row ``i`` is ``table[offsets[i, b] + j]``.

    Attributes:
        table: float32, flat, read-only.
        offsets: int64 (rows, blocks).
        starts: int64 (blocks,), the first noise feature of each block.
        widths: int64 (blocks,), how many noise features each block holds: at most 256.
    """

    table: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    widths: np.ndarray


class NoiseBlocks:
    """Noise features cut into blocks.

    No block crosses from one part of the table to the next, from one copy of a recording to the next, or from live
    features to dead ones, which are read from the zeros at the table's end. Where each time step is drawn anew, a hash
    of (stream, t, block) says where a block is read: one for a whole observation would soon give the same vector twice.
    Otherwise a hash of (stream, block) says where it is read at t = 0, and from there it moves on with t.

    Args:
        table: what is read.
        n_noise: noise features.
        n_live: the first ``n_live`` of them vary, the others are 0.
    """

    def __init__(self, table: NoiseTable, n_noise: int, n_live: int):
        self._table = table
        groups = _groups(table, n_noise)
        width = BLOCK_WIDTH if table.whole_rows else min(BLOCK_WIDTH, max(1, n_noise // _FEWEST_BLOCKS))
        ends = np.cumsum(np.concatenate([groups_of(size, -(-size // width)) for size in groups]))
        edges = np.union1d(np.concatenate(([0], ends)), [n_live])
        self._starts, self._widths = edges[:-1], np.diff(edges)
        self._runs = self._find_runs()

        dead = self._starts >= n_live
        group_ends = np.cumsum(groups)
        group = np.searchsorted(group_ends, self._starts, side="right")
        place = self._starts - (group_ends - groups)[group] if table.whole_rows else group * table.length
        self._first = np.where(dead, len(table.numbers) - BLOCK_WIDTH, place)
        # Blocks of one track stay together over time.
        track = group if table.whole_rows else np.searchsorted(ends, self._starts, side="right")
        self._salt = (track + 1).astype(np.uint64) * _GOLDEN
        if table.stride == 0:
            self._span = np.where(dead, 1, table.length - BLOCK_WIDTH + 1)
            return
        # A stream's tracks begin far from each other, lest one follows closely what another does: each somewhere in the
        # first half of its share of the table.
        self._grain = table.stride if table.whole_rows else 1
        self._positions = table.length // self._grain
        n_tracks = max(1, len(groups) if table.whole_rows else len(ends))
        self._share = track * self._positions // n_tracks
        self._span = max(1, self._positions // n_tracks // 2)
        self._length = np.where(dead, 1, table.length)

    def segments(self, keys: np.ndarray) -> Segments:
        """Say where in the table the noise of these keys lies, uint64 (rows, 2), without copying it."""
        offsets = self._drawn(keys) if self._table.stride == 0 else self._played(keys)
        return Segments(self._table.numbers, offsets, self._starts, self._widths)

    def copy(self, keys: np.ndarray, out: np.ndarray) -> None:
        """Copy the noise of these keys, uint64 (rows, 2), to ``out``, float32 (rows, n_noise)."""
        offsets = self.segments(keys).offsets
        step = max(1, _CHUNK // out.shape[1])
        for i in range(0, len(keys), step):
            rows = slice(i, i + step)
            for features, blocks, windows in self._runs:
                # windows[o] is the view table[o : o + width], so this copies whole blocks
                out[rows, features] = windows[offsets[rows, blocks]].reshape(-1, features.stop - features.start)

    def _drawn(self, keys: np.ndarray) -> np.ndarray:
        """Offsets that are new for each t."""
        row = _mix(keys[:, 0] + _mix(keys[:, 1] * _GOLDEN))
        return self._first + _below(self._span, row[:, None] + self._salt)

    def _played(self, keys: np.ndarray) -> np.ndarray:
        """Offsets that move on with t; whose share of the table is where turns with the stream."""
        stream = _mix(keys[:, :1])
        begin = self._share + _below(self._span, stream + self._salt) + _below(self._positions, stream)
        period = self._table.length // self._table.stride
        moved = (keys[:, 1:] % np.uint64(period)).astype(np.int64) * self._table.stride
        return self._first + (begin * self._grain + moved) % self._length

    def _find_runs(self) -> list[tuple[slice, slice, np.ndarray]]:
        """Neighbouring blocks of one width: their features, the blocks, and every window of that width in the table."""
        starts, widths, runs = self._starts, self._widths, []
        turns = np.flatnonzero(np.diff(widths)) + 1
        for blocks in np.split(np.arange(len(widths)), turns) if len(widths) else []:
            first, last = blocks[0], blocks[-1]
            windows = np.lib.stride_tricks.sliding_window_view(self._table.numbers, widths[first])
            runs.append((slice(starts[first], starts[last] + widths[last]), slice(first, last + 1), windows))
        return runs


def groups_of(n: int, parts: int) -> np.ndarray:
    """Cut n features into so many groups that differ by at most one in size, larger ones first; int64 (parts,)."""
    return n // max(parts, 1) + (np.arange(parts) < n % max(parts, 1)).astype(np.int64)


def _groups(table: NoiseTable, n_noise: int) -> np.ndarray:
    """How many noise features belong together: int64 (groups,)."""
    if not table.whole_rows:
        return groups_of(n_noise, table.parts)
    n_copies, rest = divmod(n_noise, table.stride)
    return np.array([table.stride] * n_copies + [rest])


def _below(span: np.ndarray | int, seed: np.ndarray) -> np.ndarray:
    """Numbers below a span, int64, each hashed from a seed, uint64."""
    # (32 random bits × span) / 2³²: no division
    return ((_mix(seed) >> np.uint64(32)) * np.asarray(span, np.uint64) >> np.uint64(32)).astype(np.int64)


def _mix(x: np.ndarray) -> np.ndarray:
    """Scramble uint64 numbers, one to one: the finaliser of SplitMix64 (Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

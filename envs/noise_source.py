"""Noise as a pure function of a key, so that nobody needs to store it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from .histogram import FeatureHistogram

DISTRIBUTIONS = ("normal", "uniform", "imitate")

BLOCK_WIDTH = 256  # noise features read from one offset of the table, at most
_FEWEST_BLOCKS = 8  # offsets an observation draws at least, where it has that many noise features
_TABLE_LENGTH = 2**24
_SHORTEST_SUBTABLE = 2**16
_TABLE_SEED = 0x51F7
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


@dataclass(frozen=True)
class NoiseSource:
    """The noise features of every observation, each a pure function of the observation's key.

    A key is a pair of uint64 ``(stream, t)``. Noise is read from a long table that depends on the distribution alone
    (never on a run's seed) and is shared by all sources of a process. Each block of at most 256 features is read at an
    offset of its own, a hash of (stream, t, block): one offset for a whole observation would soon give the same vector
    twice. Pickles and copies leave the table out.

    Args:
        n_real: real features of the task.
        n_noise: noise features.
        distribution: ``"normal"`` N(0, std²), ``"uniform"`` U(−√3 std, √3 std), or ``"imitate"``: each noise feature
            follows the histogram of one real feature, independently in time. Neighbours imitate the same real feature,
            as many each as can be.
        std: standard deviation of normal and uniform noise.
        histogram: of the real features, for ``"imitate"`` only.
        n_live: the first ``n_live`` noise features vary and the others are 0; ``None``: all vary.

    Raises:
        ValueError: an argument out of its range, or a histogram missing, of another size, or given where it is not
            used.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering), §3 for normal noise, its second noise type for ``"imitate"``.
        There, noise feature i imitates real feature i mod d; here they are grouped, which only renames the noise
        features.

    Example:
        >>> source = NoiseSource(n_real=17, n_noise=153)
        >>> keys = np.array([[7, 0], [7, 1]], dtype=np.uint64)
        >>> noise, again = np.empty((2, 153), np.float32), np.empty((2, 153), np.float32)
        >>> source.fill(keys, noise)
        >>> source.fill(keys, again)
        >>> bool((noise == again).all()), bool((noise[0] == noise[1]).any())
        (True, False)
    """

    n_real: int
    n_noise: int
    distribution: str = "normal"
    std: float = 1.0
    histogram: FeatureHistogram | None = None
    n_live: int | None = None

    def __post_init__(self):
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {self.distribution!r}")
        if not (math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"std must be a finite number that is not negative, got {self.std!r}")
        if self.n_live is not None and not 0 <= self.n_live <= self.n_noise:
            raise ValueError(f"live_noise must lie between 0 and the {self.n_noise} noise features, got {self.n_live!r}")
        if (self.distribution == "imitate") != (self.histogram is not None):
            raise ValueError(
                f"distribution='imitate' and only it needs a histogram, got {self.distribution!r} and {self.histogram!r}"
            )
        if self.distribution == "imitate" and self.std != 1:
            raise ValueError(
                f"std must stay 1 for distribution='imitate', which takes its spread from the task, got {self.std!r}"
            )
        if self.histogram is not None and self.histogram.n_features != self.n_real:
            raise ValueError(f"histogram must describe the task's {self.n_real} features, got {self.histogram.n_features}")

    @property
    def n_features(self) -> int:
        """Features of a whole observation, real ones and noise."""
        return self.n_real + self.n_noise

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value a noise feature may take."""
        limit = float(np.float32(math.sqrt(3) * self.std)) if self.distribution == "uniform" else math.inf
        return -limit, limit

    def segments(self, keys: np.ndarray) -> Segments:
        """Say where in the table the noise of these keys lies, without copying it.

        Args:
            keys: uint64 (rows, 2), a stream and a step t each.

        Returns:
            The table, and each row's offsets into it.
        """
        plan = self._plan
        row = _mix(keys[:, 0] + _mix(keys[:, 1] * _GOLDEN))
        block = np.arange(1, len(plan.starts) + 1, dtype=np.uint64) * _GOLDEN
        chance = _mix(row[:, None] + block) >> np.uint64(32)
        # (32 random bits × span) / 2³²: a number below the span without a division
        offsets = plan.first_offset + (chance * plan.span >> np.uint64(32)).astype(np.int64)
        return Segments(plan.table, offsets, plan.starts, plan.widths)

    def fill(self, keys: np.ndarray, out: np.ndarray) -> None:
        """Write the noise of these keys.

        Args:
            keys: uint64 (rows, 2), a stream and a step t each.
            out: float32 (rows, n_noise), overwritten; may be a view of a larger array.

        Raises:
            ValueError: keys or out of another dtype or shape.
        """
        if keys.dtype != np.uint64 or keys.ndim != 2 or keys.shape[1] != 2:
            raise ValueError(f"keys must be uint64 of shape (rows, 2), got {keys.dtype} of shape {keys.shape}")
        if out.dtype != np.float32 or out.shape != (len(keys), self.n_noise):
            raise ValueError(
                f"out must be float32 of shape {(len(keys), self.n_noise)}, got {out.dtype} of shape {out.shape}"
            )
        if self.n_noise == 0:
            return
        offsets = self.segments(keys).offsets
        step = max(1, _CHUNK // self.n_noise)
        for i in range(0, len(keys), step):
            rows = slice(i, i + step)
            for features, blocks, windows in self._plan.runs:
                # windows[o] is the view table[o : o + width], so this copies whole blocks
                out[rows, features] = windows[offsets[rows, blocks]].reshape(-1, features.stop - features.start)

    @cached_property
    def _plan(self) -> _Plan:
        return _make_plan(self)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class _Plan(NamedTuple):
    table: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    first_offset: np.ndarray  # int64 (blocks,)
    span: np.ndarray  # uint64 (blocks,), how many offsets a block may have
    # Neighbouring blocks of one width: their features, the blocks, and every window of that width in the table.
    runs: list[tuple[slice, slice, np.ndarray]]


def _make_plan(source: NoiseSource) -> _Plan:
    """Lay out the blocks: none crosses from one sub-table to the next, nor from live features to dead ones."""
    n_groups = 1 if source.histogram is None else source.histogram.n_features
    n_live = source.n_noise if source.n_live is None else source.n_live
    table, length = _table(source.distribution, source.std, source.histogram)
    width = min(BLOCK_WIDTH, max(1, source.n_noise // _FEWEST_BLOCKS))

    group_sizes = _split(source.n_noise, n_groups)
    block_sizes = np.concatenate([_split(size, -(-size // width)) for size in group_sizes])
    edges = np.union1d(np.concatenate(([0], np.cumsum(block_sizes))), [n_live])
    starts, widths = edges[:-1], np.diff(edges)

    group = np.searchsorted(np.cumsum(group_sizes), starts, side="right")
    dead = starts >= n_live  # these read the zeros at the end of the table
    first_offset = np.where(dead, n_groups * length, group * length)
    span = np.where(dead, 1, length - BLOCK_WIDTH + 1).astype(np.uint64)

    runs = []
    turns = np.flatnonzero(np.diff(widths)) + 1
    for blocks in np.split(np.arange(len(widths)), turns) if len(widths) else []:
        first, last = blocks[0], blocks[-1]
        windows = np.lib.stride_tricks.sliding_window_view(table, widths[first])
        runs.append((slice(starts[first], starts[last] + widths[last]), slice(first, last + 1), windows))
    return _Plan(table, starts, widths, first_offset, span, runs)


def _split(n: int, parts: int) -> np.ndarray:
    """Cut n into so many parts that differ by at most one, larger ones first."""
    return n // max(parts, 1) + (np.arange(parts) < n % max(parts, 1)).astype(np.int64)


@lru_cache(maxsize=4)
def _table(distribution: str, std: float, histogram: FeatureHistogram | None) -> tuple[np.ndarray, int]:
    """Draw the numbers all noise is read from, and say how long a sub-table is.

    One sub-table per imitated feature, or a single one, and then one block of zeros.
    """
    rng = np.random.default_rng(_TABLE_SEED)
    if histogram is not None:
        length = max(_SHORTEST_SUBTABLE, _TABLE_LENGTH // histogram.n_features)
        zeros = np.zeros(BLOCK_WIDTH, np.float32)
        table = np.concatenate([*(histogram.draw(i, length, rng) for i in range(histogram.n_features)), zeros])
    else:
        length = _TABLE_LENGTH
        table = np.empty(length + BLOCK_WIDTH, np.float32)
        table[length:] = 0
        numbers = table[:length]
        if distribution == "normal":
            rng.standard_normal(dtype=np.float32, out=numbers)
            numbers *= np.float32(std)
        else:
            rng.random(dtype=np.float32, out=numbers)
            numbers -= np.float32(0.5)
            numbers *= np.float32(2 * math.sqrt(3) * std)
    table.flags.writeable = False
    return table, length


def _mix(x: np.ndarray) -> np.ndarray:
    """Scramble uint64 numbers, one to one: the finaliser of SplitMix64 (Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

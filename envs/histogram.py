"""Histograms of a task's real features, for noise that imitates them."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from .recording import play, spec_json

N_BINS = 100


@dataclass(frozen=True, eq=False)
class FeatureHistogram:
    """How often each real feature took which values.

    Args:
        edges: float64 (features, bins + 1), rising along each row.
        counts: float64 (features, bins), not negative, some positive in each row.

    Raises:
        ValueError: arrays that are not such a histogram.

    Example:
        >>> histogram = FeatureHistogram.record("Pendulum-v1", n_steps=500)
        >>> histogram.counts.shape, float(histogram.counts[0].sum())
        ((3, 100), 500.0)
    """

    edges: np.ndarray
    counts: np.ndarray

    def __post_init__(self):
        edges, counts = (np.array(a, dtype=np.float64) for a in (self.edges, self.counts))
        if edges.ndim != 2 or counts.ndim != 2 or not counts.size or edges.shape != (len(counts), counts.shape[1] + 1):
            raise ValueError(
                f"a histogram needs edges of shape (features, bins + 1) and counts of shape (features, bins), "
                f"got {edges.shape} and {counts.shape}"
            )
        if not np.isfinite(edges).all() or (np.diff(edges, axis=1) < 0).any():
            raise ValueError("edges of a histogram must be finite and rise along each row")
        if not np.isfinite(counts).all() or (counts < 0).any() or not (counts.sum(axis=1) > 0).all():
            raise ValueError("counts of a histogram must not be negative, with at least one positive in each row")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "counts", counts)

    @property
    def n_features(self) -> int:
        """How many features the histogram describes."""
        return len(self.counts)

    @cached_property
    def std(self) -> np.ndarray:
        """Standard deviation of each feature, float64 (features,), to within its bins."""
        values, weights = (self.edges[:, :-1] + self.edges[:, 1:]) / 2, self.counts / self.counts.sum(axis=1, keepdims=True)
        mean = (values * weights).sum(axis=1, keepdims=True)
        return np.sqrt((np.square(values - mean) * weights).sum(axis=1))

    @classmethod
    def record(cls, task: str | EnvSpec, n_steps: int = 10_000, seed: int = 0) -> FeatureHistogram:
        """Watch a seeded copy of a task under random actions.

        Args:
            task: id or spec of the task, with its real features alone.
            n_steps: environment steps to watch; the observations after a reset are not counted.
            seed: of the copy and of its random actions.

        Returns:
            100 bins a feature, from its lowest to its highest value seen. The same arguments always give the same.

        Raises:
            TypeError: the task has no Box observations.
            ValueError: n_steps below 1, or observations with several axes.

        Source:
            Grooten et al. 2023, ``RealFeatureDistribution`` of the published code.
        """
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps!r}")
        return _record(spec_json(task), n_steps, seed)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureHistogram:
        """Read a histogram from a file.

        Args:
            path: an ``.npz`` file with arrays ``edges`` and ``counts``.

        Raises:
            ValueError: the file is missing, unreadable, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                edges, counts = arrays["edges"], arrays["counts"]
        except (OSError, KeyError, TypeError, AttributeError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"histogram must be an .npz file with arrays 'edges' and 'counts', got {os.fspath(path)!r} ({error})"
            ) from error
        try:
            return cls(edges, counts)
        except ValueError as error:
            raise ValueError(f"histogram {os.fspath(path)!r} cannot be used: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the histogram to an ``.npz`` file."""
        with open(path, "wb") as file:
            np.savez_compressed(file, edges=self.edges, counts=self.counts)

    def draw(self, feature: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n values of one feature, float32: a bin by its probability, then uniformly within the bin."""
        counts = self.counts[feature]
        cumulated = np.concatenate(([0.0], np.cumsum(counts))) / counts.sum()
        # A line through each bin of the inverse distribution function is just that, with one uniform number instead of
        # two.
        return np.interp(rng.random(n), cumulated, self.edges[feature]).astype(np.float32)

    @cached_property
    def _digest(self) -> bytes:
        return sha256(repr(self.counts.shape).encode() + self.edges.tobytes() + self.counts.tobytes()).digest()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, FeatureHistogram) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@lru_cache(maxsize=8)
def _record(task: str, n_steps: int, seed: int) -> FeatureHistogram:
    """Record once for all environments of a vector."""
    followed = (observation.copy() for observation, is_first in play(task, seed) if not is_first)
    seen = np.array(list(islice(followed, n_steps)), np.float64)
    low, high = seen.min(axis=0), seen.max(axis=0)
    bins = ((seen - low) / np.where(high > low, high - low, 1) * N_BINS).astype(np.int64).clip(0, N_BINS - 1)
    counts = np.stack([np.bincount(column, minlength=N_BINS) for column in bins.T])
    return FeatureHistogram(np.linspace(low, high, N_BINS + 1, axis=1), counts)

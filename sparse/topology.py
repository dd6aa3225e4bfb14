"""The set of links of one layer: create it, read it, drop and grow links, with exact counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .choice import sample_distinct


@dataclass(frozen=True, eq=False)
class Topology:
    """Which input feature feeds which neuron. Immutable: rewiring makes a new one.

    A link from input feature ``i`` to neuron ``j`` is the position ``i * out_features + j``. Links are kept in the order of
    their positions, sorted by input feature, which is the order of the layer's weights: the kernels then read each
    feature of a batch once and use it for all of its links.

    Args:
        shape: ``(out_features, in_features)``, the shape of the dense weight.
        positions: int64 ``(n_links,)``, sorted and without repeats.

    Raises:
        ValueError: If the positions are not sorted, not distinct or out of range.

    Example:
        >>> topology = Topology.from_mask(np.array([[True, False, True], [False, False, True]]))
        >>> topology.positions.tolist(), topology.fan_in().tolist(), topology.fan_out().tolist()
        ([0, 4, 5], [2, 1], [1, 0, 2])
    """

    shape: tuple[int, int]
    positions: np.ndarray

    def __post_init__(self) -> None:
        positions = self.positions
        sorted_and_distinct = bool(np.all(np.diff(positions) > 0))
        in_range = len(positions) == 0 or (positions[0] >= 0 and positions[-1] < self.size)
        if not (sorted_and_distinct and in_range):
            raise ValueError(f"positions must be sorted, distinct and in [0, {self.size}) for a layer of shape {self.shape}")

    @classmethod
    def random(cls, shape: tuple[int, int], n_links: int, rng: np.random.Generator) -> Topology:
        """``n_links`` distinct places, all equally likely; never lists the empty ones."""
        return cls(tuple(shape), sample_distinct(shape[0] * shape[1], n_links, rng))

    @classmethod
    def random_fan_in(cls, shape: tuple[int, int], fan_in: int, rng: np.random.Generator) -> Topology:
        """``fan_in`` links into each neuron, all sets of features equally likely; never lists the empty places.

        Raises:
            ValueError: If ``fan_in`` is negative or above the number of features.
        """
        n_out, n_in = shape
        features = np.concatenate([sample_distinct(n_in, fan_in, rng) for _ in range(n_out)])
        return cls((n_out, n_in), np.sort(features * n_out + np.repeat(np.arange(n_out), fan_in)))

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> Topology:
        """The links where a bool ``(out_features, in_features)`` mask is true."""
        return cls(tuple(mask.shape), np.flatnonzero(mask.T).astype(np.int64))

    @classmethod
    def from_csc(cls, shape: tuple[int, int], indptr: np.ndarray, neurons: np.ndarray) -> Topology:
        """The inverse of :attr:`indptr` and :attr:`neurons`."""
        inputs = np.repeat(np.arange(shape[1], dtype=np.int64), np.diff(indptr))
        return cls(tuple(shape), inputs * shape[0] + neurons)

    @property
    def size(self) -> int:
        """Places in the layer: ``out_features * in_features``."""
        return self.shape[0] * self.shape[1]

    @property
    def n_links(self) -> int:
        """Links in the layer."""
        return len(self.positions)

    @property
    def density(self) -> float:
        """Links over places."""
        return self.n_links / self.size

    @cached_property
    def inputs(self) -> np.ndarray:
        """int64 ``(n_links,)``: the input feature of each link, ascending."""
        return self.positions // self.shape[0]

    @cached_property
    def neurons(self) -> np.ndarray:
        """int32 ``(n_links,)``: the neuron each link feeds."""
        return (self.positions % self.shape[0]).astype(np.int32)

    @cached_property
    def indptr(self) -> np.ndarray:
        """int64 ``(in_features + 1,)``: the links of feature ``i`` are ``indptr[i]`` to ``indptr[i + 1]``."""
        return np.searchsorted(self.positions, np.arange(self.shape[1] + 1, dtype=np.int64) * self.shape[0])

    def fan_in(self) -> np.ndarray:
        """int64 ``(out_features,)``: links into each neuron."""
        return np.bincount(self.neurons, minlength=self.shape[0])

    def fan_out(self) -> np.ndarray:
        """int64 ``(in_features,)``: links out of each input feature."""
        return np.diff(self.indptr)

    def mask(self) -> np.ndarray:
        """bool ``(out_features, in_features)``: true where there is a link."""
        mask = np.zeros(self.size, dtype=bool)
        mask[self.positions] = True
        return mask.reshape(self.shape[::-1]).T

    def rewire(self, dropped: np.ndarray, grown: np.ndarray) -> tuple[Topology, np.ndarray]:
        """Drop some links and grow others.

        Args:
            dropped: int64, numbers of links in ``[0, n_links)``.
            grown: int64, empty positions, or positions of dropped links.

        Returns:
            The new topology, and int64 ``source`` of its number of links: ``source[l]`` is the number that link ``l`` had
            before, or -1 if it was grown. A link that is dropped and grown again counts as grown.

        Raises:
            ValueError: If a grown position is taken.
        """
        survivors = np.delete(np.arange(self.n_links), dropped)
        positions = np.concatenate([self.positions[survivors], grown])
        source = np.concatenate([survivors, np.full(len(grown), -1, dtype=np.int64)])
        order = np.argsort(positions, kind="stable")
        return Topology(self.shape, positions[order]), source[order]

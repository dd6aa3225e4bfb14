"""Which links to drop, and where to grow new ones.

A drop rule sees the weights of a layer's links; a grow rule sees the flat numbers of the places that are taken. Neither
knows of layers or optimisers, and each returns exactly as many as it is asked for. Ties are broken at random: in index
order they would fall on the lowest features time and again, for instance among links grown at 0 and not trained since.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

DropRule = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""``rule(weight, n_drop, rng)``: float (n_links,) weights to the int64 (n_drop,) indices, sorted, of links to drop."""


def sample_distinct(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``k`` different numbers from [0, n), every set as likely as any other.

    Time and memory follow ``k``, not ``n``: NumPy draws by Floyd's method and lists the range only where it has less
    than 20 ``k`` numbers.

    Returns:
        int64 (k,), sorted.

    Raises:
        ValueError: If ``k`` is negative or above ``n``.
    """
    _require_count("k", k, n)
    return np.sort(rng.choice(n, k, replace=False, shuffle=False)) if k else np.empty(0, np.int64)


def k_smallest(scores: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Find the ``k`` smallest scores, in linear time; scores that tie for the last places are drawn at random.

    Args:
        scores: Numbers (n,), infinities included.
        k: How many, in [0, n].
        rng: Generator for the ties; it is not touched where nothing ties.

    Returns:
        Indices, int64 (k,), sorted.

    Raises:
        ValueError: If ``k`` is out of range or a score is NaN.

    Example:
        >>> k_smallest(np.array([3.0, 1.0, 2.0]), 2, np.random.default_rng(0))
        array([1, 2])
    """
    _require_count("k", k, scores.size)
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, so there is no order among them; the weights or gradients have diverged")
    if k == 0:
        return np.empty(0, np.int64)
    last = np.partition(scores, k - 1)[k - 1]
    chosen = scores < last
    tied = np.flatnonzero(scores == last)
    n_tied = k - np.count_nonzero(chosen)
    chosen[tied if n_tied == tied.size else tied[sample_distinct(tied.size, n_tied, rng)]] = True
    return np.flatnonzero(chosen)


def magnitude(weight: np.ndarray, n_drop: int, rng: np.random.Generator) -> np.ndarray:
    """Drop the weights of smallest magnitude.

    Args:
        weight: Weights of the links, float32 (n_links,).
        n_drop: How many links to drop, in [0, n_links].
        rng: Generator for the ties.

    Returns:
        Indices of the links to drop, int64 (n_drop,), sorted.

    Raises:
        ValueError: If ``n_drop`` is out of range or a weight is NaN.

    Source:
        Evci et al., "Rigging the Lottery" (2020), section 3; Grooten et al., "Automatic Noise Filtering" (2023),
        section 4.
    """
    return k_smallest(np.abs(weight), n_drop, rng)


def set_signed(weight: np.ndarray, n_drop: int, rng: np.random.Generator) -> np.ndarray:
    """Drop the smallest positive and the largest negative weights, the same fraction of each.

    Args:
        weight: Weights of the links, float32 (n_links,).
        n_drop: How many links to drop, in [0, n_links]; split in proportion to the two groups, rounded.
        rng: Generator for the ties.

    Returns:
        Indices of the links to drop, int64 (n_drop,), sorted.

    Raises:
        ValueError: If ``n_drop`` is out of range or a weight is NaN.

    Source:
        Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
        network science" (2018), box 1; Sokar et al., "Dynamic Sparse Training for Deep Reinforcement Learning" (2022),
        algorithm 2. Deviation: the published codes cut at a threshold in each group, which drops more or fewer where
        weights tie, and loses links of weight 0; here the count is exact, and zeros are the first of the positives.

    Example:
        >>> set_signed(np.array([0.1, -0.2, 0.3, -0.4]), 2, np.random.default_rng(0))
        array([0, 1])
    """
    _require_count("n_drop", n_drop, weight.size)
    negative = weight < 0
    groups = np.flatnonzero(~negative), np.flatnonzero(negative)
    n_upper = round(n_drop * groups[0].size / max(weight.size, 1))
    counts = n_upper, n_drop - n_upper
    dropped = [group[magnitude(weight[group], count, rng)] for group, count in zip(groups, counts, strict=True)]
    return np.sort(np.concatenate(dropped))


def random_links(weight: np.ndarray, n_drop: int, rng: np.random.Generator) -> np.ndarray:
    """Drop links at random, whatever their weights: the control for the other rules.

    Args:
        weight: Weights of the links, float32 (n_links,).
        n_drop: How many links to drop, in [0, n_links].
        rng: Generator of the draw.

    Returns:
        Indices of the links to drop, int64 (n_drop,), sorted.

    Raises:
        ValueError: If ``n_drop`` is out of range.
    """
    return sample_distinct(weight.size, n_drop, rng)


@dataclass(frozen=True)
class GrowRule(ABC):
    """Chooses the places of new links.

    Attributes:
        allow_regrowth: Whether a link dropped in the same rewiring may come back; the caller marks its place as taken
            where it may not.
        needs_gradient: Whether the rule reads the dense gradient.
    """

    needs_gradient: ClassVar[bool] = False
    allow_regrowth: bool = False

    @abstractmethod
    def __call__(
        self,
        occupied: np.ndarray,
        size: int,
        n_grow: int,
        rng: np.random.Generator,
        gradient: np.ndarray | None = None,
    ) -> np.ndarray:
        """Choose places for new links among those that are not taken.

        Args:
            occupied: Places where no link may grow, int64 (n_occupied,), sorted and different, in [0, size).
            size: Number of places of the layer.
            n_grow: How many links to grow, in [0, size - n_occupied].
            rng: Generator of the draw, and for ties.
            gradient: Gradient of the loss for every place, float (size,), for the rules that need it.

        Returns:
            Places, int64 (n_grow,), sorted and different.

        Raises:
            ValueError: If there are fewer than ``n_grow`` places left, or the gradient is needed and missing, of
                another shape, or NaN at a place that is not taken.
        """


@dataclass(frozen=True)
class RandomGrowth(GrowRule):
    """Grow at random, every empty place as likely as any other.

    Time and memory follow the numbers of taken and of new places, not the size of the layer.

    Source:
        Mocanu et al. (2018), box 1.

    Example:
        >>> RandomGrowth()(np.array([0, 1, 4]), 6, 3, np.random.default_rng(0))
        array([2, 3, 5])
    """

    def __call__(
        self,
        occupied: np.ndarray,
        size: int,
        n_grow: int,
        rng: np.random.Generator,
        gradient: np.ndarray | None = None,
    ) -> np.ndarray:
        n_empty = size - occupied.size
        _require_count("n_grow", n_grow, n_empty)
        ranks = sample_distinct(n_empty, n_grow, rng)
        # The empty place of rank r lies behind as many taken ones as have at most r empty places before them.
        empty_before = occupied - np.arange(occupied.size)
        return ranks + np.searchsorted(empty_before, ranks, side="right")


@dataclass(frozen=True)
class GradientGrowth(GrowRule):
    """Grow where the loss has the steepest slope: at the empty places of largest absolute gradient.

    Source:
        Evci et al., "Rigging the Lottery" (2020), section 3.

    Example:
        >>> gradient = np.array([9.0, 0.5, -3.0, 1.0], dtype=np.float32)
        >>> GradientGrowth()(np.array([0]), 4, 2, np.random.default_rng(0), gradient)
        array([2, 3])
    """

    needs_gradient: ClassVar[bool] = True

    def __call__(
        self,
        occupied: np.ndarray,
        size: int,
        n_grow: int,
        rng: np.random.Generator,
        gradient: np.ndarray | None = None,
    ) -> np.ndarray:
        _require_count("n_grow", n_grow, size - occupied.size)
        if gradient is None or gradient.shape != (size,):
            found = "None" if gradient is None else f"of shape {gradient.shape}"
            raise ValueError(f"gradient is {found}; growing by gradient needs the dense one, of shape ({size},)")
        scores = -np.abs(gradient)
        scores[occupied] = np.inf
        return k_smallest(scores, n_grow, rng)


DROP_RULES: dict[str, DropRule] = {"magnitude": magnitude, "set_signed": set_signed, "random": random_links}
"""The drop rules, by the name that configurations use."""

GROW_RULES: dict[str, type[GrowRule]] = {"random": RandomGrowth, "gradient": GradientGrowth}
"""The grow rules, by the name that configurations use."""


def _require_count(argument: str, count: int, available: int) -> None:
    if not 0 <= count <= available:
        raise ValueError(f"{argument}={count} is outside [0, {available}], the number there is to choose from")

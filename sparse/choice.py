"""Choose k of n: at random, or the smallest; exactly k, and without favourites."""

from __future__ import annotations

import numpy as np


def sample_distinct(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``k`` different numbers from [0, n), every set as likely as any other.

    Time and memory follow ``k``, not ``n``: NumPy draws by Floyd's method and lists the range only where it has less
    than 20 ``k`` numbers.

    Returns:
        int64 (k,), sorted.

    Raises:
        ValueError: If ``k`` is negative or above ``n``.
    """
    require_count("k", k, n)
    return np.sort(rng.choice(n, k, replace=False, shuffle=False)) if k else np.empty(0, np.int64)


def sample_empty(occupied: np.ndarray, size: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``k`` different places from those of [0, size) that are not taken, every set as likely as any other.

    Time and memory follow the numbers of taken and of drawn places, not ``size``.

    Args:
        occupied: Places that are taken, int64 (n_occupied,), sorted and different.
        size: Number of places.
        k: How many, in [0, size - n_occupied].
        rng: Generator of the draw.

    Returns:
        int64 (k,), sorted.

    Raises:
        ValueError: If there are fewer than ``k`` places left.

    Example:
        >>> sample_empty(np.array([0, 1, 4]), 6, 3, np.random.default_rng(0))
        array([2, 3, 5])
    """
    ranks = sample_distinct(size - occupied.size, k, rng)
    # The empty place of rank r lies behind as many taken ones as have at most r empty places before them.
    empty_before = occupied - np.arange(occupied.size)
    return ranks + np.searchsorted(empty_before, ranks, side="right")


def k_smallest(scores: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Find the ``k`` smallest scores, in linear time; scores that tie for the last places are drawn at random.

    In index order ties would fall on the lowest features time and again, for instance among links grown at 0 and not
    trained since.

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
    require_count("k", k, scores.size)
    require_ordered(scores)
    if k == 0:
        return np.empty(0, np.int64)
    last = np.partition(scores, k - 1)[k - 1]
    chosen = scores < last
    tied = np.flatnonzero(scores == last)
    n_tied = k - np.count_nonzero(chosen)
    chosen[tied if n_tied == tied.size else tied[sample_distinct(tied.size, n_tied, rng)]] = True
    return np.flatnonzero(chosen)


def require_count(argument: str, count: int, available: int) -> None:
    """Raise ValueError unless ``count`` is in [0, ``available``]."""
    if not 0 <= count <= available:
        raise ValueError(f"{argument}={count} is outside [0, {available}], the number there is to choose from")


def require_ordered(scores: np.ndarray) -> None:
    """Raise ValueError if a score is NaN."""
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, so there is no order among them; the weights or gradients have diverged")

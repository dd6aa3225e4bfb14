"""What a handful of runs says about a method: aggregates over runs and tasks, and how sure they are.

The definitions are those of rliable, so that numbers can be compared with published ones; in numpy alone.

Source:
    Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice (NeurIPS 2021); its code, rliable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

SEEDS_FOR_A_CLAIM = 5


class Interval(NamedTuple):
    """A statistic and its interval: floats, or arrays of one shape where the statistic is an array."""

    low: Any
    high: Any
    point: Any


def few_seeds(n_seeds: int) -> str:
    """What a table says beside a result of fewer than ``SEEDS_FOR_A_CLAIM`` seeds; empty where there are enough.

    Example:
        >>> few_seeds(3)
        '3 seeds: too few for a claim, which takes 5.'
        >>> few_seeds(5)
        ''
    """
    if n_seeds >= SEEDS_FOR_A_CLAIM:
        return ""
    return f"{n_seeds} seed{'' if n_seeds == 1 else 's'}: too few for a claim, which takes {SEEDS_FOR_A_CLAIM}."


def iqm(scores: np.ndarray) -> float | np.ndarray:
    """Interquartile mean: the mean of the middle half of all runs of all tasks.

    A quarter of the scores, rounded down, is left out at either end: one of five, none of three.

    Args:
        scores: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``; with further axes, such as the points of a curve, one
            interquartile mean for each point.

    Raises:
        ValueError: If there are no scores, or one is NaN.

    Example:
        >>> iqm([1.0, 2.0, 3.0, 4.0, 100.0])
        3.0
    """
    scores = as_scores(scores)
    ordered = np.sort(scores.reshape(-1, *scores.shape[2:]), axis=0)
    cut = len(ordered) // 4
    return plain(ordered[cut : len(ordered) - cut].mean(0))


def mean(scores: np.ndarray) -> float | np.ndarray:
    """The mean over all runs of all tasks.

    Args:
        scores: As `iqm` takes them.

    Raises:
        ValueError: If there are no scores, or one is NaN.
    """
    return plain(as_scores(scores).mean((0, 1)))


def median(scores: np.ndarray) -> float:
    """The median over tasks of the mean over runs: of one task, therefore, the mean.

    Args:
        scores: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``.

    Raises:
        ValueError: If there are no scores, or one is NaN.

    Example:
        >>> median([[1.0, 2.0, 30.0], [3.0, 4.0, 50.0]])
        3.0
    """
    return float(np.median(as_scores(scores).mean(0)))


def optimality_gap(scores: np.ndarray, level: float = 1.0) -> float:
    """How far scores stay below ``level`` on average, those above it counting as on it; smaller is better.

    Args:
        scores: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``.
        level: The score that is good enough, in the scores' unit.

    Raises:
        ValueError: If there are no scores, or one is NaN.

    Example:
        >>> optimality_gap([0.5, 0.75, 4.0])
        0.25
    """
    return float(level - np.minimum(as_scores(scores), level).mean())


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> float:
    """How likely a run of method ``x`` beats one of method ``y`` on the same task, ties counting half; averaged over tasks.

    Args:
        x: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``.
        y: The same, of the other method: its number of runs may differ, its tasks may not.

    Raises:
        ValueError: If the tasks differ in number, there are no scores, or one is NaN.

    Source:
        Mann & Whitney, On a test of whether one of two random variables is stochastically larger than the other (1947):
        their U over the number of pairs.

    Example:
        >>> probability_of_improvement([3.0, 1.0], [2.0, 1.0])
        0.625
    """
    x, y = as_scores(x), as_scores(y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"y must have scores of the {x.shape[1]} tasks of x, not of {y.shape[1]}.")
    wins, ties = x[:, None] > y, x[:, None] == y
    return float(wins.mean() + ties.mean() / 2)


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of runs, over all tasks, with a score above each threshold (rliable's run-score distribution).

    Args:
        scores: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``.
        thresholds: Float ``(n_thresholds,)``.

    Returns:
        Float ``(n_thresholds,)``.

    Raises:
        ValueError: If there are no scores, or one is NaN.

    Example:
        >>> performance_profile([1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 4.0])
        array([1. , 0.5, 0. ])

        With a band around each point:

        >>> stratified_bootstrap([1.0, 2.0, 3.0, 4.0], lambda scores: performance_profile(scores, [0.0, 2.0, 4.0])).high
        array([1., 1., 0.])
    """
    flat = as_scores(scores).ravel()
    return (flat > np.asarray(thresholds)[:, None]).mean(1)


def stratified_bootstrap(
    scores: np.ndarray | tuple[np.ndarray, ...],
    statistic: Callable[..., float | np.ndarray],
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A statistic of runs and its percentile bootstrap interval, the runs of each task resampled with replacement.

    With few runs the interval is too short: of normally distributed scores, one of 95 % from five runs holds the true
    mean in 83 % of all cases and the true interquartile mean in 91 %; from three runs, either in 74 %.

    Args:
        scores: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``; or a tuple of such, one for each method, resampled
            independently of each other. Further axes, such as the points of a curve, stay with their run.
        statistic: Takes each method's scores as ``(n_runs, n_tasks, ...)``; gives a float, or an array, for intervals
            point by point.
        n_resamples: How many resamples.
        level: The interval's level of confidence, in (0, 1).
        seed: Of the generator that resamples.

    Returns:
        The interval, with the statistic of the scores themselves. Its ends are NaN where a method has a single run,
        which says nothing of how runs differ.

    Raises:
        ValueError: If there are no scores, one is NaN, or ``n_resamples`` or ``level`` is out of range.

    Example:
        >>> stratified_bootstrap([3.0, 5.0, 4.0, 6.0, 2.0], iqm)
        Interval(low=2.3333333333333335, high=5.666666666666667, point=4.0)
        >>> stratified_bootstrap(([3.0, 5.0, 4.0], [2.0, 2.5, 3.5]), probability_of_improvement).point
        0.8888888888888888
    """
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, not {n_resamples}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}.")
    methods = [as_scores(one) for one in (scores if isinstance(scores, tuple) else (scores,))]
    point = plain(np.asarray(statistic(*methods)))
    if any(len(one) == 1 for one in methods):
        return Interval(np.nan * point, np.nan * point, point)
    rng = np.random.default_rng(seed)
    drawn = np.sort([statistic(*(_resample(one, rng) for one in methods)) for _ in range(n_resamples)], axis=0)
    # Order statistics, outwards: to interpolate between infinite ones (a level never reached) would give NaN.
    outside = int((1 - level) / 2 * (n_resamples - 1))
    return Interval(plain(drawn[outside]), plain(drawn[-1 - outside]), point)


def difference(x: np.ndarray, y: np.ndarray, statistic: Callable[[np.ndarray], float] = iqm, **bootstrap: float) -> Interval:
    """How much larger a statistic of method ``x`` is than that of method ``y``, their runs being independent.

    Runs that belong together in pairs (same data, same seed of everything) are compared by their differences instead:
    ``stratified_bootstrap(x - y, mean)``.

    Args:
        x: Float ``(n_runs,)`` or ``(n_runs, n_tasks)``.
        y: The same, of the other method.
        statistic: Takes the scores of one method.
        bootstrap: ``n_resamples``, ``level`` and ``seed`` of `stratified_bootstrap`.

    Raises:
        ValueError: As `stratified_bootstrap`.

    Example:
        >>> difference([3.0, 5.0, 4.0], [2.0, 2.5, 3.5], mean).point
        1.3333333333333335
    """
    return stratified_bootstrap((x, y), lambda x, y: statistic(x) - statistic(y), **bootstrap)


def as_scores(scores: np.ndarray) -> np.ndarray:
    """Scores as ``(n_runs, n_tasks, ...)``, a vector being those of one task.

    Raises:
        ValueError: If there are none, one is NaN, or a lone number is given.
    """
    scores = np.asarray(scores, float)
    if not scores.ndim:
        raise ValueError(f"scores must be those of runs, not the number {scores:g}; a tuple is one of methods.")
    if not scores.size:
        raise ValueError("scores must hold at least one run, and hold none.")
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers, and hold NaN: leave out a run without a score, and say so.")
    return scores[:, None] if scores.ndim == 1 else scores


def _resample(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many runs of each task, drawn with replacement, for each task anew."""
    n_runs, n_tasks = scores.shape[:2]
    return scores[rng.integers(n_runs, size=(n_runs, n_tasks)), np.arange(n_tasks)]


def plain(value: np.ndarray) -> float | np.ndarray:
    """A float instead of an array without axes."""
    return value if value.ndim else float(value)

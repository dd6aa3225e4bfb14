"""Tests of dependence, many at a time: F tests of each column of effects on all columns of causes."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special  # scipy.stats takes a second to load

_N_SHIFTS = 64
_SINGULAR = 1e-4  # of the largest size that a direction could have: it is none of its own
_SMALL = 1e-6  # of a column's variance of 1: what is left of one that others determine


def basis(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a constant and these columns: ``(n, rank)``."""
    whole = np.hstack([np.ones((len(columns), 1), np.float32), columns])
    directions, sizes, _ = np.linalg.svd(whole, full_matrices=False)
    return directions[:, sizes > _SINGULAR * sizes[0]]


def without(context: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What an orthonormal basis leaves of columns."""
    return columns - context @ (context.T @ columns)


class Causes:
    """What effects may depend on, given a context; prepared once for any number of effects.

    Effects are ``(n, n_effects)``, orthogonal to the context.

    Args:
        columns: ``(n, n_causes)``.
        context: An orthonormal basis of what is known, a constant among it: ``(n, rank)``.
    """

    def __init__(self, columns: np.ndarray, context: np.ndarray) -> None:
        directions, sizes, _ = np.linalg.svd(without(context, columns), full_matrices=False)
        self._directions = directions[:, sizes > _SINGULAR * math.sqrt(len(columns))]
        self._context = context

    def test(self, effects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F statistic and p-value of the regression of each effect on all causes, ``(n_effects,)`` each.

        They are 0 and 1 for effects of which the context has left nothing, in units of 1. A degree of freedom is set aside
        for an effect's own past.
        """
        degrees = self._directions.shape[1]
        statistic = self._statistic(effects, self._directions.T @ effects)
        rest = self._rest(degrees)
        return statistic, special.fdtrc(degrees, rest, statistic) if degrees and rest >= 1 else np.ones(len(statistic))

    def test_over_time(self, effects: np.ndarray, rate: float) -> np.ndarray:
        """P-values as of :meth:`test`, but where causes and effects may both be correlated over time.

        For those that look significant the statistic is compared with its mean over shifts in time that leave no true
        dependence: that many times fewer independent transitions there are.

        Args:
            effects: As above.
            rate: P-values above it stay as they are: nobody would take those for a dependence.
        """
        statistic, p_values = self.test(effects)
        candidates = np.flatnonzero(p_values <= rate)
        if candidates.size:
            by_chance = self._by_chance(effects[:, candidates])
            degrees = self._directions.shape[1]
            # With a margin for what the mean of so many shifts may be wrong by.
            inflation = np.maximum(by_chance * (1.0 + 2.0 * np.sqrt(2.0 / (degrees * _N_SHIFTS))), 1.0)
            rest = np.maximum(len(effects) / inflation - degrees - self._context.shape[1] - 1, 1.0)
            p_values[candidates] = special.fdtrc(degrees, rest, statistic[candidates] / inflation)
        return p_values

    def _by_chance(self, effects: np.ndarray) -> np.ndarray:
        """The mean of the statistic over shifts in time of the causes, which is as well one of the effects."""
        shifted = (
            self._statistic(effects, whitening.T @ (self._directions.T @ np.roll(effects, -shift, 0)))
            for shift, whitening in self._shifts
        )
        return np.mean(list(shifted), axis=0)

    @functools.cached_property
    def _shifts(self) -> list[tuple[int, np.ndarray]]:
        """Shifts, and what makes an orthonormal basis of what the context leaves of the directions, so shifted."""
        n, degrees = self._directions.shape
        whitenings = []
        for shift in np.linspace(n // 10, n - n // 10, _N_SHIFTS, dtype=int):
            known = self._context.T @ np.roll(self._directions, shift, 0)
            squares, axes = np.linalg.eigh(np.eye(degrees, dtype=known.dtype) - known.T @ known)
            is_left = squares > _SINGULAR**2 * n
            whitenings.append((shift, axes[:, is_left] / np.sqrt(squares[is_left])))
        return whitenings

    def _statistic(self, effects: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
        """The F statistic of effects that have these coordinates, ``(rank, n_effects)``, in an orthonormal basis."""
        degrees, n = len(coordinates), len(effects)
        rest = self._rest(degrees)
        if degrees == 0 or rest < 1:
            return np.zeros(effects.shape[1])
        variance, explained = np.square(effects).sum(0), np.square(coordinates).sum(0)
        left = np.maximum(variance - explained, _SMALL * n)
        return np.where(variance < _SMALL * n, 0.0, (explained / degrees) / (left / rest))

    def _rest(self, degrees: int) -> int:
        return len(self._directions) - degrees - self._context.shape[1] - 1


def least(*p_values: np.ndarray) -> np.ndarray:
    """The p-value of the best of several tests (Bonferroni)."""
    return (len(p_values) * np.min(p_values, axis=0)).clip(max=1.0)


def discovered(p_values: np.ndarray, rate: float) -> np.ndarray:
    """Which hypotheses to reject at this false discovery rate (Benjamini & Hochberg 1995, procedure 1): bool, ``(n,)``."""
    ordered = np.sort(p_values)
    below = np.flatnonzero(ordered * (len(ordered) / np.arange(1, len(ordered) + 1)) <= rate)
    return p_values <= ordered[below[-1]] if below.size else np.zeros(len(p_values), bool)

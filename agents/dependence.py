"""Tests of dependence, many at a time: F tests of each column of effects on all columns of causes."""

from __future__ import annotations

import numpy as np
from scipy import special  # scipy.stats takes a second to load

_N_SHIFTS = 64
_SMALL = 1e-6  # of a column's variance of 1: what is left of one that others determine


def basis(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a constant and these columns: ``(n, rank)``."""
    whole = np.hstack([np.ones((len(columns), 1), np.float32), columns])
    directions, sizes, _ = np.linalg.svd(whole, full_matrices=False)
    return directions[:, sizes > 1e-4 * sizes[0]]


def without(context: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What an orthonormal basis leaves of columns."""
    return columns - context @ (context.T @ columns)


def dependence(effects: np.ndarray, causes: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test whether effects depend on causes, both given the context.

    Args:
        effects: ``(n, n_effects)``, orthogonal to the context.
        causes: ``(n, n_causes)``.
        context: An orthonormal basis of what is known, a constant among it: ``(n, rank)``.

    Returns:
        F statistic and p-value of the regression of each effect on all causes, ``(n_effects,)`` each; 0 and 1 for effects
        of which the context has left nothing, in units of 1. A degree of freedom is set aside for an effect's own past.
    """
    n = len(effects)
    directions = _directions(causes, context)
    degrees, rest = directions.shape[1], n - directions.shape[1] - context.shape[1] - 1
    variance = np.square(effects).sum(0)
    if degrees == 0 or rest < 1:
        return np.zeros(effects.shape[1]), np.ones(effects.shape[1])
    explained = np.square(directions.T @ effects).sum(0)
    left = np.maximum(variance - explained, _SMALL * n)
    statistic = np.where(variance < _SMALL * n, 0.0, (explained / degrees) / (left / rest))
    return statistic, special.fdtrc(degrees, rest, statistic)


def _directions(causes: np.ndarray, context: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what the context leaves of causes: ``(n, rank)``."""
    directions, sizes, _ = np.linalg.svd(without(context, causes), full_matrices=False)
    return directions[:, sizes > 1e-4 * np.sqrt(len(causes))]


def over_time(effects: np.ndarray, causes: np.ndarray, context: np.ndarray, rate: float) -> np.ndarray:
    """P-values of each effect's dependence on all causes, given the context, where both may be correlated over time.

    For those that look significant the statistic is compared with its mean over shifts in time that leave no true
    dependence: that many times fewer independent transitions there are.

    Args:
        effects: ``(n, n_effects)``, orthogonal to the context.
        causes: ``(n, n_causes)``.
        context: An orthonormal basis of what is known, a constant among it: ``(n, rank)``.
        rate: P-values above it stay as they are: nobody would take those for a dependence.
    """
    causes = _directions(causes, context)  # shifted in time, columns that repeat others would no longer count as one
    statistic, p_values = dependence(effects, causes, context)
    candidates = np.flatnonzero(p_values <= rate)
    if candidates.size:
        n = len(effects)
        shifts = np.linspace(n // 10, n - n // 10, _N_SHIFTS, dtype=int)
        by_chance = np.mean(
            [dependence(effects[:, candidates], np.roll(causes, shift, 0), context)[0] for shift in shifts], axis=0
        )
        degrees = causes.shape[1]
        # With a margin for what the mean of so many shifts may be wrong by.
        inflation = np.maximum(by_chance * (1.0 + 2.0 * np.sqrt(2.0 / (degrees * _N_SHIFTS))), 1.0)
        rest = np.maximum(n / inflation - degrees - context.shape[1] - 1, 1.0)
        p_values[candidates] = special.fdtrc(degrees, rest, statistic[candidates] / inflation)
    return p_values


def least(*p_values: np.ndarray) -> np.ndarray:
    """The p-value of the best of several tests (Bonferroni)."""
    return (len(p_values) * np.min(p_values, axis=0)).clip(max=1.0)


def discovered(p_values: np.ndarray, rate: float) -> np.ndarray:
    """Which hypotheses to reject at this false discovery rate (Benjamini & Hochberg 1995, procedure 1): bool, ``(n,)``."""
    ordered = np.sort(p_values)
    below = np.flatnonzero(ordered * (len(ordered) / np.arange(1, len(ordered) + 1)) <= rate)
    return p_values <= ordered[below[-1]] if below.size else np.zeros(len(p_values), bool)

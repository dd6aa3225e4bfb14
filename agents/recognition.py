"""Recognise sensors that stand elsewhere now, by how they respond to actions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

_CLIP = 4.0  # standard deviations: a few impacts must not decide
_TOLERANCE = 0.15  # of a response: the same sensor's differs that much between one stretch of experience and another
_FREEDOM = 3.0  # degrees of freedom of Student's distribution, which forgives single large differences
_TINY = 1e-12
_FORBIDDEN = 1e9


class Signatures(NamedTuple):
    """How features change from step to step, in their own units: what a sensor keeps wherever it stands.

    Attributes:
        features: int64 ``(n,)``: where they stand.
        effects: float64 ``(n, n_actions)``: change in a step for a unit of each action.
        errors: float64 ``(n, n_actions)``: standard errors of these.
        surprises: float64 ``(n,)``: standard deviation of what is left of the change.
    """

    features: np.ndarray
    effects: np.ndarray
    errors: np.ndarray
    surprises: np.ndarray


class Match(NamedTuple):
    """Which sensors are the same.

    Attributes:
        old: int64 ``(n,)``: where sensors stood before.
        new: int64 ``(n,)``: where each of them stands now.
        margins: float64 ``(n,)``: by how much the logarithm of the likelihood of all pairs would fall without this one; 0
            where the two are so unlike that they are no pair.
    """

    old: np.ndarray
    new: np.ndarray
    margins: np.ndarray


def signatures(
    observations: np.ndarray, next_observations: np.ndarray, actions: np.ndarray, features: np.ndarray
) -> Signatures:
    """Measure how these features respond to actions.

    The change of each is regressed on the actions, given all the features, or their first ``n / 4`` principal components
    where they are more. Random actions give the same signatures whatever the agent has learnt; those of a policy depend on
    what it does.

    Args:
        observations: float32 ``(n, n_features)``.
        next_observations: float32 ``(n, n_features)``, the last ones of an episode where it ended.
        actions: float32 ``(n, n_actions)``, in [-1, 1].
        features: int64, where the features stand.

    Returns:
        Their signatures, in the order of ``features``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> actions, here = rng.uniform(-1, 1, (400, 1)), rng.standard_normal((400, 3))
        >>> there = here + actions * [1.0, 5.0, 0.0] + 0.1 * rng.standard_normal((400, 3))
        >>> signatures(here, there, actions, np.array([0, 1])).effects.round(1)
        array([[1.],
               [5.]])
    """
    here = observations[:, features].astype(np.float64)
    changes = next_observations[:, features] - here
    mean, std = changes.mean(0), changes.std(0)
    changes = np.clip(changes, mean - _CLIP * std, mean + _CLIP * std)
    n = len(here)
    context = _context(here, n // 4)
    free, changes = (part - context @ (context.T @ part) for part in (actions.astype(np.float64), changes))
    inverse = np.linalg.pinv(free.T @ free)
    effects = inverse @ (free.T @ changes)
    left = changes - free @ effects
    degrees = max(n - context.shape[1] - free.shape[1], 1)
    surprises = np.sqrt(np.square(left).sum(0) / degrees)
    errors = np.outer(surprises, np.sqrt(np.diag(inverse)))
    return Signatures(np.asarray(features), effects.T, errors, surprises)


def recognise(before: Signatures, after: Signatures) -> Match:
    """Find the same sensors in two lists, one to one, as many as the shorter one has.

    The pairs are those under which the differences between signatures are likeliest (an assignment problem). How sure a
    pair is, is how much likelihood the best assignment without it loses.

    Args:
        before: Signatures of sensors.
        after: Signatures of sensors, maybe the same ones, that respond to the same actions.

    Returns:
        The pairs; one is safe to rely on from a margin of about 3 on.

    Source:
        Ours. Over one step, 500 random actions before and 500 after identify all sensors of HalfCheetah-v5, Hopper-v5 and
        Walker2d-v5, with margins above 3; so do they with actions of a policy in Hopper-v5, but 12 to 17 of 17 in
        HalfCheetah-v5.

    Example:
        >>> before = Signatures(np.array([0, 1]), np.array([[1.0], [5.0]]), np.full((2, 1), 0.1), np.array([0.1, 0.2]))
        >>> after = before._replace(features=np.array([7, 3]))
        >>> recognise(before, after).new
        array([7, 3])
    """
    unlikeness = _unlikeness(before, after)
    rows, columns = linear_sum_assignment(unlikeness)
    best = unlikeness[rows, columns].sum()
    margins = np.zeros(len(rows))
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        if unlikeness[row, column] <= before.effects.shape[1] + 1:
            other = unlikeness.copy()
            other[row, column] = _FORBIDDEN
            margins[number] = other[linear_sum_assignment(other)].sum() - best
    return Match(before.features[rows], after.features[columns], margins)


def _context(here: np.ndarray, most: int) -> np.ndarray:
    """An orthonormal basis of a constant and the features, or of their first principal components: ``(n, rank)``."""
    here = here - here.mean(0)
    basis, sizes, _ = np.linalg.svd(here / np.maximum(here.std(0), _TINY), full_matrices=False)
    basis = basis[:, :most][:, sizes[:most] > 1e-6 * sizes[0]]
    return np.hstack([np.full((len(here), 1), 1 / np.sqrt(len(here))), basis])


def _unlikeness(before: Signatures, after: Signatures) -> np.ndarray:
    """Minus the logarithm of the likelihood that two sensors are the same, up to a constant: ``(n_before, n_after)``."""
    a, b = before.effects[:, None], after.effects[None]
    variance = before.errors[:, None] ** 2 + after.errors[None] ** 2 + _TOLERANCE**2 * (a**2 + b**2)
    effects = np.log1p((a - b) ** 2 / (variance + _TINY**2) / _FREEDOM).sum(-1)
    logarithms = (np.log(np.maximum(each.surprises, _TINY)) for each in (before, after))
    return effects + np.abs(np.subtract.outer(*logarithms))

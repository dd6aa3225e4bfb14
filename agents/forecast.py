"""A linear forecast of features, whose failing tells within a few steps that they have become others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_ROWS_PER_COLUMN = 4  # with fewer, what is left of a forecast is too small
_CLIP = 4.0  # standard deviations: a few impacts must not decide what is usual
_UNUSUAL = 33.0  # times the usual mean square of errors
_USELESS = 0.8  # of the mean square of changes: what errors are where a forecast says nothing
_SMALL = 1e-6  # of a feature's variance: what is left of one that others determine


class Forecast(NamedTuple):
    """What some features are expected to be a step later.

    Attributes:
        features: int64 ``(n,)``: where they stand.
        coefficients: float64 ``(1 + n + n_actions, n)``: of a constant, the features and the actions, in each change.
        errors: float64 ``(n,)``: mean square of what they leave of it, in the units of each feature.
    """

    features: np.ndarray
    coefficients: np.ndarray
    errors: np.ndarray


def fit_forecast(
    observations: np.ndarray, next_observations: np.ndarray, actions: np.ndarray, features: np.ndarray
) -> Forecast | None:
    """Regress the change of each of these features on all of them and the actions.

    Args:
        observations: float32 ``(n, n_features)``.
        next_observations: float32 ``(n, n_features)``, the last ones of an episode where it ended.
        actions: float32 ``(n, n_actions)``.
        features: int64, where the features stand; maybe none.

    Returns:
        The forecast. None where there are no features, or fewer than four transitions for each coefficient.
    """
    here, changes, columns = _parts(observations, next_observations, actions, features)
    if not features.size or len(columns) < _ROWS_PER_COLUMN * columns.shape[1]:
        return None
    coefficients = np.linalg.lstsq(columns, changes, rcond=None)[0]
    left = changes - columns @ coefficients
    bound = _CLIP * left.std(0)
    errors = np.square(np.clip(left, -bound, bound)).mean(0)
    return Forecast(features, coefficients, np.maximum(errors, _SMALL * here.var(0) + np.finfo(float).tiny))


def has_failed(forecast: Forecast, observations: np.ndarray, next_observations: np.ndarray, actions: np.ndarray) -> bool:
    """Whether a forecast is far off: its features can hardly be what they were.

    It is where the mean square of its errors is more than 33 times the usual one and more than 0.8 times that of the changes
    themselves, each in the median over features: worse than ever, and no better than to expect no change. Errors alone grow
    as much where a policy gets into a new place; there the forecast still says more than nothing.

    Args:
        forecast: From earlier transitions.
        observations: float32 ``(n, n_features)``, some tens of transitions.
        next_observations: float32 ``(n, n_features)``.
        actions: float32 ``(n, n_actions)``.

    Source:
        Ours. The thresholds were chosen on recorded training in four tasks; ``docs/decisions.md`` has the figures.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> actions, speeds = rng.uniform(-1, 1, (400, 2)), np.zeros((400, 1), np.float32)
        >>> there = speeds + actions[:, [0]] + 0.1 * rng.standard_normal((400, 1))
        >>> forecast = fit_forecast(speeds, there, actions, np.array([0]))
        >>> has_failed(forecast, speeds[:50], there[:50], actions[:50])
        False
        >>> has_failed(forecast, *rng.standard_normal((2, 50, 1)), actions[:50])
        True
    """
    _, changes, columns = _parts(observations, next_observations, actions, forecast.features)
    errors = np.square(changes - columns @ forecast.coefficients).mean(0)
    uninformed = np.maximum(np.square(changes).mean(0), np.finfo(float).tiny)
    return bool(np.median(errors / forecast.errors) > _UNUSUAL and np.median(errors / uninformed) > _USELESS)


def _parts(
    observations: np.ndarray, next_observations: np.ndarray, actions: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The features, their changes, and what these are regressed on."""
    here = observations[:, features].astype(np.float64)
    return here, next_observations[:, features] - here, np.column_stack([np.ones(len(here)), here, actions])

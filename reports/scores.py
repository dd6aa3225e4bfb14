"""A run's learning curve as one number: where it ended, how much it had on the way, how soon it was good enough."""

from __future__ import annotations

import numpy as np

from .statistics import plain


def final_return(returns: np.ndarray, share: float = 0.1) -> float | np.ndarray:
    """The mean of a run's last evaluations.

    Args:
        returns: Mean return of each evaluation: float ``(n_evaluations,)``, or ``(n_runs, n_evaluations)``.
        share: Of the evaluations that count as the last, rounded, at least one; in (0, 1].

    Returns:
        A float, or float ``(n_runs,)``.

    Raises:
        ValueError: If there are no evaluations, one is NaN, or ``share`` is out of range.

    Source:
        Graesser et al., The state of sparse training in deep reinforcement learning (ICML 2022): the last 10 %.

    Example:
        >>> final_return([0.0] * 18 + [5.0, 7.0])
        6.0
    """
    returns = _as_returns(returns)
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share}.")
    return plain(returns[..., -max(1, round(share * returns.shape[-1])) :].mean(-1))


def area_under_curve(steps: np.ndarray, returns: np.ndarray) -> float | np.ndarray:
    """The mean return over the steps from the first evaluation to the last: the area under the curve over their span.

    Args:
        steps: Environment steps of the evaluations, increasing: ``(n_evaluations,)``, two or more.
        returns: Float ``(n_evaluations,)``, or ``(n_runs, n_evaluations)``.

    Returns:
        In the unit of the returns: a float, or float ``(n_runs,)``.

    Raises:
        ValueError: If the shapes do not fit, the steps do not increase, or a return is NaN.

    Example:
        >>> area_under_curve([0, 10, 40], [0.0, 4.0, 4.0])
        3.5
    """
    returns = _as_returns(returns, steps)
    if len(steps) < 2:
        raise ValueError(f"steps must be those of two evaluations or more, not {len(steps)}.")
    widths = np.diff(steps)
    return plain(((returns[..., 1:] + returns[..., :-1]) / 2 * widths).sum(-1) / widths.sum())


def steps_to_level(steps: np.ndarray, returns: np.ndarray, level: float, window: int = 3) -> float | np.ndarray:
    """The first evaluation at which the mean of the last ``window`` evaluations reaches ``level``.

    One evaluation is a few episodes, and the luckiest of many says little: the more often a run is evaluated, the
    earlier its first lucky one. The mean looks back, so that a level counts as reached only when it has been seen; the
    first ``window - 1`` evaluations can never reach it.

    Args:
        steps: Environment steps of the evaluations, increasing: ``(n_evaluations,)``.
        returns: Float ``(n_evaluations,)``, or ``(n_runs, n_evaluations)``.
        level: In the unit of the returns.
        window: How many evaluations are averaged.

    Returns:
        Environment steps, infinite where the level is never reached: a float, or float ``(n_runs,)``. The median over
        runs is then right without a word on those that never did:
        ``stratified_bootstrap(steps_to_level(...), numpy.median)``.

    Raises:
        ValueError: If the shapes do not fit, the steps do not increase, a return is NaN, or ``window`` is not positive.

    Example:
        >>> steps_to_level([10, 20, 30, 40, 50], [[0, 9, 0, 6, 6], [1, 1, 1, 1, 1]], level=4)
        array([40., inf])
    """
    returns = _as_returns(returns, steps)
    if window < 1:
        raise ValueError(f"window must be at least 1, not {window}.")
    if window > len(steps):
        return plain(np.full(returns.shape[:-1], np.inf))
    smooth = np.lib.stride_tricks.sliding_window_view(returns, window, axis=-1).mean(-1)
    return plain(np.where(smooth >= level, np.asarray(steps)[window - 1 :], np.inf).min(-1))


def _as_returns(returns: np.ndarray, steps: np.ndarray | None = None) -> np.ndarray:
    returns = np.asarray(returns, float)
    if not returns.size:
        raise ValueError("returns must hold at least one evaluation, and hold none.")
    if np.isnan(returns).any():
        raise ValueError("returns must be numbers, and hold NaN.")
    if steps is not None:
        if np.shape(steps) != returns.shape[-1:]:
            raise ValueError(f"steps must be one for each evaluation, of shape {returns.shape[-1:]}, not {np.shape(steps)}.")
        if (np.diff(steps) <= 0).any():
            raise ValueError("steps must increase from one evaluation to the next.")
    return returns

"""When features began to change in another way."""

from __future__ import annotations

import numpy as np

_MOST = 5.0  # what a single number may say for either side, so that no outlier decides
_SMALL = 1e-9


def change_point(changes: np.ndarray, n_before: int, n_after: int) -> np.ndarray:
    """Find the row from which on each sequence looks like its end rather than like its beginning.

    Args:
        changes: float ``(n, n_sequences, n_features)``: from step to step.
        n_before: Rows at the beginning that are certainly from before.
        n_after: Rows at the end that are certainly from after.

    Returns:
        int64 ``(n_sequences,)``: how many rows are from before; the likeliest number if changes are normally distributed,
        with one variance before and another after.

    Example:
        >>> changes = np.random.default_rng(0).standard_normal((300, 1, 4))
        >>> changes[170:] *= 5
        >>> change_point(changes, 50, 50)
        array([170])
    """
    squares = np.square(changes, dtype=np.float64)
    before, after = squares[:n_before].mean((0, 1)), squares[len(squares) - n_after :].mean((0, 1))
    scale = np.maximum(before + after, _SMALL)
    before, after = np.maximum(before, _SMALL * scale), np.maximum(after, _SMALL * scale)
    evidence = 0.5 * (squares / after - squares / before + np.log(after / before))
    evidence = np.clip(evidence, -_MOST, _MOST).sum(-1)
    evidence[:n_before], evidence[len(evidence) - n_after :] = _MOST, -_MOST
    sums = np.cumsum(np.vstack([np.zeros((1, evidence.shape[1])), evidence]), axis=0)
    return sums.argmax(axis=0)

"""How well scores rank features, where it is known which of them matter."""

from __future__ import annotations

import numpy as np


def auroc(scores: np.ndarray, is_real: np.ndarray) -> float:
    """How likely a real feature has a higher score than one that is not, ties counting half: area under the ROC curve.

    Args:
        scores: Float ``(n,)``; the higher, the more important.
        is_real: bool ``(n,)``: which features matter.

    Returns:
        1 for a perfect ranking, 1/2 for chance; NaN if all features are real, or none is.

    Raises:
        ValueError: If the shapes differ or a score is NaN.

    Source:
        Hanley & McNeil, The meaning and use of the area under a ROC curve (Radiology 1982): the Mann-Whitney statistic.

    Example:
        >>> auroc(np.array([3.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False]))
        0.875
    """
    _require_scores(scores, is_real)
    n_real = np.count_nonzero(is_real)
    if n_real in (0, len(scores)):
        return float("nan")
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2  # counted from 1
    above = mean_rank[level[is_real]].sum() - n_real * (n_real + 1) / 2
    return float(above / (n_real * (len(scores) - n_real)))


def precision_at(k: int, scores: np.ndarray, is_real: np.ndarray) -> float:
    """The share of real features among the ``k`` of highest score, as expected if ties are broken at random.

    Args:
        k: How many, in [1, n].
        scores: Float ``(n,)``; the higher, the more important.
        is_real: bool ``(n,)``: which features matter.

    Raises:
        ValueError: If the shapes differ, a score is NaN, or ``k`` is out of range.

    Example:
        >>> precision_at(2, np.array([3.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False]))
        0.75
    """
    _require_scores(scores, is_real)
    if not 1 <= k <= len(scores):
        raise ValueError(f"k={k} is outside [1, {len(scores)}], the number of features")
    last = np.partition(scores, -k)[-k]
    above, tied = scores > last, scores == last
    places = k - np.count_nonzero(above)
    return float((is_real[above].sum() + places * is_real[tied].mean()) / k)


def _require_scores(scores: np.ndarray, is_real: np.ndarray) -> None:
    if scores.ndim != 1 or scores.shape != is_real.shape:
        raise ValueError(f"is_real must be a vector like scores, of shape {scores.shape}, got {is_real.shape}")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, so they rank nothing; the weights have diverged")

"""An agent's attention as the rows of a picture: the task's own features by name, the noise pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AttentionRows:
    """What a picture beside a film shows.

    Attributes:
        labels: Of each row.
        is_noise: bool ``(rows,)``.
        values: float32 ``(frames, rows)``, not negative.
    """

    labels: tuple[str, ...]
    is_noise: np.ndarray
    values: np.ndarray


def attention_rows(attention: np.ndarray, relevant: np.ndarray, names: Sequence[str] | None, n_rows: int) -> AttentionRows:
    """The rows of a picture.

    Args:
        attention: float32 ``(frames, n_features)``, not negative.
        relevant: int64 ``(d,)``: where the real features stand.
        names: Of the real features. None: their numbers.
        n_rows: At most so many, at least five: where there are more real features, those with the most attention in all
            frames are shown, in their own order, and the others together. The last two rows are the largest of the noise
            features and all of them together. Together is the root of the sum of squares, as of what moves independently.

    Example:
        >>> rows = attention_rows(np.float32([[1, 3, 2, 4]]), np.array([0, 2]), ["angle", "speed"], 10)
        >>> rows.labels, rows.values.tolist()
        (('angle', 'speed', 'noise: the largest', 'noise: all 2 together'), [[1.0, 2.0, 4.0, 5.0]])
    """
    real, noise = attention[:, relevant], np.delete(attention, relevant, axis=1)
    labels = [f"feature {number}" for number in range(len(relevant))] if names is None else list(names)
    n_noise_rows = 2 if noise.shape[1] else 0
    shown = np.arange(len(relevant))
    if len(relevant) > n_rows - n_noise_rows:
        strongest = np.argsort(-real.sum(axis=0), kind="stable")
        shown = np.sort(strongest[: n_rows - n_noise_rows - 1])
    columns, texts = [real[:, shown]], [labels[feature] for feature in shown]
    if len(shown) < len(relevant):
        columns.append(_together(np.delete(real, shown, axis=1)))
        texts.append(f"{len(relevant) - len(shown):,} others together")
    n_real_rows = len(texts)
    if n_noise_rows:
        columns += [noise.max(axis=1, keepdims=True), _together(noise)]
        texts += ["noise: the largest", f"noise: all {noise.shape[1]:,} together"]
    return AttentionRows(tuple(texts), np.arange(len(texts)) >= n_real_rows, np.concatenate(columns, axis=1))


def _together(attention: np.ndarray) -> np.ndarray:
    return np.linalg.norm(attention, axis=1, keepdims=True)

"""What a run's networks listened to, feature by feature, wherever the features stood at the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..training.feature_history import FeatureHistory


@dataclass(frozen=True, eq=False)
class Listening:
    """A feature history in the order of the features themselves: the task's own first, then the noise.

    Where the order of the features changes, the task's own are followed to their new places. Noise is told apart by its
    place alone.

    Attributes:
        timesteps: Environment steps of each record, int64 ``(n,)``.
        moves: Those of the records that were the first in a new order of the features, int64 ``(n_moves,)``.
        n_real: How many features are the task's own; None where that is not known.
        labels: What the features are called, ``(F,)``.
        links: By network, int32 ``(n, F)``.
        strength: By network, float64 ``(n, F)``: sum of the absolute weights of a feature's links, times its standard
            deviation; NaN where training has diverged.
    """

    timesteps: np.ndarray
    moves: np.ndarray
    n_real: int | None
    labels: tuple[str, ...]
    links: Mapping[str, np.ndarray]
    strength: Mapping[str, np.ndarray]

    @property
    def networks(self) -> tuple[str, ...]:
        """Their names, such as "actor"."""
        return tuple(self.links)

    @property
    def n_features(self) -> int:
        """Real ones and noise together."""
        return len(self.labels)

    def kinds(self) -> dict[str, slice]:
        """Which features are real and which noise, as far as there are any; all under one name where nobody knows."""
        if self.n_real is None:
            return {"all": slice(None)}
        kinds = {"real": slice(0, self.n_real), "noise": slice(self.n_real, None)}
        return {kind: which for kind, which in kinds.items() if len(self.labels[which])}

    def ranking(self, network: str) -> np.ndarray:
        """All features by their strength at the end, the strongest first, int64 ``(F,)``; a NaN is the weakest."""
        return np.argsort(-np.nan_to_num(self.strength[network][-1], nan=-1.0), kind="stable")


def listening(history: FeatureHistory, names: Sequence[str] | None) -> Listening:
    """Put a feature history into the order of the features.

    Args:
        history: With one record or more.
        names: Of the task's own features; None, or of another number: they are counted.

    Raises:
        ValueError: If the history has two of the task's features in one place.

    Example:
        >>> history = FeatureHistory(
        ...     np.array([0, 10]), np.array([0, 1]), np.array([[0], [2]]), np.ones((2, 3), np.float32),
        ...     {"actor": np.array([[9, 1, 1], [1, 1, 9]], np.int32)}, {"actor": np.ones((2, 3), np.float32)},
        ... )
        >>> listening(history, ["height"]).links["actor"].tolist()
        [[9, 1, 1], [9, 1, 1]]
        >>> listening(history, ["height"]).labels
        ('height', 'noise at 0', 'noise at 1')
    """
    n_real = history.relevant.shape[1] or None
    places = np.array([_places(relevant, history.n_features) for relevant in history.relevant])
    strength = {net: _scaled(of_net, history.feature_std) for net, of_net in history.strength.items()}
    return Listening(
        timesteps=history.timesteps,
        moves=history.timesteps[1:][np.diff(history.permutation) != 0],
        n_real=n_real,
        labels=_labels(places[-1], n_real, names),
        links={net: np.take_along_axis(of_net, places, 1) for net, of_net in history.links.items()},
        strength={net: np.take_along_axis(of_net, places, 1) for net, of_net in strength.items()},
    )


def _scaled(strength: np.ndarray, std: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        scaled = strength * std.astype(float)
    return np.where(np.isfinite(scaled), scaled, np.nan)


def _places(relevant: np.ndarray, n_features: int) -> np.ndarray:
    """Where each feature stands, the task's own first."""
    is_noise = np.ones(n_features, bool)
    is_noise[relevant] = False
    if np.count_nonzero(is_noise) != n_features - len(relevant):
        raise ValueError("the feature history has two of the task's features in one place.")
    return np.concatenate([relevant, np.flatnonzero(is_noise)])


def _labels(places: np.ndarray, n_real: int | None, names: Sequence[str] | None) -> tuple[str, ...]:
    n_named = len(places) if n_real is None else n_real
    own = names if names is not None and len(names) == n_named else [f"feature {index}" for index in range(n_named)]
    return (*own, *(f"noise at {place}" for place in places[n_named:]))


def ranking_quality(heard: Listening, network: str) -> tuple[float, float]:
    """How well a network's strengths told the real features from the noise at the end: AUROC, and precision at d.

    Both are those of :func:`siftrl.agents.filter.filter_report`; NaN where there is no noise, or nobody knows which it is.
    """
    from ..sparse.ranking import auroc, precision_at

    if heard.n_real in (None, heard.n_features):
        return float("nan"), float("nan")
    is_real = np.arange(heard.n_features) < heard.n_real
    strength = np.nan_to_num(heard.strength[network][-1], nan=-1.0)
    return auroc(strength, is_real), precision_at(heard.n_real, strength, is_real)

"""Rankings of what a trained agent observes, from its networks alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from ..sparse.diagnostics import fan_out
from ..sparse.strength import feature_strength
from .attention import attention
from .networks import first_layer, networks


def rankings(
    model: BaseAlgorithm, observations: np.ndarray, links: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Score the features that a SAC or TD3 model observes, in several ways; the higher, the more important.

    * ``strength``: sum of the absolute weights of a feature's links, times its standard deviation;
    * ``degree``: how many links it has, the same for all in a dense layer;
    * ``survivors``: how many it had on average while the agent trained;
    * ``saliency``: how far the actions move with it (:func:`siftrl.agents.attention.attention`).

    The first three are those of the actor's first layer and, as the mean of their shares in each critic's, of the critics'.

    Args:
        model: Sparse or dense, SB3's or ours.
        observations: ``(n, n_features)``: what it observes, as of some episodes.
        links: By network, int ``(records, n_features)``: links over time, as in
            :class:`siftrl.training.feature_history.FeatureHistory`. None: no survivors.

    Returns:
        By ``"<ranking>/<network>"``, where the network is "actor" or "critics", float64 ``(n_features,)``.

    Source:
        Strength and degree: Atashgahi et al., Quick and Robust Feature Selection (Machine Learning 2022); standard
        deviations, see :func:`siftrl.sparse.strength.feature_strength`.

    Example:
        >>> from stable_baselines3 import SAC
        >>> model = SAC("MlpPolicy", "Pendulum-v1", buffer_size=1)
        >>> list(rankings(model, np.eye(3, dtype=np.float32)))
        ['strength/actor', 'strength/critics', 'degree/actor', 'degree/critics', 'saliency/actor']
    """
    observations = np.asarray(observations, np.float32)
    std = observations.std(axis=0)
    nets = networks(model)
    by_net: dict[str, dict[str, np.ndarray]] = {
        "strength": {name: feature_strength(net, std) for name, net in nets.items()},
        "degree": {name: fan_out(first_layer(net))[: len(std)] for name, net in nets.items()},
    }
    if links is not None:
        by_net["survivors"] = {name: links[name].mean(axis=0) for name in nets}
    scores: dict[str, np.ndarray] = {}
    for ranking, of_nets in by_net.items():
        scores[f"{ranking}/actor"] = _share(of_nets.pop("actor"))
        scores[f"{ranking}/critics"] = np.mean([_share(score) for score in of_nets.values()], axis=0)
    scores["saliency/actor"] = attention(model, observations).mean(axis=0, dtype=np.float64)
    return scores


def _share(scores: np.ndarray) -> np.ndarray:
    """Of their sum, that networks with larger weights do not count for more."""
    return scores / max(scores.sum(), np.finfo(np.float64).tiny)

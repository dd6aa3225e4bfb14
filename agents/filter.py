"""Whether an agent listens to the real features or to the noise: what its input layers tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from ..sparse.diagnostics import fan_out
from ..sparse.ranking import auroc, precision_at
from ..sparse.strength import feature_strength
from .networks import first_layer, networks


class FilterRow(NamedTuple):
    """How a network's input layer spends its links, and how well its weights tell real features from noise.

    Attributes:
        real: Links per real feature.
        noise: Links per noise feature; NaN where there is none.
        strength_ratio: Mean neuron strength (sum of absolute weights) of the real features over that of the noise
            features; NaN where there is none, or none has a link.
        auroc: How likely a real feature has more strength than a noise feature, each scaled by the feature's standard
            deviation: 1 is a perfect ranking, 1/2 chance; NaN where there is no noise.
        precision_at_d: Share of real features among the d of most strength, so scaled, where d are real; NaN where there is
            no noise.
    """

    real: float
    noise: float
    strength_ratio: float
    auroc: float
    precision_at_d: float


def filter_report(
    model: BaseAlgorithm, relevant_features: np.ndarray, feature_std: np.ndarray | None = None
) -> dict[str, FilterRow]:
    """How each network's input layer shares its links between real and noise features, and ranks them.

    Actions, which a critic also reads, count as neither.

    Args:
        model: A SAC or TD3 model, sparse or dense.
        relevant_features: int64 ``(d,)``: where the real features stand in the observation.
        feature_std: Standard deviation of each feature in the observations that the networks get, for the ranking. None:
            they count as equally scaled.
    """
    n_features = model.observation_space.shape[0]
    is_real = np.zeros(n_features, dtype=bool)
    is_real[relevant_features] = True
    std = np.ones(n_features) if feature_std is None else feature_std
    return {network: _filter_row(module, is_real, std) for network, module in networks(model).items()}


def _filter_row(network: nn.Module, is_real: np.ndarray, std: np.ndarray) -> FilterRow:
    links = fan_out(first_layer(network))[: len(is_real)]
    if is_real.all():
        return FilterRow(float(links.mean()), *[float("nan")] * 4)
    strength = feature_strength(network)[: len(is_real)]
    of_noise = strength[~is_real].mean()
    scaled = feature_strength(network, std)
    return FilterRow(
        real=float(links[is_real].mean()),
        noise=float(links[~is_real].mean()),
        strength_ratio=float(strength[is_real].mean() / of_noise) if of_noise else float("nan"),
        auroc=auroc(scaled, is_real),
        precision_at_d=precision_at(int(is_real.sum()), scaled, is_real),
    )

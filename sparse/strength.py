"""Neuron strength: how much a network listens to each of its input features."""

from __future__ import annotations

import numpy as np
from torch import nn

from .diagnostics import linear_layers
from .linear import SparseLinear


def feature_strength(net: nn.Module, feature_std: np.ndarray | None = None) -> np.ndarray:
    """The strength of each input feature: the sum of the absolute weights of its links in the input layer.

    A weight tells what a feature contributes only together with the feature's scale: one in millimetres has weights a
    thousand times smaller than the same in metres, for the same effect. Multiplied by the feature's standard deviation,
    strengths can be compared, and rank the features.

    Args:
        net: A linear layer, or a network whose first linear layer reads the features.
        feature_std: Standard deviation of the first ``n`` features, ``(n,)``; the strengths are those of these features.
            (A critic reads the observation first and then the action.) None: of all features, taken as equally scaled.

    Returns:
        float64 ``(n,)`` or ``(in_features,)``.

    Raises:
        ValueError: If the network has no linear layer, or ``feature_std`` is not a vector of at most ``in_features``
            numbers that are finite and not negative.

    Source:
        Atashgahi et al., Quick and Robust Feature Selection (Machine Learning 2022), Algorithm 1, for standardised data.
        Deviation: the standard deviation, which makes up for data that are not.

    Example:
        >>> import torch
        >>> layer = nn.Linear(2, 2)
        >>> layer.weight = nn.Parameter(torch.tensor([[1.0, -20.0], [-3.0, 10.0]]))
        >>> feature_strength(layer), feature_strength(layer, np.array([1.0, 0.1]))
        (array([ 4., 30.]), array([4., 3.]))
    """
    layer = next(iter(linear_layers(net).values()), None)
    if layer is None:
        raise ValueError(f"net has no linear layer to read features, got {type(net).__name__}")
    weight = layer.weight.detach().abs().double().cpu().numpy()
    if isinstance(layer, SparseLinear):
        strength = np.bincount(layer.topology.inputs, weight, layer.in_features)
    else:
        strength = weight.sum(0)
    if feature_std is None:
        return strength
    std = np.asarray(feature_std, dtype=np.float64)
    if std.ndim != 1 or len(std) > len(strength) or not (np.isfinite(std) & (std >= 0)).all():
        raise ValueError(
            f"feature_std must be up to {len(strength)} finite numbers that are not negative, got shape {std.shape} "
            f"with minimum {std.min(initial=0)} and maximum {std.max(initial=0)}"
        )
    return strength[: len(std)] * std

"""Let a layer read some of its features and no others, and start as if they had another scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from .linear import SparseLinear
from .relink import Carry, relink
from .topology import Topology


@torch.no_grad()
def link_features(
    layer: SparseLinear,
    features: np.ndarray,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    targets: Sequence[SparseLinear] = (),
) -> None:
    """Link every neuron of a layer to these features, and to no others.

    Links that exist keep weight and optimiser state, new ones start at zero in both, so that what the layer computes changes
    by the links alone that it loses.

    Args:
        layer: The layer.
        features: int64 ``(n,)``, at least one.
        optimizer: Holds the layer's weight, if any does.
        targets: Target layers with the same links, which follow.

    Raises:
        ValueError: If there is no feature, or one that the layer does not have.

    Example:
        >>> layer = SparseLinear(100, 8, density=0.1)
        >>> link_features(layer, np.array([3, 50]))
        >>> layer.topology.fan_out().nonzero()[0].tolist(), layer.n_links
        ([3, 50], 16)
    """
    features = np.unique(features)
    move_features(layer, features, features, optimizer=optimizer, targets=targets)


@torch.no_grad()
def move_features(
    layer: SparseLinear,
    features: np.ndarray,
    sources: np.ndarray,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    targets: Sequence[SparseLinear] = (),
) -> None:
    """Link every neuron of a layer to these features, and to no others, with the links that other features had.

    A link takes the weight and the optimiser state that the same neuron's link to the feature's source had; it starts at
    zero in both where there was none.

    Args:
        layer: The layer.
        features: int64 ``(n,)``, at least one, each once.
        sources: int64 ``(n,)``: for each of them, the feature whose links it gets, -1 for none.
        optimizer: Holds the layer's weight, if any does.
        targets: Target layers with the same links, which follow.

    Raises:
        ValueError: If there is no feature, or a feature or source that the layer does not have.

    Example:
        >>> layer = SparseLinear(100, 8, density=1.0)
        >>> old = layer.to_dense().detach().clone()
        >>> move_features(layer, np.array([3, 50]), np.array([7, -1]))
        >>> bool((layer.to_dense()[:, 3] == old[:, 7]).all()), layer.to_dense()[:, 50].abs().max().item()
        (True, 0.0)
    """
    if features.size == 0 or features.min() < 0 or features.max() >= layer.in_features:
        raise ValueError(f"features must be some of 0 to {layer.in_features - 1}, got {features.tolist()}")
    if np.any((sources < -1) | (sources >= layer.in_features)):
        raise ValueError(f"sources must be -1 or some of 0 to {layer.in_features - 1}, got {sources.tolist()}")
    order, neurons = np.argsort(features), np.arange(layer.out_features)
    old, n_out = layer.topology, layer.out_features
    topology = Topology(old.shape, (features[order, None] * n_out + neurons).ravel())
    # Positions that a source of -1 gives are negative, and so no link's.
    wanted = (sources[order, None] * n_out + neurons).ravel()
    source = np.minimum(np.searchsorted(old.positions, wanted), old.n_links - 1)
    source[old.positions[source] != wanted] = -1
    carry = Carry(source, layer.weight.device)
    relink(layer, topology, carry, optimizer, targets)


@torch.no_grad()
def redraw(
    layer: SparseLinear,
    rng: np.random.Generator,
    *,
    features: np.ndarray | None = None,
    gains: np.ndarray | None = None,
    centres: np.ndarray | None = None,
    targets: Sequence[SparseLinear] = (),
) -> None:
    """Draw weights and biases anew, uniform in ``±1/sqrt(fan-in)`` as for a layer that has just been made.

    Args:
        layer: The layer; what an optimiser keeps for it stays as it is.
        rng: Draws.
        features: int64 ``(n,)``: those whose links are drawn. None: all.
        gains: float64 ``(in_features,)``: what the links of each feature are multiplied by. None: 1.
        centres: float64 ``(in_features,)``: where the new links of each feature are to give nothing: the biases take off
            what they do. None: 0.
        targets: Layers with the same links, which get the same values.

    Raises:
        ValueError: If there is a centre other than 0 and a layer without a bias.
    """
    _require_biases((layer, *targets), centres)
    topology = layer.topology
    bound = 1.0 / np.sqrt(np.maximum(topology.fan_in(), 1))
    chosen = np.isin(topology.inputs, np.arange(topology.shape[1]) if features is None else features)
    weight = rng.uniform(-1.0, 1.0, topology.n_links) * bound[topology.neurons]
    bias = rng.uniform(-1.0, 1.0, topology.shape[0]) * bound
    if gains is not None:
        weight *= gains[topology.inputs]
    if centres is not None:
        given = np.where(chosen, weight * centres[topology.inputs], 0.0)
        bias -= np.bincount(topology.neurons, given, topology.shape[0])
    for each in (layer, *targets):
        each.weight[torch.from_numpy(chosen)] = torch.from_numpy(weight[chosen]).to(each.weight)
        if each.bias is not None:
            each.bias.copy_(torch.from_numpy(bias))


@torch.no_grad()
def standardise(
    layer: nn.Linear | SparseLinear,
    gains: np.ndarray,
    centres: np.ndarray,
    *,
    targets: Sequence[nn.Linear | SparseLinear] = (),
) -> None:
    """Scale weights and shift biases, so that the layer reads ``gain * (feature - centre)`` where it read features.

    Args:
        layer: Dense or sparse; what an optimiser keeps for it stays as it is.
        gains: float64 ``(n,)``, of the first ``n`` features; later ones stay as they are.
        centres: float64 ``(n,)``.
        targets: Layers with the same links, for which the same is done.

    Raises:
        ValueError: If there is a centre other than 0 and a layer without a bias.

    Example:
        >>> layer, x = SparseLinear(10, 4, density=0.5), torch.randn(3, 10)
        >>> expected = layer(2.0 * (x - 1.0))
        >>> standardise(layer, np.full(10, 2.0), np.ones(10))
        >>> bool(torch.isclose(layer(x), expected, atol=1e-5).all())
        True
    """
    _require_biases((layer, *targets), centres)
    n_more = layer.in_features - len(gains)
    gains, centres = np.pad(gains, (0, n_more), constant_values=1.0), np.pad(centres, (0, n_more))
    for each in dict.fromkeys((layer, *targets)):
        gain, centre = (torch.from_numpy(part).to(each.weight) for part in (gains, centres))
        each.weight *= gain[each.links.positions // each.out_features] if isinstance(each, SparseLinear) else gain
        if each.bias is not None:
            each.bias -= each(centre[None])[0] - each.bias


def _require_biases(layers: Sequence[nn.Linear | SparseLinear], centres: np.ndarray | None) -> None:
    """Raise ``ValueError`` where the biases that are to take off what the centres do are not there."""
    if centres is not None and np.any(centres) and any(layer.bias is None for layer in layers):
        raise ValueError(f"centres={np.asarray(centres).tolist()} must be 0 for layers without a bias, which shifts them")

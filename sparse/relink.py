"""Give a layer other links: survivors keep their weight and their optimiser state, grown links start at zero in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from .layer import SparseLayer
from .topology import Topology


class Carry:
    """Takes values from the old order of links to the new one; grown links get 0.

    Args:
        source: int64 ``(n_links,)``: the number that each link had before, -1 for those that grow, as
            :meth:`Topology.rewire` gives it.
        device: Of the values.
    """

    def __init__(self, source: np.ndarray, device: torch.device) -> None:
        self.grown = torch.from_numpy(source < 0).to(device)
        self.source = torch.from_numpy(np.maximum(source, 0)).to(device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return values[self.source].masked_fill_(self.grown, 0.0)


def relink(
    layer: SparseLayer,
    topology: Topology,
    carry: Carry,
    optimizer: torch.optim.Optimizer | None = None,
    targets: Sequence[SparseLayer] = (),
) -> None:
    """Replace a layer's links, its weights with them, and what an optimiser keeps for them.

    Where the number of links changes, a Parameter of another size takes the place of the weight, in the optimiser's
    parameter group and state too.

    Args:
        layer: Any sparse layer.
        topology: Its new links.
        carry: From the old links to the new ones.
        optimizer: Holds the weight, if any does. State tensors of the weight's shape follow the links, others stay.
        targets: Layers with the same links, which follow; one that is the layer itself, or comes twice, moves once.
    """
    for each in dict.fromkeys((layer, *targets)):
        _relink(each, topology, carry, optimizer if each is layer else None)


def _relink(layer: SparseLayer, topology: Topology, carry: Carry, optimizer: torch.optim.Optimizer | None) -> None:
    weight = layer.weight
    state = optimizer.state.get(weight, {}) if optimizer is not None else {}
    if topology.n_links == layer.n_links:
        # In place: a graph that is older than the rewiring then is torch's error about a changed tensor.
        for tensor in (weight, *(value for value in state.values() if _is_moment(value, weight))):
            tensor.copy_(carry(tensor))
        weight.grad = None
    else:
        # A tensor that changed its size in place would break a graph that is alive.
        layer.weight = nn.Parameter(carry(weight), requires_grad=weight.requires_grad)
        if optimizer is not None:
            moved = {key: carry(value) if _is_moment(value, weight) else value for key, value in state.items()}
            _replace_parameter(optimizer, weight, layer.weight, moved)
    layer.set_topology(topology)


def _is_moment(value: Any, weight: nn.Parameter) -> bool:
    return torch.is_tensor(value) and value.shape == weight.shape


def _replace_parameter(
    optimizer: torch.optim.Optimizer, old: nn.Parameter, new: nn.Parameter, state: dict[str, Any]
) -> None:
    for group in optimizer.param_groups:
        group["params"] = [new if parameter is old else parameter for parameter in group["params"]]
    if optimizer.state.pop(old, None) is not None:
        optimizer.state[new] = state

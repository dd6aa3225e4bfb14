"""A layer's topology as the kernels want it."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from . import kernels
from .topology import Topology


class Links:
    """A layer's links in arrays, also those of a range of the input features alone.

    Attributes:
        positions: int64 ``(n_links,)``: their places in the flat dense weight, input feature by input feature.
    """

    def __init__(self, topology: Topology, device: torch.device) -> None:
        self.indptr, self.neurons = topology.indptr, topology.neurons
        self.positions = torch.from_numpy(topology.positions).to(device)
        self._out_features, in_features = topology.shape
        self._ranges: dict[tuple[int, int], _Range] = {}
        self._all = 0, in_features

    @cached_property
    def whole_features(self) -> np.ndarray | None:
        """int64: the features that have links, if each of those has one to every neuron; else None."""
        fan_out = np.diff(self.indptr)
        linked = np.flatnonzero(fan_out)
        return linked if (fan_out[linked] == self._out_features).all() else None

    def product(
        self, weight: torch.Tensor, bias: torch.Tensor | None, out_t: torch.Tensor, features: tuple[int, int] | None = None
    ) -> kernels.Product:
        """What a product with these features, or all, needs.

        Without a bias, one with the first features starts at 0, and one with later features is added to ``out_t``.
        """
        if bias is None:
            adds = features is not None and features[0] > 0
            bias = weight.new_zeros(0 if adds else self._out_features)
        order = self._range(features).order
        return kernels.Product(*order, weight.detach().numpy(), bias.detach().numpy(), out_t.numpy())

    def weight_gradient(
        self, grad_t: torch.Tensor, grad_weight: torch.Tensor, features: tuple[int, int] | None = None
    ) -> kernels.WeightGradient:
        """What the gradient of these features' links needs."""
        return kernels.WeightGradient(self._range(features).indptr, self.neurons, grad_t.numpy(), grad_weight.numpy())

    def input_gradient(
        self, weight: torch.Tensor, grad_t: torch.Tensor, features: tuple[int, int] | None = None
    ) -> torch.Tensor:
        """The gradient of these features, ``(features, batch)``."""
        indptr = self._range(features).indptr
        grad_x = grad_t.new_empty(len(indptr) - 1, grad_t.shape[1])
        kernels.input_gradient(indptr, self.neurons, weight.detach().numpy(), grad_t.numpy(), grad_x.numpy())
        return grad_x

    def add_row(self, x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
        """Add the product with a single row."""
        kernels.add_row_product(x.detach().numpy(), self.indptr, self.neurons, weight.detach().numpy(), out.numpy())

    def _range(self, features: tuple[int, int] | None) -> _Range:
        first, last = self._all if features is None else features
        if (first, last) not in self._ranges:
            indptr = self.indptr[first : last + 1]
            self._ranges[first, last] = _Range(indptr, kernels.neuron_order(indptr, self.neurons, self._out_features))
        return self._ranges[first, last]


class _Range(NamedTuple):
    indptr: np.ndarray
    order: kernels.NeuronOrder

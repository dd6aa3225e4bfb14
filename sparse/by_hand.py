"""Networks of linear layers and ReLUs, forward and backward without autograd.

Autograd keeps books for each of the hundreds of small operations of an update. With two hidden layers of 256 units and
batches of 256 that takes as long as their arithmetic (docs/decisions.md).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import nn

from .linear import SparseLinear, transposed
from .shared_batch import SharedBatch


class Network(NamedTuple):
    """A chain of linear layers with a ReLU behind each, and the linear heads that read the last.

    Attributes:
        first: Reads the batch; dense or sparse.
        hidden: The layers after it, dense.
        heads: Read what the last of those gives, dense.
    """

    first: nn.Linear | SparseLinear
    hidden: list[nn.Linear]
    heads: list[nn.Linear]

    @classmethod
    def of(cls, chain: Sequence[nn.Module], heads: Sequence[nn.Module] = ()) -> Self | None:
        """The network of these modules; None where it has other parts, or where somebody watches or changes them.

        Args:
            chain: Linear layers and ReLUs by turns.
            heads: What reads its output. None given: the chain's own last layer, without a ReLU, is the head.
        """
        relus, linears = chain[1::2], [*chain[::2], *heads]
        n_heads = len(heads) or 1
        if len(chain) % 2 == bool(heads) or len(linears) <= n_heads:
            return None
        first, hidden, heads = linears[0], linears[1:-n_heads], linears[-n_heads:]
        if not (
            type(first) in (nn.Linear, SparseLinear)
            and all(type(layer) is nn.Linear and layer.bias is not None for layer in (*hidden, *heads))
            and all(type(relu) is nn.ReLU for relu in relus)
            and all(is_left_alone(module) for module in (*relus, *linears))
            and all(_learns(layer.weight) and _learns(layer.bias) for layer in linears)
        ):
            return None
        return cls(first, hidden, heads)

    def parameters(self) -> list[nn.Parameter]:
        """Weights and biases."""
        layers = (self.first, *self.hidden, *self.heads)
        return [parameter for layer in layers for parameter in (layer.weight, layer.bias) if parameter is not None]


def is_left_alone(module: nn.Module) -> bool:
    """Whether nobody has hooked into what a module does."""
    return not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def _learns(parameter: nn.Parameter | None) -> bool:
    return parameter is None or (
        parameter.requires_grad and not parameter._backward_hooks and not parameter._post_accumulate_grad_hooks
    )


def can_read(batch: SharedBatch, network: Network) -> bool:
    """Whether a network can run on a batch here: on the CPU in float32."""
    weight = network.first.weight
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and batch.lies_on_cpu_in_float32()
        and not torch.is_autocast_enabled("cpu")
    )


def through_links(batch: SharedBatch, network: Network) -> bool:
    """Whether the first layer is computed link by link, together with others, and not through BLAS."""
    first = network.first
    return type(first) is SparseLinear and first.links.whole_features is None and batch.suits(first)


class Pass:
    """Networks that are run on a batch, and backward when gradients are asked for.

    Args:
        batch: What their first layers read.
        networks: See :func:`can_read`; :func:`through_links` is the same for all.
        more: ``(batch, features)``: inputs that come after the batch's features.
        keep: Whether the batch is read again later, as for gradients of weights.

    Attributes:
        outs: What the heads of each network give, ``(batch, units)`` each.
    """

    def __init__(
        self, batch: SharedBatch, networks: Sequence[Network], more: torch.Tensor | None = None, *, keep: bool
    ) -> None:
        self._networks = networks
        firsts = [network.first for network in networks]
        self._firsts = (_Links if through_links(batch, networks[0]) else _Factors)(batch, firsts, more)
        self._hidden = [
            _hidden(network, first) for network, first in zip(networks, self._firsts.products(keep), strict=True)
        ]
        self.outs = [
            [_product(head, hidden[-1]) for head in network.heads]
            for network, hidden in zip(networks, self._hidden, strict=True)
        ]

    def learn(self, grads: Sequence[Sequence[torch.Tensor]]) -> None:
        """Put the gradients of weights and biases into their ``.grad``, in the place of what is there.

        Where a sparse first layer collects the gradient of all places, it gets that too.

        Args:
            grads: Of what each head of each network gives.
        """
        of_firsts = self._back(grads, learn=True)
        for network, grad in zip(self._networks, of_firsts, strict=True):
            if network.first.bias is not None:
                network.first.bias.grad = grad.sum(0)
        self._firsts.learn(of_firsts)

    def gradient_of_more(self, grads: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
        """The gradient of what comes after the batch, ``(batch, features)``, and of nothing else.

        Args:
            grads: Of what each head of each network gives.
        """
        return self._firsts.gradient_of_more(self._back(grads, learn=False))

    def _back(self, grads: Sequence[Sequence[torch.Tensor]], learn: bool) -> list[torch.Tensor]:
        """The gradients of what the first layers give."""
        return [_back(*each, learn) for each in zip(self._networks, self._hidden, grads, strict=True)]


def _hidden(network: Network, first: torch.Tensor) -> list[torch.Tensor]:
    """What the hidden layers give behind their ReLUs, ``(batch, units)`` each; what the first gives is overwritten."""
    hidden = [first.relu_()]
    for layer in network.hidden:
        hidden.append(_product(layer, hidden[-1]).relu_())
    return hidden


def _product(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(layer.bias, x, layer.weight.t())


def _back(network: Network, hidden: Sequence[torch.Tensor], grads: Sequence[torch.Tensor], learn: bool) -> torch.Tensor:
    *earlier, last = hidden
    grad = _behind_relu(network.heads, grads, last, learn)
    for layer, x in zip(reversed(network.hidden), reversed(earlier), strict=True):
        grad = _behind_relu([layer], [grad], x, learn)
    return grad


def _behind_relu(layers: Sequence[nn.Linear], grads: Sequence[torch.Tensor], x: torch.Tensor, learn: bool) -> torch.Tensor:
    """The gradient of what a ReLU was given, from those of the layers that read ``x``, which it gave."""
    of_x = None
    for layer, grad in zip(layers, grads, strict=True):
        if learn:
            layer.weight.grad, layer.bias.grad = grad.t() @ x, grad.sum(0)
        of_x = grad @ layer.weight if of_x is None else of_x.addmm_(grad, layer.weight)
    return torch.ops.aten.threshold_backward.grad_input(of_x, x, 0.0, grad_input=of_x)


class _Links:
    """First layers that are computed link by link, all in one pass over the batch; arguments as of :class:`Pass`."""

    def __init__(self, batch: SharedBatch, layers: Sequence[SparseLinear], more: torch.Tensor | None) -> None:
        self._batch, self._layers = batch, layers
        self._more_t = None if more is None else transposed(more)

    def products(self, keep: bool) -> list[torch.Tensor]:
        """What the layers give, ``(batch, units)`` each."""
        return [transposed(out) for out in self._batch.outputs(self._layers, self._more_t, keep)]

    def learn(self, grads: Sequence[torch.Tensor]) -> None:
        """Put the weights' gradients, from those of what the layers give, into their ``.grad``."""
        grads = [transposed(grad) for grad in grads]
        of_weights = self._batch.weight_gradients(self._layers, grads, self._more_t)
        for layer, grad, of_weight in zip(self._layers, grads, of_weights, strict=True):
            layer.weight.grad = of_weight
            if layer.collect_gradient:
                layer.dense_gradient = self._batch.gradient_of_places(grad, self._more_t)

    def gradient_of_more(self, grads: Sequence[torch.Tensor]) -> torch.Tensor:
        """That of what comes after the batch, ``(batch, features)``, from those of what the layers give."""
        grads = [transposed(grad) for grad in grads]
        return transposed(self._batch.gradient_of_more(self._layers, grads, len(self._more_t)))


class _Factors:
    """First layers that are computed through BLAS, one by one; arguments as of :class:`Pass`."""

    def __init__(self, batch: SharedBatch, layers: Sequence[nn.Linear | SparseLinear], more: torch.Tensor | None) -> None:
        self._factors = [_Factor(batch, layer, more) for layer in layers]

    def products(self, keep: bool) -> list[torch.Tensor]:
        """What the layers give, ``(batch, units)`` each."""
        return [factor.product() for factor in self._factors]

    def learn(self, grads: Sequence[torch.Tensor]) -> None:
        """Put the weights' gradients, from those of what the layers give, into their ``.grad``."""
        for factor, grad in zip(self._factors, grads, strict=True):
            factor.learn(grad)

    def gradient_of_more(self, grads: Sequence[torch.Tensor]) -> torch.Tensor:
        """That of what comes after the batch, ``(batch, features)``, from those of what the layers give."""
        of_each = (factor.gradient_of_more(grad) for factor, grad in zip(self._factors, grads, strict=True))
        return functools.reduce(torch.add, of_each)


class _Factor:
    """A first layer as a dense product with those features alone that it reads."""

    def __init__(self, batch: SharedBatch, layer: nn.Linear | SparseLinear, more: torch.Tensor | None) -> None:
        self._layer = layer
        self._whole = self._whole_features(batch.n_features, 0 if more is None else more.shape[1])
        if self._whole is None:
            dense = layer.to_dense() if isinstance(layer, SparseLinear) else layer.weight
            self._weight, x = dense.t(), batch.rows()  # (features, units)
        else:
            self._weight = layer.weight.view(-1, layer.out_features)
            x = batch.rows() if len(self._whole) == batch.n_features else batch.features(self._whole)
        self._inputs = [x] if more is None else [x, more]
        self._n_features = x.shape[1]

    def _whole_features(self, n_features: int, n_more: int) -> np.ndarray | None:
        """The batch's features that are read, if each is by all neurons and so is what comes after; else None."""
        layer = self._layer
        if not isinstance(layer, SparseLinear) or layer.collect_gradient or layer.links.whole_features is None:
            return None
        read = layer.links.whole_features
        n_read = np.searchsorted(read, n_features)
        return read[:n_read] if len(read) - n_read == n_more else None

    def product(self) -> torch.Tensor:
        """What the layer gives, ``(batch, units)``."""
        x, *more = self._inputs
        weight, bias = self._weight[: self._n_features], self._layer.bias
        out = x @ weight if bias is None else torch.addmm(bias, x, weight)
        return out.addmm_(more[0], self._weight[self._n_features :]) if more else out

    def gradient_of_more(self, grad: torch.Tensor) -> torch.Tensor:
        """That of what comes after the batch, ``(batch, features)``."""
        return grad @ self._weight[self._n_features :].t()

    def learn(self, grad: torch.Tensor) -> None:
        """Put the weight's gradient into its ``.grad``."""
        layer = self._layer
        if not isinstance(layer, SparseLinear):
            layer.weight.grad = torch.empty_like(layer.weight)
            for part, x in zip(self._parts(layer.weight.grad.t()), self._inputs, strict=True):
                torch.mm(grad.t(), x, out=part.t())
            return
        of_places = torch.empty_like(self._weight, memory_format=torch.contiguous_format)
        for part, x in zip(self._parts(of_places), self._inputs, strict=True):
            torch.mm(x.t(), grad, out=part)
        flat = of_places.view(-1)
        layer.weight.grad = flat[layer.links.positions] if self._whole is None else flat
        if layer.collect_gradient:
            layer.dense_gradient = flat

    def _parts(self, of_all: torch.Tensor) -> list[torch.Tensor]:
        return [of_all[: self._n_features], of_all[self._n_features :]][: len(self._inputs)]

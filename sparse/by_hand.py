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


class Run(NamedTuple):
    """What a network made of a batch.

    Attributes:
        hidden: Outputs of the hidden layers behind their ReLUs, ``(batch, units)`` each.
        outs: Outputs of the heads, ``(batch, units)`` each.
    """

    hidden: list[torch.Tensor]
    outs: list[torch.Tensor]


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
    def of(cls, chain: nn.Sequential, heads: Sequence[nn.Module] = ()) -> Self | None:
        """The network of these modules; None where it has other parts, or where somebody watches or changes them.

        Args:
            chain: Linear layers and ReLUs by turns.
            heads: What reads its output. None given: the chain's own last layer, without a ReLU, is the head.
        """
        modules = list(chain)
        relus, linears = modules[1::2], [*modules[::2], *heads]
        if len(modules) % 2 == bool(heads) or len(linears) < 2:
            return None
        n_heads = len(heads) or 1
        first, hidden, heads = linears[0], linears[1:-n_heads], linears[-n_heads:]
        if not (
            type(first) in (nn.Linear, SparseLinear)
            and all(type(layer) is nn.Linear and layer.bias is not None for layer in (*hidden, *heads))
            and all(type(relu) is nn.ReLU for relu in relus)
            and all(_is_left_alone(module) for module in (chain, *relus, *linears))
            and all(_learns(layer.weight) and _learns(layer.bias) for layer in linears)
        ):
            return None
        return cls(first, hidden, heads)


def _is_left_alone(module: nn.Module) -> bool:
    return not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def _learns(parameter: nn.Parameter | None) -> bool:
    return parameter is None or (parameter.requires_grad and not parameter._backward_hooks)


def can_read(batch: SharedBatch, network: Network) -> bool:
    """Whether a network's first layer can read a batch here: on the CPU in float32."""
    weight = network.first.weight
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and batch.lies_on_cpu_in_float32()


def through_links(batch: SharedBatch, network: Network) -> bool:
    """Whether the first layer is computed link by link, together with others, and not through BLAS."""
    first = network.first
    return type(first) is SparseLinear and first.links.whole_features is None and batch.suits(first)


def forward(
    batch: SharedBatch, networks: Sequence[Network], more: torch.Tensor | None = None, *, keep: bool = True
) -> list[Run]:
    """Run networks of one kind on a batch.

    Args:
        batch: What their first layers read.
        networks: See :func:`can_read`.
        more: ``(batch, features)``: inputs that come after the batch's features.
        keep: Whether the batch is read again later.
    """
    if through_links(batch, networks[0]):
        more_t = None if more is None else transposed(more)
        outs = batch.outputs([network.first for network in networks], more_t, keep)
        firsts = [transposed(out) for out in outs]
    else:
        firsts = [_Factor(batch, network.first, more).product() for network in networks]
    return [_run(network, first) for network, first in zip(networks, firsts, strict=True)]


def _run(network: Network, first: torch.Tensor) -> Run:
    hidden = [first.relu_()]
    for layer in network.hidden:
        hidden.append(_product(layer, hidden[-1]).relu_())
    return Run(hidden, [_product(head, hidden[-1]) for head in network.heads])


def _product(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(layer.bias, x, layer.weight.t())


def backward(
    batch: SharedBatch,
    networks: Sequence[Network],
    runs: Sequence[Run],
    grads: Sequence[Sequence[torch.Tensor]],
    more: torch.Tensor | None = None,
    *,
    learn: bool = True,
) -> torch.Tensor | None:
    """Run networks backward.

    Args:
        batch: As in :func:`forward`.
        networks: As there.
        runs: What it gave.
        grads: Of each network, the gradient of what each head gave.
        more: As in :func:`forward`.
        learn: Put the gradients of weights and biases into their ``.grad``, in the place of what is there, and, where a
            sparse first layer collects it, that of all places. Otherwise the gradient of ``more`` is computed, and no other.

    Returns:
        The gradient of ``more``, ``(batch, features)``, or None.
    """
    of_firsts = [_back(*each, learn) for each in zip(networks, runs, grads, strict=True)]
    firsts = [network.first for network in networks]
    if learn:
        for first, grad in zip(firsts, of_firsts, strict=True):
            if first.bias is not None:
                first.bias.grad = grad.sum(0)
    if through_links(batch, networks[0]):
        return _back_through_links(batch, firsts, of_firsts, more, learn)
    factors = [_Factor(batch, first, more) for first in firsts]
    if not learn:
        return functools.reduce(torch.add, (factor.of_more(grad) for factor, grad in zip(factors, of_firsts, strict=True)))
    for factor, grad in zip(factors, of_firsts, strict=True):
        factor.learn(grad)
    return None


def _back(network: Network, run: Run, grads: Sequence[torch.Tensor], learn: bool) -> torch.Tensor:
    """The gradient of what the first layer gives."""
    *earlier, last = run.hidden
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


def _back_through_links(
    batch: SharedBatch,
    firsts: Sequence[SparseLinear],
    grads: Sequence[torch.Tensor],
    more: torch.Tensor | None,
    learn: bool,
) -> torch.Tensor | None:
    grads = [transposed(grad) for grad in grads]
    if not learn:
        return transposed(batch.gradient_of_more(firsts, grads, more.shape[1]))
    more_t = None if more is None else transposed(more)
    for first, grad, of_weight in zip(firsts, grads, batch.weight_gradients(firsts, grads, more_t), strict=True):
        first.weight.grad = of_weight
        if first.collect_gradient:
            first.dense_gradient = batch.gradient_of_places(grad, more_t)
    return None


class _Factor:
    """A first layer as a dense product with those features alone that it reads.

    Args:
        batch: The batch.
        layer: The layer.
        more: ``(batch, features)``: inputs that come after the batch's.
    """

    def __init__(self, batch: SharedBatch, layer: nn.Linear | SparseLinear, more: torch.Tensor | None) -> None:
        self._layer = layer
        self._whole = self._whole_features(batch.n_features, 0 if more is None else more.shape[1])
        if self._whole is None:
            dense = layer.to_dense() if isinstance(layer, SparseLinear) else layer.weight
            self._weight, x = dense.t(), batch.rows()  # (features, units)
        else:
            self._weight, x = layer.weight.view(-1, layer.out_features), batch.features(self._whole)
        self._inputs = [x] if more is None else [x, more]
        self._n_features = x.shape[1]

    def _whole_features(self, n_features: int, n_more: int) -> np.ndarray | None:
        """The batch's features that are read, if each is by all neurons and so is what comes after; None for all."""
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

    def of_more(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient of what comes after the batch, from that of what the layer gives."""
        return grad @ self._weight[self._n_features :].t()

    def learn(self, grad: torch.Tensor) -> None:
        """Put the weight's gradient into its ``.grad``."""
        layer = self._layer
        if not isinstance(layer, SparseLinear):
            of_weight = torch.empty_like(layer.weight)
            for part, x in zip(self._parts(of_weight.t()), self._inputs, strict=True):
                torch.mm(grad.t(), x, out=part.t())
            layer.weight.grad = of_weight
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

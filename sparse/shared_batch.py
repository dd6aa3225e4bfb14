"""Batches that the first layers of several networks read together.

An actor and two critics that read thousands of features spend their time fetching them. Here each part of the batch is
fetched once for all of them, and if the batch is only described (:class:`~siftrl.sparse.gather.Slices`), it is gathered part
by part in the cache, just before it is multiplied.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from . import kernels
from .gather import Slices
from .linear import SparseLinear, transposed


class SharedBatch:
    """A batch of observations, as a tensor or as the places its numbers come from.

    Slices that are read again in a backward pass, or by another kind of layer, are kept, in memory that may be given: of
    tens of megabytes, fresh pages take longer to fetch than to fill.

    Args:
        source: ``(batch, features)``, or slices.
        workspace: float32 ``(features, batch)``, contiguous, to be overwritten. None: new memory, if any is needed.

    Example:
        >>> layers = [SparseLinear(300, 8, density=0.1), SparseLinear(302, 8, density=0.1)]
        >>> observations, actions = torch.randn(5, 300), torch.randn(5, 2)
        >>> batch = SharedBatch(observations)
        >>> batch.announce(layers)
        >>> (first,), (second,) = batch.multiply(layers[:1]), batch.multiply(layers[1:], actions)
        >>> bool(torch.isclose(second, layers[1](torch.cat([observations, actions], 1)), atol=1e-6).all())
        True
    """

    def __init__(self, source: torch.Tensor | Slices, workspace: np.ndarray | None = None) -> None:
        described = isinstance(source, Slices)
        self._slices = source if described else None
        self._columns = None if described else source.detach().t()
        self._workspace = workspace
        self._readers: list[SparseLinear] = []
        self._products: dict[SparseLinear, _Product] = {}

    def __len__(self) -> int:
        return self._slices.batch if self._columns is None else self._columns.shape[1]

    @property
    def n_features(self) -> int:
        """Features of each row."""
        return self._slices.n_features if self._columns is None else self._columns.shape[0]

    def rows(self) -> torch.Tensor:
        """The whole batch, ``(batch, features)``; feature-major in memory if it came as slices."""
        if self._columns is None:
            self._columns = torch.from_numpy(self._slices.build(self._workspace))
        return self._columns.t()

    def suits(self, layer: nn.Module) -> bool:
        """Whether a layer can read the batch with others: over its links, on the CPU in float32, without hooks."""
        tensors = (layer.weight,) if self._columns is None else (layer.weight, self._columns)
        return (
            type(layer) is SparseLinear
            and layer.multiplies_links(len(self))
            and all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
            and not (layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)
            and not torch.is_autocast_enabled("cpu")
        )

    def announce(self, layers: Iterable[SparseLinear]) -> None:
        """Have the products of these layers computed together, as soon as the first of them is asked for."""
        self._readers += layers

    def multiply(self, layers: Sequence[SparseLinear], more: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """What ``layer(torch.cat([batch, more], dim=1))`` is for each layer; with gradients, but for the batch's own.

        Args:
            layers: See :meth:`suits`.
            more: ``(batch, features)``: inputs that come after the batch's features.

        Returns:
            ``(batch, out_features)`` each.
        """
        parameters = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
        return _SharedProduct.apply(self, layers, torch.is_grad_enabled(), more, *parameters)

    def products(self, layers: Sequence[SparseLinear], keep: bool) -> list[torch.Tensor]:
        """Multiply with the weights that each layer has for this batch, and add its bias; without gradients.

        Args:
            layers: Their first inputs are this batch's features.
            keep: Whether the batch is read again later.

        Returns:
            New tensors ``(out_features, batch)``.
        """
        if not all(self._products.get(layer, _NONE).is_of(layer) for layer in layers):
            wanted = list(dict.fromkeys((*layers, *self._readers)))
            self._readers = []
            for layer, values in zip(wanted, self._multiply(wanted, keep), strict=True):
                self._products[layer] = _Product(layer.weight, _version(layer), values)
        return [self._products.pop(layer).values for layer in layers]

    def _multiply(self, layers: Sequence[SparseLinear], keep: bool) -> list[torch.Tensor]:
        outs = [torch.empty(layer.out_features, len(self)) for layer in layers]
        parts = [
            layer.links.product(layer.weight, layer.bias, out, (0, self.n_features))
            for layer, out in zip(layers, outs, strict=True)
        ]
        if self._columns is not None:
            kernels.product(self.columns(), parts)
        elif keep:
            if self._workspace is None:
                self._workspace = np.empty((self.n_features, len(self)), np.float32)
            kernels.product(self._slices, parts, keep=self._workspace)
            self._columns = torch.from_numpy(self._workspace)
        else:
            kernels.product(self._slices, parts)
        return outs

    def columns(self) -> np.ndarray:
        """The whole batch as the kernels read it, float32 ``(features, batch)``, contiguous."""
        self._columns = self.rows().t().contiguous()
        return self._columns.numpy()


class _Product(NamedTuple):
    """A layer's product, and what it was computed with."""

    weight: torch.Tensor | None
    version: tuple[int, int]
    values: torch.Tensor | None

    def is_of(self, layer: SparseLinear) -> bool:
        return self.weight is layer.weight and self.version == _version(layer)


_NONE = _Product(None, (0, 0), None)


def _version(layer: SparseLinear) -> tuple[int, int]:
    """Differs after every change of the parameters' values."""
    return layer.weight._version, 0 if layer.bias is None else layer.bias._version


class _SharedProduct(torch.autograd.Function):
    """The products of all layers with a shared batch, and with the features after it."""

    @staticmethod
    def forward(
        ctx: Any,
        batch: SharedBatch,
        layers: Sequence[SparseLinear],
        keep: bool,
        more: torch.Tensor | None,
        *parameters: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        outs = batch.products(layers, keep)
        more_t = None if more is None else transposed(more)
        if more is not None:
            first = batch.n_features
            parts = [
                layer.links.product(layer.weight, None, out, (first, layer.in_features))
                for layer, out in zip(layers, outs, strict=True)
            ]
            kernels.product(more_t.numpy(), parts)
        # The weights, so that torch notices if they change before the backward pass.
        ctx.save_for_backward(*parameters[::2])
        ctx.batch, ctx.layers, ctx.more_t = batch, layers, more_t
        return tuple(transposed(out) for out in outs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        batch, layers, more_t = ctx.batch, ctx.layers, ctx.more_t
        _, _, _, needs_more, *needs = ctx.needs_input_grad
        grads = [transposed(grad) for grad in grads]
        of_weights = [
            torch.empty_like(weight) if needed else None
            for weight, needed in zip(ctx.saved_tensors, needs[::2], strict=True)
        ]
        of_biases = [grad.sum(1) if needed else None for grad, needed in zip(grads, needs[1::2], strict=True)]

        learning = [each for each in zip(layers, grads, of_weights, strict=True) if each[2] is not None]
        if learning:
            parts = [batch.columns()] if more_t is None else [batch.columns(), more_t.numpy()]
            first = 0
            for part in parts:
                features = first, first + len(part)
                kernels.weight_gradient(part, [layer.links.weight_gradient(*rest, features) for layer, *rest in learning])
                first += len(part)
            for layer, grad, _ in learning:
                if layer.collect_gradient:
                    of_places = [torch.mm(torch.from_numpy(part), grad.t()) for part in parts]
                    layer.add_dense_gradient(torch.cat(of_places).view(-1))

        of_more = None
        if needs_more:
            features = batch.n_features, batch.n_features + len(more_t)
            of_each = (
                layer.links.input_gradient(layer.weight, grad, features) for layer, grad in zip(layers, grads, strict=True)
            )
            of_more = transposed(functools.reduce(torch.add, of_each))
        return None, None, None, of_more, *itertools.chain.from_iterable(zip(of_weights, of_biases, strict=True))

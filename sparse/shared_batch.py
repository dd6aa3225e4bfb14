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
from .linear import SparseLinear, output, transposed


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
        self._some: dict[bytes, torch.Tensor] = {}  # by the numbers of the features

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

    def features(self, features: np.ndarray) -> torch.Tensor:
        """Some of the features alone, int64 ``(n,)``: ``(batch, n)``."""
        key = features.tobytes()
        if key not in self._some:
            columns = self._columns
            some = self._slices.features(features) if columns is None else columns[torch.from_numpy(features)]
            self._some[key] = torch.as_tensor(some).t()
        return self._some[key]

    def lies_on_cpu_in_float32(self) -> bool:
        """Whether the batch can be read by the CPU kernels."""
        return self._columns is None or (self._columns.device.type == "cpu" and self._columns.dtype == torch.float32)

    def suits(self, layer: nn.Module) -> bool:
        """Whether a layer can read the batch with others: over its links, on the CPU in float32, without hooks."""
        return (
            type(layer) is SparseLinear
            and layer.multiplies_links(len(self))
            and layer.weight.device.type == "cpu"
            and layer.weight.dtype == torch.float32
            and self.lies_on_cpu_in_float32()
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

        Raises:
            ValueError: If ``more`` has another number of rows than the batch, or a layer reads another number of features
                than both have.
        """
        if more is not None and (more.dim() != 2 or len(more) != len(self)):
            raise ValueError(
                f"more must have shape ({len(self)}, features), as many rows as the batch, got {tuple(more.shape)}"
            )
        n_features = self.n_features + (0 if more is None else more.shape[1])
        if any(layer.in_features != n_features for layer in layers):
            widths = [layer.in_features for layer in layers]
            raise ValueError(f"layers must read {n_features} features, all that the batch and more have, got {widths}")
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
        outs = [layer.weight.new_empty(layer.out_features, len(self)) for layer in layers]
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

    def outputs(self, layers: Sequence[SparseLinear], more_t: torch.Tensor | None, keep: bool) -> list[torch.Tensor]:
        """As :meth:`multiply`, without autograd and feature-major.

        Args:
            layers: See :meth:`suits`.
            more_t: ``(features, batch)``: inputs that come after the batch's.
            keep: Whether the batch is read again later.

        Returns:
            New tensors ``(out_features, batch)``.
        """
        outs = self.products(layers, keep)
        if more_t is not None:
            parts = [
                layer.links.product(layer.weight, None, out, (self.n_features, layer.in_features))
                for layer, out in zip(layers, outs, strict=True)
            ]
            kernels.product(more_t.numpy(), parts)
        return outs

    def weight_gradients(
        self, layers: Sequence[SparseLinear], grads: Sequence[torch.Tensor], more_t: torch.Tensor | None
    ) -> list[torch.Tensor]:
        """The gradients of the layers' weights from those of their outputs, ``(out_features, batch)``."""
        of_weights = [torch.empty_like(layer.weight) for layer in layers]
        first = 0
        for part in self._parts(more_t):
            features = first, first + len(part)
            parts = [
                layer.links.weight_gradient(grad, of_weight, features)
                for layer, grad, of_weight in zip(layers, grads, of_weights, strict=True)
            ]
            kernels.weight_gradient(part, parts)
            first += len(part)
        return of_weights

    def gradient_of_places(self, grad: torch.Tensor, more_t: torch.Tensor | None) -> torch.Tensor:
        """The gradient of all places of a layer, in the order of positions, from that of its output."""
        return torch.cat([torch.mm(torch.from_numpy(part), grad.t()) for part in self._parts(more_t)]).view(-1)

    def gradient_of_more(self, layers: Sequence[SparseLinear], grads: Sequence[torch.Tensor], n_more: int) -> torch.Tensor:
        """The gradient of what comes after the batch, ``(features, batch)``, from those of the layers' outputs."""
        features = self.n_features, self.n_features + n_more
        of_each = (
            layer.links.input_gradient(layer.weight, grad, features) for layer, grad in zip(layers, grads, strict=True)
        )
        return functools.reduce(torch.add, of_each)

    def _parts(self, more_t: torch.Tensor | None) -> list[np.ndarray]:
        return [self.columns()] if more_t is None else [self.columns(), more_t.numpy()]

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
        more_t = None if more is None else transposed(more)
        outs = batch.outputs(layers, more_t, keep)
        # The weights, so that torch notices if they change before the backward pass.
        ctx.save_for_backward(*parameters[::2])
        ctx.batch, ctx.layers, ctx.more_t = batch, layers, more_t
        return tuple(map(output, outs))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        batch, layers, more_t = ctx.batch, ctx.layers, ctx.more_t
        _ = ctx.saved_tensors
        _, _, _, needs_more, *needs = ctx.needs_input_grad
        grads = [transposed(grad) for grad in grads]
        of_biases = [grad.sum(1) if needed else None for grad, needed in zip(grads, needs[1::2], strict=True)]

        of_weights: dict[SparseLinear, torch.Tensor] = {}
        learning = [(layer, grad) for layer, grad, needed in zip(layers, grads, needs[::2], strict=True) if needed]
        if learning:
            learners, of_learners = zip(*learning, strict=True)
            of_weights = dict(zip(learners, batch.weight_gradients(learners, of_learners, more_t), strict=True))
            for layer, grad in learning:
                if layer.collect_gradient:
                    layer.add_dense_gradient(batch.gradient_of_places(grad, more_t))
        of_more = transposed(batch.gradient_of_more(layers, grads, len(more_t))) if needs_more else None
        of_parameters = ((of_weights.get(layer), of_bias) for layer, of_bias in zip(layers, of_biases, strict=True))
        return None, None, None, of_more, *itertools.chain.from_iterable(of_parameters)

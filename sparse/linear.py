"""``SparseLinear``: a linear layer that holds its links and nothing else."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn

from . import kernels
from .layer import SparseLayer
from .topology import Topology

# From this density on (batches of more than one row), scattering the links into a dense weight and multiplying with BLAS
# is quicker than the kernels on the CPU (benchmarks/kernels.py).
BLAS_DENSITY = 0.25


class SparseLinear(SparseLayer):
    """A linear layer ``y = x W^T + b`` whose weight holds only the links of a sparse ``W``; see :class:`SparseLayer`.

    On the CPU in float32 the product runs over the links alone; on other devices, in other dtypes and above
    :data:`BLAS_DENSITY`, the links are scattered into a dense weight first. Outputs and gradients lie in memory as those of
    ``nn.Linear`` do: autograd's element by element operations take twenty times as long where two layouts meet.

    Args:
        in_features: Input features.
        out_features: Neurons.
        density: Links over places, in (0, 1]. Links are ``round(density * in_features * out_features)``.
        bias: Whether to add a bias.
        topology: The links, of shape ``(out_features, in_features)``; instead of ``density``.
        seed: Fixes the random links. None: derived from the weights just drawn, so that ``torch.manual_seed`` fixes both.
        device: Of the parameters.
        dtype: Of the parameters.

    Raises:
        ValueError: As :class:`SparseLayer`.

    Example:
        >>> layer = SparseLinear(1700, 256, density=0.05)
        >>> layer.n_links, layer(torch.ones(3, 1700)).shape
        (21760, torch.Size([3, 256]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        density: float | None = None,
        bias: bool = True,
        *,
        topology: Topology | None = None,
        seed: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape = out_features, in_features
        super().__init__(shape, density, topology, bias=bias, seed=seed, device=device, dtype=dtype)
        self.in_features, self.out_features = in_features, out_features

    @classmethod
    def _like(cls, dense: nn.Linear, **kwargs: Any) -> Self:
        return cls(dense.in_features, dense.out_features, bias=dense.bias is not None, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(*, in_features)`` to ``(*, out_features)``.

        Raises:
            ValueError: If the last dimension is not ``in_features``.
        """
        if x.dim() == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"x must have {self.in_features} features in its last dimension, got shape {tuple(x.shape)}")
        rows = x.reshape(-1, self.in_features)
        on_cpu_in_float32 = rows.device.type == "cpu" and rows.dtype == self.weight.dtype == torch.float32
        if on_cpu_in_float32 and self.multiplies_links(len(rows)) and not torch.is_autocast_enabled("cpu"):
            out = _LinkProduct.apply(rows, self.weight, self.bias, self)
        else:
            out = nn.functional.linear(rows, self._dense_factor(), self.bias)
        return out.view(*x.shape[:-1], self.out_features)

    def multiplies_links(self, batch: int) -> bool:
        """Whether the product with a batch on the CPU in float32 runs over the links, and not through BLAS."""
        return self.density <= BLAS_DENSITY or batch == 1

    def extra_repr(self) -> str:
        """What ``repr`` says of the layer."""
        return f"in_features={self.in_features}, out_features={self.out_features}, {super().extra_repr()}"


class _LinkProduct(torch.autograd.Function):
    """``x W^T + b`` over the links alone, by the CPU kernels; float32."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, layer: SparseLinear
    ) -> torch.Tensor:
        links = layer.links
        if len(x) == 1:
            x_t = x.detach().t()
            out = x.new_zeros(1, layer.out_features)
            if bias is not None:
                out += bias
            links.add_row(x[0], weight, out[0])
        else:
            x_t = transposed(x.detach())
            out_t = x.new_empty(layer.out_features, len(x))
            kernels.product(x_t.numpy(), [links.product(weight, bias, out_t)])
            out = output(out_t)
        ctx.save_for_backward(weight, x_t)
        ctx.layer, ctx.links = layer, links
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, x_t = ctx.saved_tensors
        layer, links = ctx.layer, ctx.links
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        grad_t = transposed(grad_out)
        grad_weight = None
        if needs_weight:
            grad_weight = torch.empty_like(weight)
            kernels.weight_gradient(x_t.contiguous().numpy(), [links.weight_gradient(grad_t, grad_weight)])
            if layer.collect_gradient:
                layer.add_dense_gradient((x_t @ grad_t.t()).view(-1))
        grad_x = transposed(links.input_gradient(weight, grad_t)) if needs_x else None
        return grad_x, grad_weight, grad_t.sum(1) if needs_bias else None, None


def output(out_t: torch.Tensor) -> torch.Tensor:
    """What a Function gives, from ``(out_features, batch)``: the transpose, no view, so that it may be changed in place."""
    out = transposed(out_t)
    return out.clone() if out._is_view() else out


def transposed(x: torch.Tensor) -> torch.Tensor:
    """The transpose, contiguous: ``x.t()`` itself where that is so already, else a copy. float32, on the CPU."""
    if x.t().is_contiguous():
        return x.t()
    return torch.from_numpy(kernels.transposed(x.contiguous().numpy()))

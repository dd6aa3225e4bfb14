"""``SparseConv``: a convolution in one, two or three dimensions that holds its links and nothing else."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional as F

from .layer import SparseLayer
from .topology import Topology

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


class SparseConv(SparseLayer):
    """A convolution whose kernel holds only the links of a sparse one; see :class:`SparseLayer`.

    A neuron is an output channel. Its input features are the places of the kernel in each input channel of its group: a
    kernel of shape ``(out, in / groups, *kernel)`` has a topology of shape ``(out, in / groups * kernel places)``.

    For the product the links are scattered into a dense kernel: what is sparse is the memory of weights and moments and
    what is learnt, not the time.

    Args:
        like: A torch convolution, whose channels, kernel size, stride, padding, dilation, groups, padding mode and bias are
            taken, and whose weights are not.
        density: Links over places, in (0, 1].
        topology: The links; instead of ``density``.
        seed: Fixes the random links. None: derived from the weights just drawn, so that ``torch.manual_seed`` fixes both.
        device: Of the parameters.
        dtype: Of the parameters.

    Raises:
        ValueError: As :class:`SparseLayer`.

    Example:
        >>> layer = SparseConv(nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1), density=0.1)
        >>> layer.n_links, layer.topology.shape, layer(torch.ones(8, 16, 28, 28)).shape
        (461, (32, 144), torch.Size([8, 32, 14, 14]))
    """

    def __init__(
        self,
        like: Convolution,
        density: float | None = None,
        *,
        topology: Topology | None = None,
        seed: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        bias = like.bias is not None
        super().__init__(like.weight.shape, density, topology, bias=bias, seed=seed, device=device, dtype=dtype)
        self.in_channels, self.out_channels, self.kernel_size = like.in_channels, like.out_channels, like.kernel_size
        self.stride, self.dilation, self.groups = like.stride, like.dilation, like.groups
        self.padding, self.padding_mode = like.padding, like.padding_mode

    @classmethod
    def _like(cls, dense: Convolution, **kwargs: Any) -> Self:
        return cls(dense, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, in_channels, *places)`` or ``(in_channels, *places)`` to what torch's convolution gives."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._margins(), mode=self.padding_mode), 0
        convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(self.kernel_size)]
        return convolve(x, self._dense_factor(), self.bias, self.stride, padding, self.dilation, self.groups)

    def _margins(self) -> list[int]:
        """Padding before and after each dimension, the last one first, as ``pad`` takes it."""
        total = [dilation * (width - 1) for dilation, width in zip(self.dilation, self.kernel_size, strict=True)]
        each = {"valid": [(0, 0)] * len(total), "same": [(n // 2, n - n // 2) for n in total]}
        sides = each[self.padding] if isinstance(self.padding, str) else [(n, n) for n in self.padding]
        return [n for pair in reversed(sides) for n in pair]

    def extra_repr(self) -> str:
        """What ``repr`` says of the layer."""
        settings = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        return ", ".join([*(f"{name}={getattr(self, name)!r}" for name in settings), super().extra_repr()])

"""What an evolution remembers of a layer between two rewirings, for the rules that need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from .layer import SparseLayer
from .layer_state import LayerState
from .recipes import Recipe


class LayerHistory(nn.Module):
    """The memory of one layer, in buffers: it is saved with the evolution, as far as the recipe needs it.

    Args:
        layer: The layer, as it is at the start.
        recipe: Says what has to be remembered.

    Attributes:
        n_start: int64 ``()``: links at the start, for a density that falls.
        tried: uint8 ``(ceil(size / 8),)``: a bit for each place, set where there ever was a link; empty unless needed.
        sums: float32, or float64 as the gradient, ``(len(decays), size)``: weighted sums of the powers of the gradient of
            all places in the window so far; empty outside of a window.
        n_gradients: int64 ``()``: gradients in those sums.
    """

    n_start: torch.Tensor
    tried: torch.Tensor
    sums: torch.Tensor
    n_gradients: torch.Tensor

    def __init__(self, layer: SparseLayer, recipe: Recipe) -> None:
        super().__init__()
        self._decays, self._remembers_tried = recipe.grow.decays, recipe.grow.needs_tried
        spans_steps = recipe.grow.window_updates > 1
        self.register_buffer("n_start", torch.tensor(layer.n_links), persistent=recipe.falls)
        self.register_buffer("tried", torch.empty(0, dtype=torch.uint8), persistent=self._remembers_tried)
        self.register_buffer("sums", torch.empty(0), persistent=spans_steps)
        self.register_buffer("n_gradients", torch.tensor(0), persistent=spans_steps)
        self.remember_links(layer)

    def remember_links(self, layer: SparseLayer) -> None:
        """Count the places that have a link now as tried."""
        if self._remembers_tried:
            tried = self._unpacked(layer)
            tried[layer.topology.positions] = True
            self.tried = torch.from_numpy(np.packbits(tried)).to(self.tried.device)

    def _unpacked(self, layer: SparseLayer) -> np.ndarray:
        if not self.tried.numel():
            return np.zeros(layer.size, bool)
        return np.unpackbits(self.tried.cpu().numpy(), count=layer.size).astype(bool)

    def add_gradient(self, gradient: torch.Tensor) -> None:
        """Take the gradient of all places, ``(size,)``, of one optimiser step into the window."""
        # In half precision squares vanish, and a sum of many no longer grows.
        gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
        if not self.n_gradients:
            self.sums = gradient.new_zeros(len(self._decays), gradient.numel())
        for power, (total, decay) in enumerate(zip(self.sums, self._decays, strict=True), start=1):
            total.mul_(decay).add_(gradient**power)
        self.n_gradients += 1

    def close_window(self) -> tuple[np.ndarray, ...]:
        """The weighted means of the gradient's powers, float32 ``(size,)`` each, then forgotten; () if none came."""
        if not self.n_gradients:
            return ()
        weights = [sum(decay**age for age in range(self.n_gradients)) for decay in self._decays]
        moments = tuple((total / weight).cpu().float().numpy() for total, weight in zip(self.sums, weights, strict=True))
        self.sums, self.n_gradients = self.sums.new_empty(0), torch.zeros_like(self.n_gradients)
        return moments

    def state_of(self, layer: SparseLayer, evidence: np.ndarray | None) -> LayerState:
        """The layer as the rules see it; ends the window."""
        gradient = layer.weight.grad
        return LayerState(
            topology=layer.topology,
            weight=layer.weight.detach().cpu().float().numpy(),
            gradient=None if gradient is None else gradient.cpu().float().numpy(),
            moments=self.close_window(),
            tried=self._unpacked(layer) if self._remembers_tried else None,
            evidence=evidence,
        )

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # The saved window may have been open where this one is closed.
        for name, buffer in self.named_buffers():
            if (saved := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(saved, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *args)

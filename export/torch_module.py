"""An exported actor as a torch module of stock layers, for the formats that torch writes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from .actor import Actor, Layer

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}


class ActorModule(nn.Module):
    """Observations, float32 ``(batch, n_features)``, to actions ``(batch, n_actions)``; knows nothing of SiftRL.

    Args:
        actor: What it computes.
    """

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.reads_all = len(actor.reads) == actor.n_features
        self.register_buffer("reads", torch.from_numpy(actor.reads.astype(np.int64)))
        self.register_buffer("low", torch.from_numpy(actor.low))
        self.register_buffer("half_range", torch.from_numpy((actor.high - actor.low) / 2))
        modules = [module for layer in actor.layers for module in (_linear(layer), _ACTIVATIONS[layer.activation]())]
        self.layers = nn.Sequential(*modules)
        self.requires_grad_(False)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """The actions."""
        readings = observation if self.reads_all else observation.index_select(1, self.reads)
        return (self.layers(readings) + 1) * self.half_range + self.low


def _linear(layer: Layer) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, layer.n_in, len(layer.bias))
    linear.weight.data = torch.from_numpy(layer.dense().copy())
    linear.bias.data = torch.from_numpy(layer.bias.copy())
    return linear


def as_numpy(module: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[np.ndarray], np.ndarray]:
    """A torch module as a function of numpy arrays."""

    def act(observations: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(observations)).numpy()

    return act

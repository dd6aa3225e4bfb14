"""An actor as plain arrays: the features that it reads, its layers, the bounds of its actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from ..sparse.linear import SparseLinear
from ..sparse.topology import Topology

_ACTIVATIONS = {nn.ReLU: "relu", nn.Tanh: "tanh"}


@dataclass(frozen=True)
class Layer:
    """A linear layer and what follows it.

    Attributes:
        weight: float32 ``(n_out, n_in)``; of a sparse layer ``(n_links,)``, neuron by neuron.
        bias: float32 ``(n_out,)``.
        activation: "relu", "tanh" or "none".
        n_in: What it reads.
        indptr: Of a sparse layer, int32 ``(n_out + 1,)``: the links of neuron ``j`` are ``indptr[j]`` to ``indptr[j + 1]``.
        indices: Of a sparse layer, int32 ``(n_links,)``: the input that each link reads.
    """

    weight: np.ndarray
    bias: np.ndarray
    activation: str
    n_in: int
    indptr: np.ndarray | None = None
    indices: np.ndarray | None = None

    def dense(self) -> np.ndarray:
        """The weight as float32 ``(n_out, n_in)``, 0 where there is no link."""
        if self.indptr is None:
            return self.weight
        dense = np.zeros((len(self.bias), self.n_in), np.float32)
        dense[np.repeat(np.arange(len(self.bias)), np.diff(self.indptr)), self.indices] = self.weight
        return dense


@dataclass(frozen=True)
class Actor:
    """What an actor computes: ``low + (high - low) * (layers(observation[reads]) + 1) / 2``.

    Attributes:
        n_features: Length of an observation.
        reads: int32 ``(n_reads,)``, ascending: the features that have a link; no other is needed.
        layers: From the first, whose inputs are the features that are read, to the last, which ends in tanh.
        low: float32 ``(n_actions,)``: the least actions.
        high: float32 ``(n_actions,)``: the largest.
        about: Where the actor comes from, in plain values.
    """

    n_features: int
    reads: np.ndarray
    layers: tuple[Layer, ...]
    low: np.ndarray
    high: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def n_weights(self) -> int:
        """Weights of all layers, biases left out."""
        return sum(layer.weight.size for layer in self.layers)


def actor_of(model: BaseAlgorithm, about: dict[str, Any] | None = None) -> Actor:
    """The actor of a SAC or TD3 model, sparse or dense, as it acts when it is not to explore.

    Args:
        model: Of SiftRL or of stock SB3.
        about: Where it comes from, in values that JSON knows.

    Raises:
        ValueError: For other algorithms and for actors that are no chain of linear layers over one vector.

    Example:
        >>> from stable_baselines3 import SAC
        >>> from siftrl.agents import SparseSACPolicy
        >>> model = SAC(SparseSACPolicy, "Pendulum-v1", policy_kwargs=dict(recipe="set", density=0.1), buffer_size=1)
        >>> actor = actor_of(model)
        >>> actor.reads.tolist(), [layer.n_in for layer in actor.layers], actor.high.tolist()
        ([0, 1, 2], [3, 256, 256], [2.0])
    """
    network = getattr(model, "actor", None)
    if network is None or not hasattr(model, "critic"):
        raise ValueError(f"export knows the actors of SAC and TD3, not those of {type(model).__name__}.")
    space = model.observation_space
    if not (isinstance(space, gym.spaces.Box) and len(space.shape) == 1):
        raise ValueError(f"export needs an actor that reads one vector, not {space}.")
    if type(network.features_extractor) is not FlattenExtractor:
        raise ValueError(f"export cannot write the features extractor {type(network.features_extractor).__name__}.")
    layers = list(_layers(_modules(network)))
    reads = np.arange(space.shape[0], dtype=np.int32)
    if layers[0].indptr is not None:
        reads, places = np.unique(layers[0].indices, return_inverse=True)
        layers[0] = replace(layers[0], indices=places.astype(np.int32), n_in=len(reads))
    bounds = model.action_space.low.astype(np.float32), model.action_space.high.astype(np.float32)
    return Actor(space.shape[0], reads, tuple(map(_dense_if_full, layers)), *bounds, about or {})


def _modules(network: nn.Module) -> list[nn.Module]:
    """The modules from the observation to actions in -1 to 1; SB3 squashes SAC's outside of the network."""
    trunk = getattr(network, "latent_pi", None)
    parts = [network.mu] if trunk is None else [trunk, network.mu, nn.Tanh()]
    return [module for part in parts for module in (part if isinstance(part, nn.Sequential) else [part])]


def _layers(modules: list[nn.Module]) -> Iterator[Layer]:
    linears = [i for i, module in enumerate(modules) if isinstance(module, nn.Linear | SparseLinear)]
    if not linears or linears[0] != 0:
        raise ValueError("export needs an actor whose first module is a linear layer.")
    for start, end in zip(linears, [*linears[1:], len(modules)], strict=True):
        followers = modules[start + 1 : end]
        names = [_ACTIVATIONS.get(type(module), "") for module in followers]
        if len(followers) > 1 or "" in names:
            unknown = ", ".join(type(module).__name__ for module in followers)
            raise ValueError(f"export knows ReLU or Tanh behind a linear layer, not {unknown}.")
        yield _layer(modules[start], *(names or ["none"]))


def _layer(module: nn.Linear | SparseLinear, activation: str) -> Layer:
    weight = module.weight.detach().cpu().numpy().astype(np.float32)
    bias = np.zeros(module.out_features, np.float32)
    if module.bias is not None:
        bias = module.bias.detach().cpu().numpy().astype(np.float32)
    if isinstance(module, nn.Linear):
        return Layer(weight, bias, activation, module.in_features)
    topology: Topology = module.topology
    by_neuron = np.argsort(topology.neurons, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(topology.fan_in())]).astype(np.int32)
    indices = topology.inputs[by_neuron].astype(np.int32)
    return Layer(weight[by_neuron], bias, activation, module.in_features, indptr, indices)


def _dense_if_full(layer: Layer) -> Layer:
    """A layer in which every place has a link needs no list of them."""
    if layer.indptr is None or layer.weight.size < len(layer.bias) * layer.n_in:
        return layer
    return replace(layer, weight=layer.dense(), indptr=None, indices=None)

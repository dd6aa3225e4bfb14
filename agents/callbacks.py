"""What the networks of SAC and TD3 look like while they train: tables, filter metrics, and a callback that logs them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from ..sparse.linear import SparseLinear


class LayerRow(NamedTuple):
    """A linear layer in figures.

    Attributes:
        network: "actor", or "qf0", "qf1", … for a critic.
        layer: Qualified name within the network.
        shape: ``(out_features, in_features)``.
        links: Weights that exist.
        density: Links over places.
    """

    network: str
    layer: str
    shape: tuple[int, int]
    links: int
    density: float


class FilterRow(NamedTuple):
    """How a network's input layer spends its links.

    Attributes:
        real: Links per real feature.
        noise: Links per noise feature; NaN where there is none.
        strength_ratio: Mean neuron strength (sum of absolute weights) of the real features over that of the noise
            features; NaN where there is none.
    """

    real: float
    noise: float
    strength_ratio: float


def networks(model: BaseAlgorithm) -> dict[str, nn.Module]:
    """The actor and each critic of a SAC or TD3 model: "actor", "qf0", "qf1", …"""
    critics = {f"qf{i}": q_network for i, q_network in enumerate(model.critic.q_networks)}
    return {"actor": model.actor, **critics}


def layer_table(model: BaseAlgorithm) -> list[LayerRow]:
    """Shape, links and density of each linear layer of a model, dense ones included."""
    return [
        LayerRow(network, path, (layer.out_features, layer.in_features), layer.weight.numel(), _density(layer))
        for network, module in networks(model).items()
        for path, layer in _linears(module).items()
    ]


def filter_report(model: BaseAlgorithm, relevant_features: np.ndarray) -> dict[str, FilterRow]:
    """How each network's input layer shares its links between real and noise features.

    Actions, which a critic also reads, count as neither.

    Args:
        model: A SAC or TD3 model, sparse or dense.
        relevant_features: int64 ``(d,)``: where the real features stand in the observation.
    """
    n_features = model.observation_space.shape[0]
    real = np.zeros(n_features, dtype=bool)
    real[relevant_features] = True
    return {network: _filter_row(module, real) for network, module in networks(model).items()}


def _filter_row(network: nn.Module, real: np.ndarray) -> FilterRow:
    layer = next(iter(_linears(network).values()))
    if isinstance(layer, SparseLinear):
        links = layer.topology.fan_out()
        strength = np.bincount(layer.topology.inputs, np.abs(layer.weight.detach().cpu().numpy()), layer.in_features)
    else:
        links = np.full(layer.in_features, layer.out_features)
        strength = layer.weight.detach().abs().sum(0).cpu().numpy()
    links, strength = links[: len(real)], strength[: len(real)]
    if real.all():
        return FilterRow(float(links.mean()), float("nan"), float("nan"))
    ratio = strength[real].mean() / max(strength[~real].mean(), np.finfo(np.float32).tiny)
    return FilterRow(float(links[real].mean()), float(links[~real].mean()), float(ratio))


def _linears(network: nn.Module) -> dict[str, nn.Linear | SparseLinear]:
    return {path: module for path, module in network.named_modules() if isinstance(module, nn.Linear | SparseLinear)}


def _density(layer: nn.Linear | SparseLinear) -> float:
    return layer.weight.numel() / (layer.in_features * layer.out_features)


class SparsityMetrics(BaseCallback):
    """Log the topology of a SAC or TD3 run, stock SB3's or ours, to SB3's logger (TensorBoard, CSV …).

    Keys: ``sparsity/<net>/<layer>`` (fraction of zeros), ``topology/<net>/{dropped,grown,overlap}`` of the last rewiring
    (links, links, intersection over union), and in an extremely noisy environment
    ``filter/<net>/links_per_{real,noise}_feature``, ``filter/<net>/strength_ratio`` and ``ene/permutation``.

    Args:
        period_steps: Environment steps between two measurements. The last one stands whenever SB3 writes its log.
        verbose: See SB3.

    Raises:
        ValueError: If the period is below 1.

    Example:
        >>> from stable_baselines3 import SAC
        >>> from siftrl.agents import SparseSACPolicy
        >>> model = SAC(SparseSACPolicy, "Pendulum-v1").learn(10, callback=SparsityMetrics(period_steps=5))
    """

    def __init__(self, period_steps: int = 1000, verbose: int = 0) -> None:
        super().__init__(verbose)
        if period_steps < 1:
            raise ValueError(f"period_steps={period_steps} must be at least 1")
        self.period_steps = period_steps
        self._next = 0
        self._values: dict[str, Any] = {}

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps
        self._measure()
        self._record()

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.period_steps
            self._measure()
        self._record()
        return True

    def _on_training_end(self) -> None:
        self._measure()
        self._record()

    def _record(self) -> None:
        # In every step: SB3 forgets what it has written.
        for key, value in self._values.items():
            self.logger.record(key, value)

    def _measure(self) -> None:
        self._values = {f"sparsity/{row.network}/{row.layer}": 1.0 - row.density for row in layer_table(self.model)}
        for network, evolution in getattr(self.model.policy, "evolutions", {}).items():
            rewirings = list(evolution.last.values())
            if rewirings:
                self._values[f"topology/{network}/dropped"] = sum(rewiring.dropped for rewiring in rewirings)
                self._values[f"topology/{network}/grown"] = sum(rewiring.grown for rewiring in rewirings)
                self._values[f"topology/{network}/overlap"] = np.mean([rewiring.overlap for rewiring in rewirings])
        self._values.update(_ene_metrics(self.model, self.training_env))


def _ene_metrics(model: BaseAlgorithm, env: VecEnv) -> dict[str, Any]:
    if not env.has_attr("relevant_features"):
        return {}
    metrics: dict[str, Any] = {}
    for network, row in filter_report(model, env.get_attr("relevant_features")[0]).items():
        metrics[f"filter/{network}/links_per_real_feature"] = row.real
        metrics[f"filter/{network}/links_per_noise_feature"] = row.noise
        metrics[f"filter/{network}/strength_ratio"] = row.strength_ratio
    if env.has_attr("permutation"):
        metrics["ene/permutation"] = env.get_attr("permutation")[0]
    return metrics

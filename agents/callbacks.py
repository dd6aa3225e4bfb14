"""A callback that logs what the networks of SAC and TD3 look like while they train."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv

from ..sparse.diagnostics import Coverage, inference_flops, training_flops
from ..sparse.evolution import Evolution, Rewiring
from .filter import filter_report
from .networks import layer_table, n_dead_neurons, networks


class SparsityMetrics(BaseCallback):
    """Log the topology of a SAC or TD3 run, stock SB3's or ours, to SB3's logger (TensorBoard, CSV …).

    Keys, where ``<net>`` is "actor", "qf0", "qf1", … and ``<opt>`` is "actor" or "critic", which is all critics together:

    * ``sparsity/<net>/<layer>``: fraction of zeros; ``links/<net>/<layer>``: weights that exist;
    * ``neurons/<net>/dead``: hidden neurons without a link in or without one out;
    * ``flops/<net>/{inference,training}``, and the same of dense layers in ``flops/<net>/dense_{inference,training}``: for
      one row, see :mod:`siftrl.sparse.diagnostics`;
    * ``topology/<opt>/{dropped,grown,overlap}`` of the last rewiring (links, links, intersection over union) and
      ``topology/<opt>/coverage``, the fraction of the sparse layers' places that have had a link since the callback began
      (ITOP's exploration rate; it sees what stands after each environment step);
    * in an extremely noisy environment ``filter/<net>/links_per_{real,noise}_feature``,
      ``filter/<net>/{strength_ratio,auroc,precision_at_d}`` (see :class:`~siftrl.agents.filter.FilterRow`; features are
      scaled by their standard deviation over the last full period, and before the first count as equally scaled) and
      ``ene/permutation``.

    Args:
        period_steps: Environment steps between two measurements. The last one stands whenever SB3 writes its log.
        verbose: See SB3.

    Attributes:
        feature_std: In an extremely noisy environment, the standard deviation of each feature over the last full period.

    Raises:
        ValueError: If the period is below 1.

    Source:
        Coverage: Liu et al., Do We Actually Need Dense Over-Parameterization? (ICML 2021).

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
        self.feature_std: np.ndarray | None = None
        self._next = 0
        self._values: dict[str, Any] = {}
        self._explorations: dict[str, _Exploration] = {}
        self._observed: RunningMeanStd | None = None

    def get_state(self) -> dict[str, Any]:
        """What was measured so far and when the next measurement is due, as plain values and arrays."""
        observed = self._observed
        return {
            "next": self._next,
            "values": self._values,
            "feature_std": self.feature_std,
            "explorations": {name: exploration.get_state() for name, exploration in self._explorations.items()},
            "observed": None if observed is None else [observed.mean, observed.var, observed.count],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started, with the same networks."""
        self._next, self._values, self.feature_std = state["next"], state["values"], state["feature_std"]
        for name, exploration in self._explorations.items():
            exploration.set_state(state["explorations"][name])
        if self._observed is not None:
            self._observed.mean, self._observed.var, self._observed.count = state["observed"]

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps + self.period_steps
        evolutions = getattr(self.model.policy, "evolutions", {})
        known = {exploration.evolution: exploration for exploration in self._explorations.values()}
        self._explorations = {name: known.get(each) or _Exploration(each) for name, each in evolutions.items()}
        self._observe_anew()
        self._measure()
        self._record()

    def _on_step(self) -> bool:
        for exploration in self._explorations.values():
            exploration.look()
        if self._observed is not None:
            self._observed.update(self.locals["new_obs"])
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.period_steps
            if self._observed is not None:
                self.feature_std = np.sqrt(self._observed.var)
            self._observe_anew()
            self._measure()
        self._record()
        return True

    def _on_training_end(self) -> None:
        self._measure()
        self._record()

    def _observe_anew(self) -> None:
        # Anew in each period: a permutation moves the features.
        if self.training_env.has_attr("relevant_features"):
            self._observed = RunningMeanStd(epsilon=0.0, shape=self.model.observation_space.shape)

    def _record(self) -> None:
        # In every step: SB3 forgets what it has written.
        for key, value in self._values.items():
            self.logger.record(key, value)

    def _measure(self) -> None:
        self._values = {}
        for row in layer_table(self.model):
            self._values[f"sparsity/{row.network}/{row.layer}"] = 1.0 - row.density
            self._values[f"links/{row.network}/{row.layer}"] = row.links
        for name, network in networks(self.model).items():
            exploration = self._explorations.get("actor" if name == "actor" else "critic")
            share = 0.0 if exploration is None else exploration.dense_gradient_share
            self._values[f"neurons/{name}/dead"] = n_dead_neurons(network)
            self._values[f"flops/{name}/inference"] = inference_flops(network)
            self._values[f"flops/{name}/training"] = training_flops(network, dense_gradient_share=share)
            self._values[f"flops/{name}/dense_inference"] = inference_flops(network, as_dense=True)
            self._values[f"flops/{name}/dense_training"] = training_flops(network, as_dense=True)
        for name, exploration in self._explorations.items():
            self._values.update({f"topology/{name}/{key}": value for key, value in exploration.metrics().items()})
        self._values.update(_ene_metrics(self.model, self.training_env, self.feature_std))


class _Exploration:
    """What the rewirings of an evolution did, and where there have been links since it was first looked at."""

    def __init__(self, evolution: Evolution) -> None:
        self.evolution, self._n_rewirings = evolution, evolution.n_rewirings
        self._coverage = {path: Coverage(layer.topology) for path, layer in evolution.layers.items()}

    def look(self) -> None:
        """Count the links in that have grown since the last look."""
        if self.evolution.n_rewirings != self._n_rewirings:
            self._n_rewirings = self.evolution.n_rewirings
            for path, layer in self.evolution.layers.items():
                self._coverage[path].add(layer.topology)

    def get_state(self) -> dict[str, Any]:
        """Rewirings seen and the last one, and the places covered in each layer, as plain values and arrays."""
        return {
            "n_rewirings": self._n_rewirings,
            "last": {path: asdict(rewiring) for path, rewiring in self.evolution.last.items()},
            "coverage": {path: [layer.n_covered, layer.bits] for path, layer in self._coverage.items()},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`."""
        self._n_rewirings = state["n_rewirings"]
        self.evolution.last = {path: Rewiring(**rewiring) for path, rewiring in state["last"].items()}
        for path, (n_covered, bits) in state["coverage"].items():
            self._coverage[path].n_covered, self._coverage[path].bits = n_covered, bits

    @property
    def dense_gradient_share(self) -> float:
        """The share of updates in which the gradient of empty places is computed."""
        recipe = self.evolution.recipe
        return min(recipe.grow.window_updates / recipe.schedule.period_updates, 1.0)

    def metrics(self) -> dict[str, float]:
        """Of the last rewiring, if there was one, and of all."""
        self.look()
        layers = self._coverage.values()
        covered = {"coverage": sum(layer.n_covered for layer in layers) / sum(layer.size for layer in layers)}
        rewirings = list(self.evolution.last.values())
        if not rewirings:
            return covered
        return covered | {
            "dropped": sum(rewiring.dropped for rewiring in rewirings),
            "grown": sum(rewiring.grown for rewiring in rewirings),
            "overlap": float(np.mean([rewiring.overlap for rewiring in rewirings])),
        }


def _ene_metrics(model: BaseAlgorithm, env: VecEnv, feature_std: np.ndarray | None) -> dict[str, Any]:
    if not env.has_attr("relevant_features"):
        return {}
    metrics: dict[str, Any] = {}
    for network, row in filter_report(model, env.get_attr("relevant_features")[0], feature_std).items():
        metrics[f"filter/{network}/links_per_real_feature"] = row.real
        metrics[f"filter/{network}/links_per_noise_feature"] = row.noise
        for key in ("strength_ratio", "auroc", "precision_at_d"):
            metrics[f"filter/{network}/{key}"] = getattr(row, key)
    if env.has_attr("permutation"):
        metrics["ene/permutation"] = env.get_attr("permutation")[0]
    return metrics

"""Drop rules: which links of a layer go.

A rule is a small frozen dataclass, so it compares, prints and pickles. It sees a layer as a :class:`LayerState` and
answers with the numbers of the links to drop. Ties are broken at random.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .choice import k_smallest, require_count, require_ordered, sample_distinct
from .layer_state import LayerState


class DropRule(ABC):
    """Chooses the links to drop.

    Attributes:
        exact: Whether the rule drops as many links as it is asked for, never fewer.
        reads_gradient: Whether the rule reads the gradient of the links.
    """

    exact: ClassVar[bool] = True
    reads_gradient: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        """Choose links to drop.

        Args:
            layer: The layer.
            n_drop: How many, in [0, n_links]; the most where the rule is not exact.
            rng: Generator of the draw, and for ties.

        Returns:
            Numbers of the links, int64 (n_drop,), sorted and different.

        Raises:
            ValueError: If ``n_drop`` is out of range or what the rule goes by is NaN.
        """

    def fewest(self, size: int) -> int:
        """How many links a layer of ``size`` places keeps at least while the density falls."""
        return 1

    def shares(self, layers: Sequence[LayerState], n_links: Sequence[int], rng: np.random.Generator) -> list[int]:
        """How many links each layer of a network loses for good when its density falls.

        Args:
            layers: The layers.
            n_links: How many links each would have by its own schedule.
            rng: Generator for ties.

        Returns:
            A number for each layer; all together what the layers have in excess of ``n_links``.
        """
        return [layer.topology.n_links - n for layer, n in zip(layers, n_links, strict=True)]


@dataclass(frozen=True)
class Magnitude(DropRule):
    """Drop the weights of smallest magnitude.

    Source:
        Evci et al., "Rigging the Lottery" (2020), section 3; Grooten et al., "Automatic Noise Filtering" (2023),
        section 4.
    """

    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        return k_smallest(np.abs(layer.weight), n_drop, rng)


@dataclass(frozen=True)
class SetSigned(DropRule):
    """Drop the smallest positive and the largest negative weights, the same fraction of each, rounded.

    Source:
        Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
        network science" (2018), box 1; Sokar et al., "Dynamic Sparse Training for Deep Reinforcement Learning" (2022),
        algorithm 2. Deviation: the published codes cut at a threshold in each group, which drops more or fewer where
        weights tie, and loses links of weight 0; here the count is exact, and zeros are the first of the positives.
    """

    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        weight = layer.weight
        require_count("n_drop", n_drop, weight.size)
        negative = weight < 0
        groups = np.flatnonzero(~negative), np.flatnonzero(negative)
        n_upper = round(n_drop * groups[0].size / max(weight.size, 1))
        counts = n_upper, n_drop - n_upper
        dropped = [group[k_smallest(np.abs(weight[group]), count, rng)] for group, count in zip(groups, counts, strict=True)]
        return np.sort(np.concatenate(dropped))


@dataclass(frozen=True)
class RandomDrop(DropRule):
    """Drop links at random, whatever their weights: the control for the other rules."""

    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        return sample_distinct(layer.weight.size, n_drop, rng)


@dataclass(frozen=True)
class Taylor(DropRule):
    """Drop the links whose loss would change the loss least, to first order: the smallest ``(weight * gradient)²``.

    The gradient is that of the update that ends in the rewiring.

    Source:
        Molchanov et al., "Importance Estimation for Neural Network Pruning" (2019); there the scores are averaged
        over updates.
    """

    reads_gradient: ClassVar[bool] = True

    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        if layer.gradient is None:
            raise ValueError("gradient is None: the Taylor rule needs a backward through the layer before it drops links")
        return k_smallest(np.square(layer.weight * layer.gradient), n_drop, rng)


@dataclass(frozen=True)
class Threshold(DropRule):
    """Drop the weights below a magnitude, smallest first, up to the schedule's fraction of the layer's links.

    As many links grow as were dropped.

    Attributes:
        threshold: The magnitude, positive.

    Raises:
        ValueError: If the threshold is not positive.

    Source:
        Han et al., "Learning both Weights and Connections" (2015); the cap is ours, so that a layer whose
        weights are all small is not emptied at once.
    """

    exact: ClassVar[bool] = False
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"threshold={self.threshold} is not positive: no weight's magnitude would be below it")

    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        require_count("n_drop", n_drop, layer.weight.size)
        n_below = int(np.count_nonzero(np.abs(layer.weight) < self.threshold))
        return k_smallest(np.abs(layer.weight), min(n_drop, n_below), rng)


@dataclass(frozen=True)
class WholeFeatures(DropRule):
    """Drop all links of the input features of least neuron strength, the sum of their links' absolute weights.

    The count is exact: the last feature that is reached may keep its strongest links.

    Source:
        Neuron strength: Atashgahi et al., "Quick and Robust Feature Selection" (2022), who rank features by it
        after training; dropping by it during training is ours.
    """

    def __call__(self, layer: LayerState, n_drop: int, rng: np.random.Generator) -> np.ndarray:
        require_count("n_drop", n_drop, layer.weight.size)
        require_ordered(layer.weight)
        inputs, fan_out = layer.topology.inputs, layer.topology.fan_out()
        weakest_first = np.lexsort((rng.random(fan_out.size), layer.strength()))
        n_links = np.cumsum(fan_out[weakest_first])
        n_whole = int(np.searchsorted(n_links, n_drop, side="right"))
        whole = np.flatnonzero(np.isin(inputs, weakest_first[:n_whole]))
        last = np.flatnonzero(np.isin(inputs, weakest_first[n_whole : n_whole + 1]))
        part = last[k_smallest(np.abs(layer.weight[last]), n_drop - whole.size, rng)]
        return np.sort(np.concatenate([whole, part]))


@dataclass(frozen=True)
class GlobalMagnitude(Magnitude):
    """Magnitude, with one threshold for all layers of a network where the density falls.

    Which layers lose how many links for good then follows from their weights; what a layer replaces is still its own
    smallest weights. Where the density does not fall it is the same as :class:`Magnitude`.

    Attributes:
        floor: Density that each layer keeps at least, in [0, 1): one threshold can starve a layer of small weights.

    Raises:
        ValueError: If the floor is outside [0, 1).

    Source:
        Liu et al., "Sparse Training via Boosting Pruning Plasticity with Neuroregeneration" (2021); the floor is ours.
    """

    floor: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor={self.floor} is outside [0, 1), the densities that a layer can be held at")

    def fewest(self, size: int) -> int:
        """Return the links that the floor leaves a layer of ``size`` places, at least one."""
        return max(1, round(self.floor * size))

    def shares(self, layers: Sequence[LayerState], n_links: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Return how many links each layer loses for good: the smallest weights of all layers go, down to the floors."""
        scores = [np.abs(layer.weight) for layer in layers]
        spare = [max(0, score.size - self.fewest(layer.topology.size)) for layer, score in zip(layers, scores, strict=True)]
        weakest = [score[k_smallest(score, k, rng)] for score, k in zip(scores, spare, strict=True)]
        n_lost = sum(score.size for score in scores) - sum(n_links)
        owner = np.repeat(np.arange(len(layers)), spare)
        lost = k_smallest(np.concatenate(weakest), n_lost, rng)
        return np.bincount(owner[lost], minlength=len(layers)).tolist()


DROP_RULES: dict[str, type[DropRule]] = {
    "magnitude": Magnitude,
    "set_signed": SetSigned,
    "random": RandomDrop,
    "taylor": Taylor,
    "threshold": Threshold,
    "whole_features": WholeFeatures,
    "global_magnitude": GlobalMagnitude,
}
"""The drop rules, by the name that configurations use."""

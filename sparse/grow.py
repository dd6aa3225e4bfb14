"""Grow rules: which empty places of a layer get a link.

A rule is a small frozen dataclass, so it compares, prints and pickles. It sees a layer as a :class:`LayerState`, says by
its attributes what it needs to find there, and answers with places. Ties are broken at random.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .choice import k_smallest, require_count, sample_empty
from .layer_state import LayerState


@dataclass(frozen=True)
class GrowRule(ABC):
    """Chooses the places of new links.

    Attributes:
        allow_regrowth: Whether a link dropped in the same rewiring may come back.
        window_updates: Over how many optimiser steps, the rewiring's own the last of them, the rule reads the gradient of
            all places; 0 where it reads none. Never reaches back behind the rewiring before.
        decays: For each power of that gradient which the rule reads, 1 first, by what factor a step's share in the mean is
            smaller than the next one's: 1 for the plain mean, β for the moment that Adam would have, bias corrected.
        needs_tried: Whether the rule reads which places ever had a link.
        needs_evidence: Whether the rule reads what another network listens to.
        keeps_fan_in: Whether every neuron keeps its number of links.
    """

    window_updates: ClassVar[int] = 0
    decays: ClassVar[tuple[float, ...]] = ()
    needs_tried: ClassVar[bool] = False
    needs_evidence: ClassVar[bool] = False
    keeps_fan_in: ClassVar[bool] = False
    allow_regrowth: bool = False

    @abstractmethod
    def __call__(self, layer: LayerState, dropped: np.ndarray, n_grow: int, rng: np.random.Generator) -> np.ndarray:
        """Choose places for new links.

        Args:
            layer: The layer before the rewiring.
            dropped: Numbers of the links that go, int64 (n_dropped,), sorted and different.
            n_grow: How many links to grow; at most the places that are not taken.
            rng: Generator of the draw, and for ties.

        Returns:
            Places, int64 (n_grow,), sorted and different.

        Raises:
            ValueError: If there are fewer than ``n_grow`` places left, or what the rule needs is missing, or NaN at a place
                that is not taken.
        """

    def taken(self, layer: LayerState, dropped: np.ndarray) -> np.ndarray:
        """Places where no link may grow, int64, sorted."""
        return np.delete(layer.topology.positions, dropped) if self.allow_regrowth else layer.topology.positions


@dataclass(frozen=True)
class RandomGrowth(GrowRule):
    """Grow at random, every empty place as likely as any other.

    Time and memory follow the numbers of taken and of new places, not the size of the layer.

    Source:
        Mocanu et al. (2018), box 1.
    """

    def __call__(self, layer: LayerState, dropped: np.ndarray, n_grow: int, rng: np.random.Generator) -> np.ndarray:
        return sample_empty(self.taken(layer, dropped), layer.topology.size, n_grow, rng)


@dataclass(frozen=True)
class NeverTriedFirst(GrowRule):
    """Grow at random among the places that never had a link; once all had one, at random.

    Costs a bit for each place of the layer.

    Source:
        Liu et al., "Do We Actually Need Dense Over-Parameterization? In-Time Over-Parameterization in Sparse Training"
        (2021): what counts is the share of places that were tried in the course of training.
    """

    needs_tried: ClassVar[bool] = True

    def __call__(self, layer: LayerState, dropped: np.ndarray, n_grow: int, rng: np.random.Generator) -> np.ndarray:
        taken, size, tried = self.taken(layer, dropped), layer.topology.size, np.flatnonzero(layer.tried)
        require_count("n_grow", n_grow, size - taken.size)
        new = sample_empty(tried, size, min(n_grow, size - tried.size), rng)
        again = sample_empty(np.union1d(taken, new), size, n_grow - new.size, rng)
        return np.sort(np.concatenate([new, again]))


@dataclass(frozen=True)
class ScoredGrowth(GrowRule):
    """Base of the rules that grow at the empty places of highest score."""

    @abstractmethod
    def scores(self, layer: LayerState) -> np.ndarray:
        """A score for every place, float (size,), in a new array."""

    def __call__(self, layer: LayerState, dropped: np.ndarray, n_grow: int, rng: np.random.Generator) -> np.ndarray:
        taken = self.taken(layer, dropped)
        require_count("n_grow", n_grow, layer.topology.size - taken.size)
        scores = self.scores(layer)
        scores[taken] = -np.inf
        return k_smallest(np.negative(scores, out=scores), n_grow, rng)


@dataclass(frozen=True)
class GradientGrowth(ScoredGrowth):
    """Grow where the loss has the steepest slope: at the empty places of largest absolute gradient, averaged over a window.

    Each update of the window costs a dense weight gradient; a window of more than one also an array of a float for each
    place of the layer, while it is open.

    Attributes:
        window_updates: Optimiser steps over which the gradient is averaged; 1 takes that of the rewiring's own.

    Raises:
        ValueError: If the window is below 1.

    Source:
        Evci et al., "Rigging the Lottery" (2020), section 3, with a window of 1. Graesser et al. (2022) find the
        signal in a single batch's gradient to be as low as a hundredth of the noise in RL.
    """

    decays: ClassVar[tuple[float, ...]] = (1.0,)
    window_updates: int = 1

    def __post_init__(self) -> None:
        _require_window(self.window_updates)

    def scores(self, layer: LayerState) -> np.ndarray:
        """The absolute gradient of every place, averaged over the window."""
        return np.abs(_moments(self, layer)[0])


@dataclass(frozen=True)
class MomentumGrowth(ScoredGrowth):
    """Grow where Adam would take the largest steps: at the empty places of largest ``|m| / (sqrt(v) + eps)``.

    Adam keeps no moments of empty places, so they are kept beside it, with its decays and its bias correction, over a
    window before each rewiring. Each update of the window costs a dense weight gradient, and the window two arrays of a
    float for each place of the layer while it is open.

    Attributes:
        window_updates: Optimiser steps over which the moments are kept.
        decays: Adam's betas.
        eps: Adam's.

    Raises:
        ValueError: If the window is below 1 or a decay outside (0, 1].

    Source:
        Dettmers & Zettlemoyer, "Sparse Networks from Scratch" (2019), who take SGD's momentum, over all of
        training.
    """

    window_updates: int = 50
    decays: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _require_window(self.window_updates)
        object.__setattr__(self, "decays", tuple(self.decays))
        if len(self.decays) != 2 or not all(0 < decay <= 1 for decay in self.decays):
            raise ValueError(f"decays={self.decays} are not two numbers in (0, 1], such as Adam's betas")

    def scores(self, layer: LayerState) -> np.ndarray:
        """The size of Adam's next step at every place."""
        mean, square = _moments(self, layer)
        return np.abs(mean) / (np.sqrt(square) + self.eps)


@dataclass(frozen=True)
class FanInGrowth(GradientGrowth):
    """Each neuron grows as many links as it lost, at its own empty places of largest absolute gradient.

    A neuron with too few empty places takes back links that it has just dropped.

    Attributes:
        window_updates: See :class:`GradientGrowth`.

    Source:
        Lasby et al., "Dynamic Sparse Training with Structured Sparsity" (2024), without its ablation of neurons.
    """

    keeps_fan_in: ClassVar[bool] = True

    def __call__(self, layer: LayerState, dropped: np.ndarray, n_grow: int, rng: np.random.Generator) -> np.ndarray:
        if n_grow != dropped.size:
            raise ValueError(f"n_grow={n_grow} is not {dropped.size}, the number of links that the neurons have lost")
        topology, scores = layer.topology, self.scores(layer)
        if not self.allow_regrowth:
            scores[topology.positions[dropped]] = -1.0  # below every gradient, above what is taken
        scores[np.delete(topology.positions, dropped)] = -np.inf
        by_neuron = -scores.reshape(topology.shape[::-1]).T
        lost = np.bincount(topology.neurons[dropped], minlength=topology.shape[0])
        grown = [k_smallest(by_neuron[j], lost[j], rng) * topology.shape[0] + j for j in np.flatnonzero(lost)]
        return np.sort(np.concatenate([np.empty(0, np.int64), *grown]))


@dataclass(frozen=True)
class EvidenceGrowth(ScoredGrowth):
    """Grow at the input features that another network reads most strongly; elsewhere than in input layers at random.

    Two networks of one agent thereby share what they have found to matter: the actor grows where the critics listen.

    Source:
        Ours. The strength of a feature is that of :class:`~siftrl.sparse.drop.WholeFeatures`.
    """

    needs_evidence: ClassVar[bool] = True

    def scores(self, layer: LayerState) -> np.ndarray:
        """How strongly the other network reads each place's input feature."""
        return np.repeat(layer.evidence, layer.topology.shape[0])

    def __call__(self, layer: LayerState, dropped: np.ndarray, n_grow: int, rng: np.random.Generator) -> np.ndarray:
        grow = super().__call__ if layer.evidence is not None else RandomGrowth(self.allow_regrowth)
        return grow(layer, dropped, n_grow, rng)


GROW_RULES: dict[str, type[GrowRule]] = {
    "random": RandomGrowth,
    "never_tried_first": NeverTriedFirst,
    "gradient": GradientGrowth,
    "momentum": MomentumGrowth,
    "fan_in": FanInGrowth,
    "evidence": EvidenceGrowth,
}
"""The grow rules, by the name that configurations use."""


def _require_window(window_updates: int) -> None:
    if window_updates < 1:
        raise ValueError(f"window_updates={window_updates} is below 1, the rewiring's own update")


def _moments(rule: GrowRule, layer: LayerState) -> tuple[np.ndarray, ...]:
    shapes, size = [moment.shape for moment in layer.moments], layer.topology.size
    if shapes != [(size,)] * len(rule.decays):
        raise ValueError(
            f"moments have shapes {shapes}; {type(rule).__name__} needs {len(rule.decays)} of the gradient of all "
            f"places, of shape ({size},): has no backward passed through the layer?"
        )
    return layer.moments

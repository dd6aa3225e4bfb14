"""When a network rewires, which fraction of its links each time, and how its density falls.

Time is counted in optimiser steps of the network in question, from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import index

import numpy as np

from .density import Density, LayerSpec
from .topology import Topology


def constant(progress: float) -> float:
    """Stay at the start value."""
    return 1.0


def linear(progress: float) -> float:
    """Fall by the same amount at every step."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """Fall along half a cosine: slow at both ends.

    Source:
        Dettmers & Zettlemoyer, "Sparse Networks from Scratch" (2019); Evci et al., "Rigging the Lottery" (2020),
        section 3.
    """
    return (1.0 + math.cos(math.pi * progress)) / 2


DECAYS: dict[str, Callable[[float], float]] = {"constant": constant, "linear": linear, "cosine": cosine}
"""How a value falls: from progress in [0, 1] to the share of the way that is still to go, 1 at the start."""


@dataclass(frozen=True)
class Schedule:
    """When a network rewires, and which fraction of its links.

    A schedule without an end (``stop_updates=None``) rewires for ever, and its fraction stays at its start whatever
    the decay: nobody has said how long the way down would be.

    Attributes:
        period_updates: Optimiser steps from one rewiring to the next.
        fraction: Fraction of the links that are replaced at the start, in [0, 1]; ζ in most papers.
        decay: How the fraction falls, a key of ``DECAYS``.
        min_fraction: Fraction at ``stop_updates``, in [0, ``fraction``]; without meaning for a constant decay.
        start_updates: First optimiser step at which the network may rewire.
        stop_updates: Last optimiser step at which it may; None never stops.
        exponent: Power that the decay is raised to, positive; with "linear" it is the power decay ``(1 - progress)^k``,
            which RigL's code calls exponential.

    Raises:
        TypeError: If a number of steps is not a whole number.
        ValueError: If a value is out of its range or ``decay`` is unknown.

    Source:
        Evci et al. (2020), section 3. The fraction's decay runs over ``step / stop_updates``, from step 0 as published, also
        where ``start_updates`` comes later.

    Example:
        >>> schedule = Schedule(period_updates=100, fraction=0.3, decay="cosine", stop_updates=1000)
        >>> [step for step in range(1, 2000) if schedule.due(step)][-2:]
        [900, 1000]
        >>> schedule.fraction_at(500)
        0.15
    """

    period_updates: int = 1000
    fraction: float = 0.05
    decay: str = "constant"
    min_fraction: float = 0.0
    start_updates: int = 0
    stop_updates: int | None = None
    exponent: float = 1.0

    def __post_init__(self) -> None:
        self._require_steps("period_updates", at_least=1)
        self._require_steps("start_updates", at_least=0)
        if self.stop_updates is not None:
            self._require_steps("stop_updates", at_least=max(1, self.start_updates))
        if self.decay not in DECAYS:
            raise ValueError(f"decay={self.decay!r} is not one of {', '.join(map(repr, DECAYS))}")
        if not 0 < self.exponent < math.inf:
            raise ValueError(f"exponent={self.exponent} is not a positive, finite number")
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction} is outside [0, 1]")
        if not 0 <= self.min_fraction <= self.fraction:
            raise ValueError(f"min_fraction={self.min_fraction} is outside [0, {self.fraction}], where fraction starts")

    def due(self, step: int) -> bool:
        """Say whether the network rewires after this optimiser step, counted from 1."""
        return self.next_due(step) == step

    def next_due(self, step: int) -> int | None:
        """Return the first optimiser step, from this one on, after which the network rewires; None if it never will."""
        earliest = max(1, self.start_updates, step)
        due = -(-earliest // self.period_updates) * self.period_updates
        return due if self.stop_updates is None or due <= self.stop_updates else None

    def progress(self, step: int) -> float:
        """Return the share of the way from ``start_updates`` to the last rewiring, in [0, 1]: 1 exactly there.

        Raises:
            ValueError: If the schedule has no end, or no rewiring before it.
        """
        if self.stop_updates is None or self.next_due(1) is None:
            raise ValueError(
                f"stop_updates={self.stop_updates} must be the step by which the density has fallen, "
                f"with at least one rewiring every period_updates={self.period_updates} steps before it"
            )
        first, last = self.start_updates, self.stop_updates // self.period_updates * self.period_updates
        if first < step < last:
            return (step - first) / (last - first)
        return 1.0 if step >= last else 0.0

    def fraction_at(self, step: int) -> float:
        """Return the fraction of the links to replace at this optimiser step, whether or not a rewiring is due."""
        if self.stop_updates is None:
            return self.fraction
        share = DECAYS[self.decay](min(step / self.stop_updates, 1.0)) ** self.exponent
        return share * self.fraction + (1.0 - share) * self.min_fraction

    def _require_steps(self, argument: str, at_least: int) -> None:
        """Keep an argument as a plain int, or say what is wrong with it."""
        value = getattr(self, argument)
        try:
            steps = index(value)
        except TypeError:
            raise TypeError(f"{argument}={value!r} is not a whole number of optimiser steps") from None
        if steps < at_least:
            raise ValueError(f"{argument}={value} is below {at_least}, the fewest optimiser steps it can be")
        object.__setattr__(self, argument, steps)


@dataclass(frozen=True)
class Falling(Density):
    """A density that falls in the course of training, layer by layer, from one rule to another: gradual pruning.

    Between ``begin`` and the schedule's last rewiring a layer has ``n_end + (n_start - n_end) * (1 - p)³`` links, rounded,
    where p goes from 0 to 1. A layer that the second rule would have denser than the first has that density throughout. In a
    recipe the rule is the outermost: it may not be part of another.

    Attributes:
        start: Densities at the start; 1 is allowed, such a layer is a sparse one that has all links.
        end: Densities at the end.
        begin: Share of the schedule's way, from ``start_updates`` to its last rewiring, at which the fall begins, in [0, 1).

    Raises:
        ValueError: If ``begin`` is outside [0, 1); when called, as the two rules do, or if no layer's density falls.

    Source:
        Zhu & Gupta, "To Prune, or Not to Prune" (2017), equation 1.

    Example:
        >>> from siftrl.sparse.density import Uniform
        >>> rule = Falling(Uniform(1.0), Uniform(0.1))
        >>> [rule.n_links(1000, 100, progress) for progress in (0, 0.25, 0.5, 0.75, 1)]
        [1000, 480, 212, 114, 100]
    """

    start: Density
    end: Density
    begin: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.begin < 1:
            raise ValueError(f"begin={self.begin} is outside [0, 1), the shares of the way to the last rewiring")

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        ends = self.end(layers)
        densities = [max(pair) for pair in zip(self.start(layers), ends, strict=True)]
        if densities == ends:
            raise ValueError(f"end={self.end} is nowhere below start={self.start}: the density would never fall")
        return densities

    def stays_dense(self, layers: Sequence[LayerSpec]) -> list[bool]:
        """Say which layers are dense to the end."""
        return self.end.stays_dense(layers)

    def draw(self, layer: LayerSpec, density: float, rng: np.random.Generator) -> Topology:
        """Draw a layer's first links as ``start`` does."""
        return self.start.draw(layer, density, rng)

    def n_links(self, n_start: int, n_end: int, progress: float) -> int:
        """How many links a layer has at this share of the schedule's way to its last rewiring; never more than at first."""
        n_end = min(n_start, n_end)
        p = min(max((progress - self.begin) / (1.0 - self.begin), 0.0), 1.0)
        return round(n_end + (n_start - n_end) * (1.0 - p) ** 3)

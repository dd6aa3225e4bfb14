"""When a network rewires, and which fraction of its links each time.

Time is counted in optimiser steps of the network in question, from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import index


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

    Raises:
        TypeError: If a number of steps is not a whole number.
        ValueError: If a value is out of its range or ``decay`` is unknown.

    Source:
        Evci et al. (2020), section 3. The decay runs over ``step / stop_updates``, from step 0 as published, also where
        ``start_updates`` comes later.

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

    def __post_init__(self) -> None:
        self._require_steps("period_updates", at_least=1)
        self._require_steps("start_updates", at_least=0)
        if self.stop_updates is not None:
            self._require_steps("stop_updates", at_least=max(1, self.start_updates))
        if self.decay not in DECAYS:
            raise ValueError(f"decay={self.decay!r} is not one of {', '.join(map(repr, DECAYS))}")
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction} is outside [0, 1]")
        if not 0 <= self.min_fraction <= self.fraction:
            raise ValueError(f"min_fraction={self.min_fraction} is outside [0, {self.fraction}], where fraction starts")

    def due(self, step: int) -> bool:
        """Say whether the network rewires after this optimiser step, counted from 1."""
        begun = step >= max(1, self.start_updates)
        ended = self.stop_updates is not None and step > self.stop_updates
        return begun and not ended and step % self.period_updates == 0

    def fraction_at(self, step: int) -> float:
        """Return the fraction of the links to replace at this optimiser step, whether or not a rewiring is due."""
        if self.stop_updates is None:
            return self.fraction
        share = DECAYS[self.decay](min(step / self.stop_updates, 1.0))
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

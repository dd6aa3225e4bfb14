"""Recipes: a topology method is its density, what it drops, what it grows, and when. One function each.

Every function returns a :class:`Recipe`; :data:`RECIPES` lists them by name. ``resolve`` turns a name and a user's wishes
into a recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from ..names import known
from .criteria import DropRule, GradientGrowth, GrowRule, RandomGrowth, magnitude, set_signed
from .density import ERK, Density, ErdosRenyiEpsilon, InputOnly, Uniform, WithInput
from .density import distribution as make_distribution
from .schedules import Schedule


@dataclass(frozen=True)
class Recipe:
    """A topology method.

    Args:
        density: How many links each layer gets.
        drop: Which links go. None: the topology is static.
        grow: Which empty places get a link.
        schedule: When, and what fraction of the links.

    Raises:
        ValueError: Unless drop, grow and schedule are all given or all None.

    Example:
        >>> recipe = Recipe(ERK(0.1), drop=magnitude, grow=GradientGrowth(), schedule=Schedule(period_updates=500))
        >>> recipe.rewires
        True
    """

    density: Density
    drop: DropRule | None = None
    grow: GrowRule | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        parts = (self.drop, self.grow, self.schedule)
        if any(part is None for part in parts) and any(part is not None for part in parts):
            raise ValueError(f"drop, grow and schedule must all be given or all be None, got {parts}")

    @property
    def rewires(self) -> bool:
        """Whether the topology ever changes."""
        return self.schedule is not None


def dense() -> Recipe:
    """Every layer dense: the baseline, SB3's own networks."""
    return Recipe(Uniform(1.0))


def static() -> Recipe:
    """Random links that never change, ERK at 20 %: what every rewiring method has to beat.

    Source: Liu et al., The Unreasonable Effectiveness of Random Pruning (ICLR 2022).
    """
    return Recipe(ERK(0.2))


def set() -> Recipe:
    """SET: drop the links closest to zero on either side, grow at random; ERK at 20 %.

    The original rewires 30 % an epoch from supervised data and starts grown weights from a normal distribution. In
    reinforcement learning they start at 0, and a rewiring takes 5 % every 1 000 updates.

    Source: Mocanu et al., Scalable training of artificial neural networks with adaptive sparse connectivity (2018), Box 1.
    """
    return Recipe(ERK(0.2), set_signed, RandomGrowth(), Schedule(period_updates=1000, fraction=0.05))


def rigl() -> Recipe:
    """RigL: drop the smallest weights, grow where the loss's gradient is largest; ERK at 20 %, fraction falling by a cosine.

    The gradient is that of the batch of the rewiring's own update. The cosine needs ``stop_updates``; without it the
    fraction stays at 0.3.

    Source: Evci et al., Rigging the Lottery (ICML 2020), Algorithm 1. In RL: Graesser et al. (ICML 2022).
    """
    return Recipe(ERK(0.2), magnitude, GradientGrowth(), Schedule(period_updates=1000, fraction=0.3, decay="cosine"))


def anf() -> Recipe:
    """ANF, automatic noise filtering: only the input layer is sparse (20 %) and finds the features that matter.

    Drops the 5 % smallest weights every 1 000 updates and grows as many at random, for ever.

    Deviations from the published code: rewires at updates 1 000, 2 000, … instead of 2, 1 002, …; drops exactly the stated
    number (the code drops one more); a dropped link is not grown again in the same rewiring; target networks share the
    topology at once (the code keeps the largest target weights by count, which lags for hundreds of updates).

    Source: Grooten et al., Automatic Noise Filtering with Dynamic Sparse Training in Deep RL (AAMAS 2023), section 4.
    """
    return Recipe(InputOnly(0.2), magnitude, RandomGrowth(), Schedule(period_updates=1000, fraction=0.05))


def ds() -> Recipe:
    """DS-TD3 and DS-SAC: both hidden layers sparse by Erdős-Rényi with their own epsilon, the output layer dense.

    Epsilon is 7 for the input layer and 64 for the hidden one, as published for HalfCheetah, Hopper and Walker2d (Ant 40,
    Humanoid 61 for the input layer; for DS-SAC they differ again by task).

    Deviations: exact numbers of links (the paper draws each one by chance); no last drop without growth at the end;
    targets share the topology (the paper keeps the largest target weights by count); moments of dropped links vanish.

    Source: Sokar et al., Dynamic Sparse Training for Deep RL (IJCAI 2022), Algorithm 1.
    """
    density = ErdosRenyiEpsilon({"input": 7.0, "hidden": 64.0}, keep_dense=("output",))
    return Recipe(density, set_signed, RandomGrowth(), Schedule(period_updates=1000, fraction=0.05))


RECIPES: dict[str, Callable[[], Recipe]] = {
    "dense": dense,
    "static": static,
    "set": set,
    "rigl": rigl,
    "anf": anf,
    "ds": ds,
}


def resolve(
    recipe: str | Recipe,
    *,
    density: float | None = None,
    input_density: float | None = None,
    distribution: str | None = None,
    **schedule: Any,
) -> Recipe:
    """A recipe by its name, with some of its parts replaced.

    Args:
        recipe: A name in :data:`RECIPES`, or a recipe.
        density: Global density, in (0, 1]; replaces the recipe's own density rule.
        input_density: Of the layers that read the observation. Alone: all other layers are dense. With ``density``: the
            other layers share that one.
        distribution: How ``density`` is shared out: "uniform", "er", "erk" (default) or "input".
        **schedule: Fields of :class:`Schedule` to replace.

    Raises:
        TypeError: If the recipe is neither a name nor a recipe.
        ValueError: If a name is unknown, with the closest valid one, if ``distribution`` comes without ``density``, or if
            a schedule is given to a recipe that never rewires.

    Example:
        >>> resolve("anf", input_density=0.05, period_updates=200).density
        InputOnly(density=0.05, keep_dense=())
    """
    if isinstance(recipe, str):
        recipe = RECIPES[known(recipe, RECIPES, "recipe")]()
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe must be a name or a Recipe, got {recipe!r}")
    if distribution is not None and density is None:
        raise ValueError(f"distribution={distribution!r} needs a density to share out: give density as well")
    if density is not None:
        recipe = replace(recipe, density=make_distribution(distribution or "erk", density))
    if input_density is not None:
        rule = InputOnly(input_density) if density is None else WithInput(input_density, recipe.density)
        recipe = replace(recipe, density=rule)
    if schedule:
        if not recipe.rewires:
            raise ValueError(f"{', '.join(schedule)} cannot be set: this recipe never rewires")
        for name in schedule:
            known(name, [field.name for field in fields(Schedule)], "the schedule's parameter")
        recipe = replace(recipe, schedule=replace(recipe.schedule, **schedule))
    return recipe

"""What a run trains with where nothing is searched: the recipe's own values, as numbers."""

from __future__ import annotations

import inspect
from typing import Any

from ..agents import SAC, TD3
from ..agents.presets import PRESETS, build_kwargs
from ..names import known
from ..sparse.density import ERK, ConstantFanIn, InputOnly
from ..sparse.recipes import RECIPES, Recipe
from ..training.agent import learning_starts
from ..training.config import RunConfig
from .values import SEARCHABLE

_ALGORITHMS = {"sac": SAC, "td3": TD3}


def own_values(base: RunConfig) -> dict[str, Any]:
    """The value of each option that can be searched, where ``base`` has one: given, or the recipe's own.

    A recipe has a density where one number says it: ``density`` or ``input_density``. In ds and rlx2 that takes several.

    Raises:
        ValueError: for a recipe that does not exist.

    Example:
        >>> own = own_values(RunConfig(recipe="anf", hparams="paper"))
        >>> own["input_density"], own["period_updates"], own["learning_rate"], own["weight_decay"]
        (0.2, 1000, 0.001, 0.0002)
    """
    recipe = RECIPES[known(base.recipe, RECIPES, "recipe")]()
    policy_kwargs, algorithm_kwargs = build_kwargs(base.recipe, base.algo, base.hparams, planned_updates=base.n_timesteps)
    own: dict[str, Any] = {"weight_decay": policy_kwargs.get("optimizer_kwargs", {}).get("weight_decay", 0.0)}
    if not PRESETS[base.recipe].budget:
        own.update(_density(recipe))
    if recipe.rewires:
        schedule = {"fraction": recipe.schedule.fraction, **policy_kwargs["recipe_kwargs"]["critic"]}
        own.update(period_updates=schedule["period_updates"], drop_fraction=schedule["fraction"])
    sb3 = inspect.signature(_ALGORITHMS[base.algo].__init__).parameters
    for name in ("learning_rate", "batch_size"):
        own[name] = algorithm_kwargs.get(name, sb3[name].default)
    own["learning_starts"] = learning_starts(base)
    given = {name: getattr(base, name) for name in SEARCHABLE}
    return {**own, **{name: value for name, value in given.items() if value is not None}}


def _density(recipe: Recipe) -> dict[str, float]:
    rule = recipe.density.end if recipe.falls else recipe.density
    rule = rule.rule if isinstance(rule, ConstantFanIn) else rule
    if isinstance(rule, InputOnly):
        return {"input_density": rule.density}
    # Only ERK, for that is what a density given as a number is shared out by.
    return {"density": rule.density} if type(rule) is ERK else {}

"""The search space: which options of a run are searched, and over which values."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ..agents.presets import STOP_SHARE
from ..names import known
from ..sparse.recipes import RECIPES
from ..sparse.schedules import Falling
from ..training.agent import learning_starts
from ..training.config import RunConfig
from ..training.options import spelling
from .defaults import own_values
from .values import Choices, Range, Values

Space = dict[str, Values]

# Of Graesser et al. (ICML 2022): the ends of their grids for rewirings, but a fraction of 0, which is a static network; and
# their grid of weight decays.
_PERIODS, _FRACTIONS, _DECAYS = Range(100, 5000), Range(0.01, 0.5), (0.0, 1e-6, 1e-4, 1e-3)
# Below 2 % pruning by one threshold would come to its floor of 1 % a layer.
_DENSITIES, _LEARNING_RATES = Range(0.02, 0.5), Range(1e-4, 3e-3)
# Whoever sets one of them has said how many links there shall be.
_SHARES = ("density", "input_density", "actor_density", "critic_density", "input_epsilon", "hidden_epsilon")


def search_space(
    base: RunConfig, given: Collection[str] = (), wishes: Mapping[str, Values] | None = None, kept: Iterable[str] = ()
) -> Space:
    """The space of a search around ``base``: what goes with its recipe, less what is fixed, plus what is wished.

    By default that is the density (of the input layers, where the recipe thins out no others), the period and the fraction
    of rewirings, the learning rate and the weight decay; of these, what the recipe has. Recipes whose layers or networks
    have budgets of their own (ds, rlx2) keep them.

    Args:
        base: the options of all runs.
        given: names of the options that the user gave a value, and that keep it.
        wishes: values for some options instead of the default ones, or for further options.
        kept: names of options that shall stay the recipe's own.

    Raises:
        ValueError: for an option that is both fixed and searched, that the recipe does not have, or that does not take one
            of its values; and where nothing is left to search.

    Example:
        >>> list(search_space(RunConfig(recipe="set"), given=["learning_rate"]))
        ['density', 'period_updates', 'drop_fraction', 'weight_decay']
        >>> search_space(RunConfig(recipe="dense"), kept=["weight_decay"])
        {'learning_rate': Range(low=0.0001, high=0.003)}
    """
    wishes = dict(wishes or {})
    space = {name: values for name, values in _default_space(base, {*given, *wishes}).items() if name not in given}
    for name in kept:
        if name not in space or name in wishes:
            why = "it is searched as well" if name in wishes else f"only {_listed(space)} would be searched"
            raise ValueError(f"{spelling(name)} cannot be kept: {why}.")
        del space[name]
    for name in wishes:
        if name in given and not (name == "recipe" and base.recipe in wishes[name]):  # that of the first trial
            raise ValueError(f"{spelling(name)} is both fixed to {getattr(base, name)} and searched: leave out one.")
    space.update(wishes)
    if not space:
        raise ValueError("nothing is left to search: every hyper-parameter is fixed or kept.")
    _check_values(base, space)
    _check_recipes(base, space)
    _check_agents(base, space)
    return space


def _default_space(base: RunConfig, given: Collection[str] = ()) -> Space:
    own = own_values(base)
    density = RECIPES[base.recipe]().density
    space: Space = {}
    if not any(name in given for name in _SHARES):
        # A density that falls is searched for its end, which has to lie well below its start.
        highest = min(_DENSITIES.high, 0.8 * density.start.density) if isinstance(density, Falling) else _DENSITIES.high
        space = {name: Range(_DENSITIES.low, highest) for name in ("density", "input_density") if name in own}
    if "period_updates" in own:
        # Room for two rewirings before a schedule ends: a network that never rewires would be another method.
        fits = int(STOP_SHARE * (base.n_timesteps - own["learning_starts"])) // 2
        high = min(fits, max(_PERIODS.high, own["period_updates"]))
        if high > _PERIODS.low:
            space["period_updates"] = Range(_PERIODS.low, high)
    if own.get("drop_fraction"):
        space["drop_fraction"] = _FRACTIONS
    space["learning_rate"] = _LEARNING_RATES
    space["weight_decay"] = Choices(tuple(sorted({*_DECAYS, own["weight_decay"]})))
    return space


def _check_values(base: RunConfig, space: Space) -> None:
    for name, values in space.items():
        for value in values.extremes:
            dataclasses.replace(base, **{name: value})


def _check_agents(base: RunConfig, space: Space) -> None:
    """Check that agents can be made of what is searched, and that they come to learn."""
    typical = {name: values.extremes[0] for name, values in space.items()}
    for name, values in space.items():
        for value in values.extremes:
            starts = learning_starts(dataclasses.replace(base, **{**typical, name: value}))
            if name == "learning_starts" and starts >= base.n_timesteps:
                raise ValueError(f"learning-starts must be below n-timesteps ({base.n_timesteps}), not {value}.")


def _check_recipes(base: RunConfig, space: Space) -> None:
    """Check that the recipes that will be tried have what is searched."""
    recipes = space["recipe"].values if "recipe" in space else (base.recipe,)
    searched = [name for name in ("period_updates", "drop_fraction") if name in space]
    for recipe in recipes:
        rewires = RECIPES[known(recipe, RECIPES, "recipe")]().rewires
        if searched and not rewires:
            raise ValueError(f"{spelling(searched[0])} cannot be searched: recipe {recipe} never rewires.")
        first, other = (_default_space(dataclasses.replace(base, recipe=name)) for name in (recipes[0], recipe))
        if first.keys() != other.keys():
            raise ValueError(
                f"recipes of one search must have the same hyper-parameters; {recipes[0]} has {_listed(first)}, and "
                f"{recipe} has {_listed(other)}."
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(spelling, names)) or "nothing"


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space in Optuna's terms."""
    return {name: _distribution(values) for name, values in space.items()}


def _distribution(values: Values) -> BaseDistribution:
    if isinstance(values, Choices):
        return CategoricalDistribution(values.values)
    kind = IntDistribution if values.whole else FloatDistribution
    return kind(values.low, values.high, log=values.log)

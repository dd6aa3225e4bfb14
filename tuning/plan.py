"""The plan of a search: everything that decides what it finds, kept beside its trials."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..training.atomic import atomic_write_text
from ..training.config import RunConfig
from ..training.launch import experiment
from ..training.options import spelling
from .defaults import own_values
from .options import SearchOptions
from .space import Space, search_space
from .values import Values, parse_search

PLAN = "search.json"
_EVALUATIONS = 10  # of a run whose user said nothing of them


@dataclass(frozen=True)
class Plan:
    """What is searched, around which options, on how many seeds.

    Attributes:
        base: the options of all runs but for what is searched, and their seed.
        space: what is searched.
        tuning_seeds: runs of a trial.
        sampler_seed: of the draws of parameters.
    """

    base: RunConfig
    space: Space
    tuning_seeds: int
    sampler_seed: int

    def config(self, parameters: Mapping[str, Any], seed: int) -> RunConfig:
        """The options of one run."""
        return dataclasses.replace(self.base, **parameters, seed=seed)

    def own_parameters(self) -> dict[str, Any]:
        """The recipe's own value of each parameter, where it has one that the space has as well."""
        own = own_values(self.base)
        return {name: own[name] for name, values in self.space.items() if name in own and own[name] in values}

    def to_dict(self) -> dict[str, Any]:
        """What decides the result, as JSON has it."""
        options = {name: value for name, value in experiment(self.base).items() if name != "seed"}
        space = {name: str(values) for name, values in self.space.items()}
        return {"options": options, "space": space, "tuning_seeds": self.tuning_seeds, "sampler_seed": self.sampler_seed}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Plan:
        """The plan that :meth:`to_dict` wrote."""
        space = dict(parse_search(f"{name}={values}") for name, values in saved["space"].items())
        return cls(RunConfig.from_dict(saved["options"]), space, saved["tuning_seeds"], saved["sampler_seed"])


def make_plan(
    given: Mapping[str, Any], search: SearchOptions, wishes: Mapping[str, Values], kept: Iterable[str] = ()
) -> Plan:
    """The plan that a user's options come to.

    A run is evaluated ten times, and saved as often, where the user says nothing else and ``train.py`` would do so less.

    Args:
        given: the options of a run that the user gave; they keep their value.
        search: the options of the search.
        wishes: see :func:`siftrl.tuning.space.search_space`.
        kept: see there.

    Raises:
        ValueError: for options that cannot work, and where runs would not be evaluated or learn nothing.

    Example:
        >>> plan = make_plan({"recipe": "static", "n_timesteps": 3000}, SearchOptions(), {})
        >>> plan.base.eval_freq, plan.config({"density": 0.1}, seed=1000).density
        (300, 0.1)
        >>> Plan.from_dict(plan.to_dict()).to_dict() == plan.to_dict()
        True
    """
    base = RunConfig(**given)
    often = max(1, base.n_timesteps // _EVALUATIONS)
    for name in ("eval_freq", "save_freq"):
        if name not in given:
            base = dataclasses.replace(base, **{name: min(getattr(base, name), often)})
    if not 0 < base.eval_freq <= base.n_timesteps:
        raise ValueError(
            f"eval-freq must be from 1 to n-timesteps ({base.n_timesteps}), not {base.eval_freq}: a trial is judged by the "
            "evaluations of its runs."
        )
    space = search_space(base, given, wishes, kept)
    starts = own_values(base)["learning_starts"]
    if starts >= base.n_timesteps:
        raise ValueError(f"n-timesteps must be above {starts}, where updates start, not {base.n_timesteps}.")
    return Plan(base, space, search.tuning_seeds, search.sampler_seed)


def keep_plan(plan: Plan, folder: Path) -> None:
    """Write the plan into the search's folder, or check that it is the one that stands there.

    Raises:
        ValueError: where the search there is another one, naming what differs.
    """
    path = folder / PLAN
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(plan.to_dict(), indent=2) + "\n")
        return
    before, now = (_flat(one.to_dict()) for one in (read_plan(folder), plan))
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            raise ValueError(
                f"the search {folder} was begun with {spelling(name)} {before.get(name)}, not {now.get(name)}: give the "
                "options that it was begun with, or another --name."
            )


def read_plan(folder: Path) -> Plan:
    """The plan of the search in ``folder``; the options of the machine, which are no part of it, at their defaults.

    Raises:
        ValueError: where there is none.
    """
    try:
        return Plan.from_dict(json.loads((folder / PLAN).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(f"there is no search in {folder}.") from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot read the plan of the search, {folder / PLAN}: {error}") from error


def _flat(plan: dict[str, Any]) -> dict[str, Any]:
    searched = {f"search {name}": values for name, values in plan["space"].items()}
    rest = {name: value for name, value in plan.items() if name not in ("options", "space")}
    return {**plan["options"], **searched, **rest}

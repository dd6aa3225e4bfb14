"""A trial's parameters, as people read them and as a study file takes them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from optuna.trial import FrozenTrial

from ..training.config import ALSO_OF_THE_AGENT, RunConfig
from ..training.options import spelling
from .trial import OWN
from .values import SEARCHABLE


def short(value: Any) -> str:
    """A value with three digits that count.

    Example:
        >>> short(0.0123456), short(1000), short("erk")
        ('0.0123', '1000', 'erk')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def in_words(trial: FrozenTrial) -> str:
    """A trial's parameters on one line."""
    listed = ", ".join(f"{spelling(name)} {short(value)}" for name, value in trial.params.items())
    return f"the recipe's own ({listed})" if OWN in trial.user_attrs else listed


def as_method(config: RunConfig, label: str) -> str:
    """The agent of ``config`` as a method of a study file (TOML): its recipe and whatever of it is not at its default.

    Example:
        >>> print(as_method(RunConfig(recipe="set", density=0.05, weight_decay=1e-6), "best"), end="")
        [methods.best]
        recipe = "set"
        density = 0.05
        weight_decay = 1e-06
    """
    defaults = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    lines = [f"[methods.{label}]"]
    for name in (*SEARCHABLE, *ALSO_OF_THE_AGENT):
        value = getattr(config, name)
        if name == "recipe" or value != defaults[name]:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"

"""Write docs/methods.md: the table of methods as they are in the code, and what each one's docstring says.

python docs/methods.py
"""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from siftrl.agents.presets import PRESETS
from siftrl.sparse.recipes import RECIPES

PAGE = Path(__file__).with_suffix(".md")

INTRODUCTION = """# Methods

Every method is a function of a few lines in [recipes.py](../sparse/recipes.py), composed of a density rule, a drop rule, a
grow rule and a schedule ([concepts](concepts.md)). Take one by its name, `--recipe rigl` or `recipe="rigl"`, replace parts
of it (`density=`, `distribution=`, `recipe_kwargs=dict(period_updates=…)`), or compose your own `Recipe`. `Schedule()`
replaces 5 % of the links every 1 000 optimiser steps, for ever; the table shows what differs from a part's defaults. What
the agents do that choose their features, `sift`, `sift-anew` and `oracle`, stands [on a page of its own](sift.md). This page
is made from the code by `make docs`.
"""


def brief(part: Any) -> str:
    """A part of a recipe, without what it leaves at its default."""
    if part is None:
        return ""
    if not is_dataclass(part):
        return dict(part).__repr__() if isinstance(part, tuple) and part and isinstance(part[0], tuple) else repr(part)
    shown = []
    for position, field in enumerate(fields(part)):
        value = getattr(part, field.name)
        if field.default is MISSING or value != field.default:
            shown.append(brief(value) if position == 0 and field.default is MISSING else f"{field.name}={brief(value)}")
    return f"{type(part).__name__}({', '.join(shown)})"


def plain(docstring: str) -> str:
    """A docstring as markdown, its roles as code."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring.replace("``", "`"))


def render() -> str:
    """The page."""
    lines = [INTRODUCTION, "| name | density | drop | grow | schedule |", "|---|---|---|---|---|"]
    for name, make in RECIPES.items():
        recipe = make()
        cells = [f"`{brief(part)}`" if part else "" for part in (recipe.density, recipe.drop, recipe.grow, recipe.schedule)]
        lines.append(f"| [{name}](#{name}) | {' | '.join(cells)} |")
    for name, make in RECIPES.items():
        lines += [f"\n## {name}\n", plain(inspect.getdoc(make))]
        if name in PRESETS:
            lines.append(f"\n`--recipe {name}`: {PRESETS[name].summary}. With `--hparams paper`: {PRESETS[name].deviation}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
    print(f"written to {PAGE}")

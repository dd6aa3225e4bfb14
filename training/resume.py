"""Resuming: a stopped run goes on in its folder, with the options it had."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from .config import MACHINE, RunConfig
from .folder import CONFIG
from .foreign_env import require_named
from .options import spelling

_MAY_CHANGE = ("n_timesteps", "trained_agent", "progress", "verbose")


class ForeignStateError(ValueError):
    """The state in a checkpoint does not fit the run that is to go on from it."""


def resumed_config(given: dict[str, Any], folder: Path, done: int, is_over: bool) -> RunConfig:
    """The options of the run in ``folder``, which goes on with the options ``given`` on the command line.

    Args:
        given: only those of the machine may differ, what is shown, and ``n_timesteps``: further steps. In the result that
            is, as everywhere, the count at which the run ends.
        folder: the run folder.
        done: environment steps done.
        is_over: whether the run had come to its end.

    Raises:
        ValueError: for options that cannot change, for a folder whose options cannot be read, and where nothing is left to
            do.
    """
    saved = RunConfig(**_with_whole_path(_read_config(folder / CONFIG).to_dict()))
    require_named(saved.env, given.get("env"), folder)
    given = _with_whole_path(given)
    for field in dataclasses.fields(RunConfig):
        before = getattr(saved, field.name)
        may_change = field.name in _MAY_CHANGE or field.metadata["group"] == MACHINE
        if not may_change and given.get(field.name, before) != before:
            raise ValueError(
                f"{spelling(field.name)} is {before} in the run to go on with and cannot become {given[field.name]}."
            )
    changes = {name: value for name, value in given.items() if name != "trained_agent"}
    if "n_timesteps" in given:
        changes["n_timesteps"] += done
    elif is_over and done >= saved.n_timesteps:
        raise ValueError(f"the run {folder} has done its {done:,} steps; say how many further ones with -n.")
    return dataclasses.replace(saved, **changes)


def _with_whole_path(options: dict[str, Any]) -> dict[str, Any]:
    """The options, where events go said in full: one folder has many spellings, and runs of earlier versions have any."""
    path = options.get("tensorboard_log")
    return options if path is None else {**options, "tensorboard_log": os.path.abspath(path)}


def _read_config(path: Path) -> RunConfig:
    try:
        return RunConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"cannot read the options of the run, {path}: {error}") from error

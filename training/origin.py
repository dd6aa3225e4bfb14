"""Where a continued run comes from, and which of its options may change on the way."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archive import Provenance, inspect_model, read_provenance
from .checkpoint import is_checkpoint, model_of
from .config import MACHINE, RECORD, RunConfig
from .folder import find_model
from .foreign_env import require_named
from .options import spelling


@dataclass(frozen=True)
class Origin:
    """A saved run that another goes on from.

    Args:
        path: a checkpoint, or a lone model.
        provenance: which run that was, and how far it had come.
        has_replay: whether the replay is there too.
    """

    path: Path
    provenance: Provenance
    has_replay: bool

    def model(self) -> Path | io.BytesIO:
        """The model's archive, for SB3's ``load``."""
        return model_of(self.path) if self.has_replay else self.path


def find_origin(path: str) -> Origin:
    """The saved run that the zip at ``path`` holds: a checkpoint, or a lone model.

    Raises:
        ValueError: where there is none, or it was not saved by ``train.py``.
    """
    found = find_model(path)
    has_replay = is_checkpoint(found)
    if not has_replay:
        inspect_model(found)
    provenance = read_provenance(found, model_of(found) if has_replay else None)
    if provenance is None:
        raise ValueError(f"the model {found} cannot be continued: it was not saved by train.py.")
    return Origin(found, provenance, has_replay)


def continued_config(given: dict[str, Any], origin: Origin) -> RunConfig:
    """The options of a run that goes on from ``origin`` with the options ``given`` on the command line.

    What the run has learnt depends on its agent, environment and noise: those stay. ``n_timesteps`` is given as
    further steps; in the result it is, as everywhere, the count at which the run ends.

    Raises:
        ValueError: for an option that cannot change, and where nothing is left to do.
    """
    saved = origin.provenance.config
    done = origin.provenance.num_timesteps
    require_named(saved.env, given.get("env"), origin.path)
    for field in dataclasses.fields(RunConfig):
        free = field.metadata["group"] in (RECORD, MACHINE) or field.name in ("n_timesteps", "trained_agent")
        before = getattr(saved, field.name)
        if not free and given.get(field.name, before) != before:
            raise ValueError(
                f"{spelling(field.name)} is {before} in the run to continue and cannot become {given[field.name]}."
            )
    if "n_timesteps" in given:
        further = dataclasses.replace(saved, n_timesteps=given["n_timesteps"]).n_timesteps
    else:
        further = saved.n_timesteps - done
    if further <= 0:
        raise ValueError(f"the run has done its {done:,} steps; say how many further ones with -n.")
    # Where a new run writes is said here and now, and not by a file.
    own = {name: getattr(RunConfig, name) for name in ("log_folder", "tensorboard_log")}
    return dataclasses.replace(saved, **{**own, **given, "n_timesteps": done + further})

"""Whom a comparison is about: saved agents, sorted into methods. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

from ..training.archive import Provenance, open_archive, read_provenance
from ..training.config import AGENT, HYPERPARAMETERS, RunConfig
from ..training.folder import MODEL, find_model
from ..training.foreign_env import require_named
from ..training.launch import experiment, run_hash
from ..training.leaving_out import LeavingOut
from ..training.options import spelling

_WEIGHTS = "policy.pth"  # in a zip of SB3
_NAMED = ("algo", "recipe", "env", "noise", "seed")  # stand in a label anyway, or tell runs of one method apart
_OF_KIND = {"noise_correlation": "autoregressive"}  # options that one kind of noise alone has


@dataclass(frozen=True)
class Subject:
    """A saved agent.

    Args:
        path: its zip.
        provenance: the run that it comes from.
        fingerprint: of its weights and of the options behind it, 12 hex digits.
    """

    path: Path
    provenance: Provenance
    fingerprint: str

    @property
    def config(self) -> RunConfig:
        """The run's options."""
        return self.provenance.config

    @property
    def name(self) -> str:
        """The last two parts of its folder's path, which say agent, task and seed."""
        return "/".join(self.path.resolve().parent.parts[-2:])


def find_subjects(
    paths: Iterable[str | Path], leaving_out: LeavingOut | None = None, env: str | None = None
) -> list[Subject]:
    """The agents that ``paths`` mean: a zip, a run folder, or all runs in a folder; each once, in the order of their names.

    Args:
        paths: to look at.
        leaving_out: leaves out agents of several that are refused. None: the first one is an error.
        env: the id of a task whose module may be imported.

    Raises:
        ValueError: where a path leads to no agent, to one that ``train.py`` did not save, or whose task imports a module.
    """
    models = list(dict.fromkeys(model for path in paths for model in _models_at(Path(path))))
    if leaving_out is None:
        return [_read(model, env) for model in models]
    return leaving_out.each(lambda model: _read(model, env), models, f"none of the {len(models)} agents can be read.")


def _models_at(path: Path) -> list[Path]:
    below = sorted(path.rglob(MODEL)) if path.is_dir() else []
    return below or [find_model(path)]


def _read(path: Path, env: str | None) -> Subject:
    provenance = read_provenance(path)
    if provenance is None:
        raise ValueError(f"the model {path} was not saved by train.py, so it does not know its task and its method.")
    require_named(provenance.config.env, env, path)
    with open_archive(path) as archive:
        if _WEIGHTS not in archive.namelist():
            raise ValueError(f"the zip {path} holds no model of Stable-Baselines3: it lacks {_WEIGHTS}.")
        weights = archive.read(_WEIGHTS)
    # Agents that read no noise are the same among any: what they were trained in belongs to them, too.
    # The hash of their options stays what it is when options are added later.
    options = run_hash(provenance.config)
    return Subject(path, provenance, sha256(options.encode() + weights).hexdigest()[:12])


def task_of(config: RunConfig) -> str:
    """What tables call the task of a run.

    Example:
        >>> task_of(RunConfig(env="Ant-v5", noise=0.0)), task_of(RunConfig(env="Ant-v5", noise=0.95))
        ('Ant-v5', 'Ant-v5, 95 % noise')
    """
    return f"{config.env}, {100 * config.noise:g} % noise" if config.noise else config.env


def method_names(configs: Sequence[RunConfig]) -> list[str]:
    """What tables call the methods of runs: algorithm, recipe, and those options that not all runs have in common.

    Options of the agent are named only where runs of one recipe differ in them.

    Example:
        >>> narrow = RunConfig(recipe="dense", width=64)
        >>> method_names([RunConfig(recipe="dense"), narrow, RunConfig(recipe="set", density=0.5)])
        ['sac dense, width 256', 'sac dense, width 64', 'sac set']
    """
    of_agents = {field.name for field in fields(RunConfig) if field.metadata["group"] in (AGENT, HYPERPARAMETERS)}
    heads = [f"{config.algo} {config.recipe}" for config in configs]
    options = [experiment(config) for config in configs]
    names = []
    for head, own in zip(heads, options, strict=True):
        of_recipe = [other for other, its_head in zip(options, heads, strict=True) if its_head == head]
        having = [name for name in own if name not in _NAMED and _OF_KIND.get(name) in (None, own["noise_distribution"])]
        peers = {name: of_recipe if name in of_agents else options for name in having}
        differing = [name for name, among in peers.items() if any(other[name] != own[name] for other in among)]
        names.append(", ".join([head, *(f"{spelling(name)} {own[name]}" for name in differing)]))
    return names

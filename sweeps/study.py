"""Studies: methods, conditions and seeds, and the list of runs that they come to."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..names import did_you_mean, known
from ..training.config import RunConfig
from ..training.launch import hashed_folder, run_hash
from .scale import kept_seeds, scaled


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Args:
        parts: names of the parts that it belongs to; it is run once for them all.
        method: the method's label.
        config: its options.
        label: what tells it apart from the study's other runs, for people.
    """

    parts: tuple[str, ...]
    method: str
    config: RunConfig
    label: str

    def folder(self, parent: Path) -> Path:
        """Where it writes, below the study's folder; see :func:`siftrl.training.launch.hashed_folder`."""
        return hashed_folder(self.config, parent)


@dataclass(frozen=True)
class Part:
    """One figure or table of a study: each of its methods with each combination of its values.

    Args:
        name: of the part.
        methods: labels of its methods.
        values: values of each option that it sets.
    """

    name: str
    methods: tuple[str, ...]
    values: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Study:
    """Methods, conditions and seeds, as a TOML file says them; see ``docs/sweeps.md``.

    Args:
        name: of the study, and of its folder.
        options: of all runs.
        methods: the options of each method, by its label.
        parts: what is run.

    Raises:
        ValueError: where a run is not possible, naming its part and its method.

    Example:
        >>> anf, dense = {"recipe": "anf"}, {"recipe": "dense"}
        >>> noise = Part("noise", ("anf", "dense"), {"noise": (0.8, 0.9), "seed": (0, 1, 2)})
        >>> study = Study("example", {"n_timesteps": 10_000}, {"anf": anf, "dense": dense}, (noise,))
        >>> len(study.runs()), len(study.runs(seeds=1)), len(study.runs(methods=["anf"]))
        (12, 4, 6)
    """

    name: str
    options: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        checked = set()
        for part in self.parts:
            seen: dict[str, str] = {}
            for method, config in self._configs(part):
                experiment = run_hash(config)
                other = seen.setdefault(experiment, method)
                if other != method:
                    raise ValueError(f"{self._where(part, method)} is the same run as method {other!r}.")
                agent = dataclasses.replace(config, seed=0, noise=0.5, n_timesteps=1)
                if agent not in checked:
                    _check_names(agent, self._where(part, method))
                    checked.add(agent)

    @classmethod
    def from_file(cls, path: str | Path) -> Study:
        """Read a study's file.

        Raises:
            ValueError: where it cannot be read or says something that is not possible: what, and in which table.
        """
        from .study_file import read_study

        return read_study(Path(path))

    def runs(
        self,
        scale: float = 1.0,
        seeds: int | None = None,
        parts: Collection[str] | None = None,
        methods: Collection[str] | None = None,
    ) -> list[StudyRun]:
        """All runs, each once, in the order of the file; those of the first seed of all methods stand before the second's.

        Args:
            scale: above 0 and at most 1; shrinks the runs (see :func:`.scale.scaled`), and keeps as large a share of each
                part's seeds, rounded up.
            seeds: take the first so many of each part's seeds, whatever the scale.
            parts: take these alone; ``None`` takes all.
            methods: take these alone.

        Raises:
            ValueError: for a part or a method that does not exist.
        """
        parts = _selected(parts, [part.name for part in self.parts], "part")
        methods = _selected(methods, self.methods, "method")
        found: dict[tuple[str, str], StudyRun] = {}
        for part in self.parts:
            if part.name in parts:
                for method, whole in self._configs(_with_seeds(part, scale, seeds)):
                    if method in methods:
                        config = _scaled(whole, scale)
                        before = found.get((method, run_hash(config)))
                        names = dict.fromkeys((*(before.parts if before else ()), part.name))
                        found[method, run_hash(config)] = StudyRun(tuple(names), method, config, self._label(method, config))
        return sorted(found.values(), key=lambda run: run.config.seed)

    @property
    def axes(self) -> tuple[str, ...]:
        """The options that tell the runs of one method apart: task, noise, whatever a part lists, and the seed."""
        listed = [name for part in self.parts for name, values in part.values.items() if len(values) > 1]
        names = dict.fromkeys(("env", "noise", *listed))
        return (*(name for name in names if name != "seed"), "seed")

    def _configs(self, part: Part) -> Iterator[tuple[str, RunConfig]]:
        """The product of a part: methods, and its values in the order in which it gives them."""
        for method, values in itertools.product(part.methods, itertools.product(*part.values.values())):
            own = dict(zip(part.values, values, strict=True))
            try:
                yield method, RunConfig(**{**self.options, **self.methods[method], **own})
            except ValueError as error:
                raise ValueError(f"{self._where(part, method)}: {error}") from error

    def _label(self, method: str, config: RunConfig) -> str:
        set_by_parts = dict.fromkeys(name for part in self.parts for name in part.values if name not in self.axes)
        differing = [name for name in set_by_parts if len({part.values.get(name) for part in self.parts}) > 1]
        names = (*(name for name in self.axes if name not in ("env", "seed")), *differing, "seed")
        return f"{method} on {config.env}, {', '.join(f'{name} {getattr(config, name)}' for name in names)}"

    @staticmethod
    def _where(part: Part, method: str) -> str:
        return f"part {part.name!r}, method {method!r}"


def _with_seeds(part: Part, scale: float, seeds: int | None) -> Part:
    if "seed" not in part.values:
        return part
    listed = part.values["seed"]
    return dataclasses.replace(part, values={**part.values, "seed": listed[: seeds or kept_seeds(len(listed), scale)]})


def _scaled(config: RunConfig, scale: float) -> RunConfig:
    if scale == 1:
        return config
    from ..training.agent import learning_starts

    return scaled(config, scale, learning_starts(config))


def _selected(names: Collection[str] | None, valid: Collection[str], what: str) -> Collection[str]:
    return valid if names is None else [known(name, valid, what) for name in names]


def _check_names(config: RunConfig, where: str) -> None:
    """Check what only the agents and Gymnasium know: recipes, distributions, tasks.

    Raises:
        ValueError: for what is not there.
    """
    import gymnasium

    from ..training.agent import learning_starts

    module, _, task = config.env.rpartition(":")
    try:
        learning_starts(config)
        if module:  # as gymnasium.make has it: it registers the task
            importlib.import_module(module)
        gymnasium.spec(task)
    except gymnasium.error.Error:
        hint = did_you_mean(config.env, gymnasium.registry)
        raise ValueError(f"{where}: env must be a registered environment, not {config.env!r}.{hint}") from None
    except (ValueError, ImportError) as error:
        raise ValueError(f"{where}: {error}") from error

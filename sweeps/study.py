"""Studies: a TOML file that says which methods are run in which conditions, and the list of runs that it comes to."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..names import did_you_mean, known
from ..training.config import RunConfig
from ..training.launch import hashed_folder, run_hash
from ..training.options import value_types
from .scale import kept_seeds, scaled

_KEYS = ("name", "options", "methods", "parts")
_PART_KEYS = ("name", "methods")
#: Options that are the sweep's own business, and how to have them.
_THE_SWEEPS = {
    "threads": "--threads-per-run says it",
    "log_folder": "--folder says it",
    "tensorboard_log": "events are in the run's folder",
    "progress": "the sweep shows it",
    "verbose": "each run's output.txt has it",
    "trained_agent": "each run starts anew",
}
_KINDS = value_types(RunConfig)
OPTIONS = tuple(name for name in _KINDS if name not in _THE_SWEEPS)


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
    def load(cls, path: str | Path) -> Study:
        """Read a study's file.

        Raises:
            ValueError: where it cannot be read or says something that is not possible: what, and in which table.
        """
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text())
        except OSError as error:
            siblings = [other.name for other in path.parent.glob("*.toml")]
            raise ValueError(f"cannot read {path}: {error.strerror}.{did_you_mean(path.name, siblings)}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no TOML: {error}.") from error
        try:
            return _study(content, path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

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
        conditions = [f"{name} {getattr(config, name)}" for name in self.axes if name != "env"]
        return f"{method} on {config.env}, {', '.join(conditions)}"

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

    try:
        learning_starts(config)
        gymnasium.spec(config.env)
    except gymnasium.error.Error:
        hint = did_you_mean(config.env, gymnasium.registry)
        raise ValueError(f"{where}: env must be a registered environment, not {config.env!r}.{hint}") from None
    except (ValueError, ImportError) as error:
        raise ValueError(f"{where}: {error}") from error


def _study(content: dict[str, Any], path: Path) -> Study:
    _check_keys(content, _KEYS, "the file")
    options = _options(_table(content, "options"), "[options]")
    methods = {
        label: _options(_table(content["methods"], label, "methods."), f"[methods.{label}]")
        for label in _table(content, "methods")
    }
    if not methods:
        raise ValueError("there are no methods: a table [methods.<label>] says what one is.")
    tables = content.get("parts", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables) or not tables:
        raise ValueError("there are no parts: a table [[parts]] says what is run.")
    parts = tuple(_part(table, number, methods) for number, table in enumerate(tables, 1))
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two tables [[parts]] have the name {name!r}.")
    return Study(_folder_name(content.get("name", path.stem)), options, methods, parts)


def _part(table: dict[str, Any], number: int, methods: Mapping[str, Any]) -> Part:
    name = table.get("name", f"part {number}")
    where = f"[[parts]] number {number}"
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{where}: name must be a text, not {name!r}.")
    where = f"[[parts]] {name}"
    labels = _as_list(table.get("methods", list(methods)), "methods", where)
    values = {key: value for key, value in table.items() if key not in _PART_KEYS}
    _check_keys(values, (*_PART_KEYS, *OPTIONS), where)
    for label in labels:
        known(label, methods, f"{where}: methods")
    return Part(name, tuple(labels), {key: _values(key, value, where) for key, value in values.items()})


def _options(table: dict[str, Any], where: str) -> dict[str, Any]:
    _check_keys(table, OPTIONS, where)
    for name, value in table.items():
        if isinstance(value, list):
            raise ValueError(f"{where}: {name} must be one value, not {value!r}; only [[parts]] can list several.")
    return {name: _typed(name, value) for name, value in table.items()}


def _values(name: str, value: Any, where: str) -> tuple[Any, ...]:
    return tuple(_typed(name, item) for item in _as_list(value, name, where))


def _as_list(value: Any, name: str, where: str) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{where}: {name} must list at least one value.")
    for item in values:
        if values.count(item) > 1:
            raise ValueError(f"{where}: {name} lists {item!r} twice.")
    return values


def _typed(name: str, value: Any) -> Any:
    # 1e6 is a number of steps, though TOML has it as a float.
    return int(value) if _KINDS[name] is int and isinstance(value, float) and value.is_integer() else value


def _table(content: dict[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{prefix}{key} must be a table, [{prefix}{key}], not {table!r}.")
    return table


def _check_keys(table: Iterable[str], valid: Collection[str], where: str) -> None:
    for key in table:
        if key in _THE_SWEEPS:
            raise ValueError(f"{where}: {key} cannot be set in a study: {_THE_SWEEPS[key]}.")
        if key not in valid:
            raise ValueError(f"{where} has a key {key!r} that is not known there.{did_you_mean(key, valid)}")


def _folder_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or Path(name).name != name or name in (".", ".."):
        raise ValueError(f"name must be the name of a folder, not {name!r}.")
    return name

"""Study files: TOML, checked key by key, into a study."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..names import did_you_mean, known
from ..training.config import RunConfig
from ..training.options import value_types
from .study import Part, Study

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


def read_study(path: Path) -> Study:
    """Read a study's file; ``docs/sweeps.md`` says what stands in it.

    Raises:
        ValueError: where it cannot be read or says something that is not possible: what, and in which table.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        siblings = [other.name for other in path.parent.glob("*.toml")]
        raise ValueError(f"cannot read {path}: {error.strerror}.{did_you_mean(path.name, siblings)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}.") from error
    try:
        return _study(content, path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _study(content: dict[str, Any], stem: str) -> Study:
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
    return Study(_folder_name(content.get("name", stem)), options, methods, parts)


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
        known(str(label), methods, f"{where}: methods")
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

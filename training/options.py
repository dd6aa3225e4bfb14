"""Options as dataclass fields: one declaration gives the default, the check, the command-line flag and its help."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from ..names import did_you_mean


@dataclass(frozen=True)
class Rule:
    """What a value must satisfy: in words for the user, as a test for the machine."""

    words: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


def one_of(*choices: str) -> Rule:
    """A rule for names: one of ``choices``."""
    return Rule("one of " + ", ".join(choices), lambda value: value in choices, choices)


def at_most(limit: int) -> Rule:
    """A rule for counts of things that take memory, where more than ``limit`` can only be a slip or a trick."""
    return Rule(f"from 1 to {limit}", lambda value: 1 <= value <= limit)


AT_LEAST_ONE = Rule("at least 1", lambda value: value >= 1)
NOT_NEGATIVE = Rule("0 or more", lambda value: 0 <= value < math.inf)
SEED = Rule("from 0 to 4294967295", lambda value: 0 <= value < 2**32)  # what NumPy's global generator takes
NOISE_FRACTION = Rule("at least 0 and below 1", lambda value: 0 <= value < 1)
POSITIVE = Rule("above 0", lambda value: 0 < value < math.inf)
FRACTION = Rule("from 0 to 1", lambda value: 0 <= value <= 1)
DENSITY = Rule("above 0 and at most 1", lambda value: 0 < value <= 1)
NOT_EMPTY = Rule("given", lambda value: bool(value.strip()))


def option(
    default: Any, help: str, *, rule: Rule | None = None, short: str = "", group: str = "options", metavar: str = ""
) -> Any:
    """A dataclass field that is also a command-line flag, named after the field.

    Args:
        default: the one default of this option, for Python and the command line alike.
        help: what it does; the default is appended where there is one.
        rule: what a value other than ``None`` must satisfy.
        short: a short spelling of the flag, such as ``-n``.
        group: heading under which ``--help`` shows it.
        metavar: what ``--help`` calls the value.
    """
    metadata = {"help": help, "rule": rule, "short": short, "group": group, "metavar": metavar}
    return dataclasses.field(default=default, metadata=metadata)


@functools.cache
def value_types(cls: type) -> dict[str, type]:
    """The type of each field of dataclass ``cls``, ``None`` left out: ``int`` for ``int | None``."""
    return {name: _without_none(hint) for name, hint in typing.get_type_hints(cls).items()}


@functools.cache
def _may_be_none(cls: type) -> frozenset[str]:
    return frozenset(name for name, hint in typing.get_type_hints(cls).items() if types.NoneType in typing.get_args(hint))


def _without_none(hint: Any) -> type:
    if isinstance(hint, types.UnionType):
        return next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    return hint


def options_in(cls: type, *groups: str) -> tuple[str, ...]:
    """The names of the options of dataclass ``cls`` that stand in one of ``groups``, in the order of their declaration."""
    return tuple(field.name for field in dataclasses.fields(cls) if field.metadata["group"] in groups)


def check_options(options: Any) -> None:
    """Check every field of a dataclass made of options.

    Raises:
        ValueError: naming the option, its value, what would be right and, for a name, the closest valid one.
    """
    kinds = value_types(type(options))
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value is None and field.name in _may_be_none(type(options)):
            continue
        _check_type(field.name, value, kinds[field.name])
        rule: Rule | None = field.metadata.get("rule")
        if rule is not None and not rule.holds(value):
            hint = did_you_mean(value, rule.choices) if rule.choices else ""
            raise ValueError(f"{spelling(field.name)} must be {rule.words}, not {value!r}.{hint}")


def _check_type(name: str, value: Any, kind: type) -> None:
    accepted = (int, float) if kind is float else (kind,)
    # bool is a subclass of int, and True is no number of steps.
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{spelling(name)} must be of type {kind.__name__}, not {value!r}.")


def spelling(name: str) -> str:
    """An option's name as the command line spells it: ``eval_freq`` is ``eval-freq``."""
    return name.replace("_", "-")


class OptionParser(argparse.ArgumentParser):
    """An argument parser that raises ``ValueError`` with one sentence instead of leaving the process.

    Flags cannot be abbreviated: an abbreviation that is unique today is ambiguous after the next option.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_options(self, cls: type, leave_out: Collection[str] = ()) -> None:
        """Add a flag for every field of dataclass ``cls`` but those to ``leave_out``, grouped as its fields say.

        Flags that the user leaves out are absent from the parsed namespace: the default stays with the dataclass.
        """
        kinds = value_types(cls)
        groups: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name in leave_out:
                continue
            heading = field.metadata["group"]
            group = groups.setdefault(heading, None) or self.add_argument_group(heading)
            groups[heading] = group
            flags = [flag for flag in (field.metadata["short"], f"--{spelling(field.name)}") if flag]
            kind = kinds[field.name]
            if kind is bool:
                action: dict[str, Any] = {"action": "store_true"}
            else:
                action = {"type": _READERS[kind], "metavar": _metavar(field, kind)}
            help_text = _help(field, kind)
            group.add_argument(*flags, dest=field.name, default=argparse.SUPPRESS, help=help_text, **action)

    def parse_options(self, argv: list[str] | None) -> dict[str, Any]:
        """Parse ``argv`` (``None``: the process's own) into the options that the user gave.

        Raises:
            ValueError: for an unknown flag, naming the closest one, and for a value that cannot be read.
        """
        namespace, unknown = self.parse_known_args(argv)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            flag = unknown[0].partition("=")[0]
            raise ValueError(f"unknown argument {unknown[0]}.{did_you_mean(flag, flags)}")
        return vars(namespace)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        raise ValueError(message)


def _metavar(field: dataclasses.Field, kind: type) -> str:
    rule: Rule | None = field.metadata["rule"]
    if field.metadata["metavar"]:
        return field.metadata["metavar"]
    if rule is not None and rule.choices:
        return "{" + ",".join(rule.choices) + "}"
    return {int: "N", float: "X", str: "NAME"}[kind]


def _help(field: dataclasses.Field, kind: type) -> str:
    text = field.metadata["help"].replace("%", "%%")
    shows_default = field.default is not None and kind is not bool
    return f"{text} (default: {field.default})" if shows_default else text


def _read_int(text: str) -> int:
    """Read a whole number, ``1e6`` and ``1_000_000`` included."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(number)


def _read_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


_READERS: dict[type, Callable[[str], Any]] = {int: _read_int, float: _read_float, str: str}

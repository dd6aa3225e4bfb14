"""Values of an option that a search tries: a range, or some choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..names import known
from ..training.config import AGENT, HYPERPARAMETERS, RunConfig
from ..training.options import options_in, spelling, value_types

#: The options that can be searched: what makes the agent, and its hyper-parameters.
SEARCHABLE = options_in(RunConfig, AGENT, HYPERPARAMETERS)


@dataclass(frozen=True)
class Range:
    """All numbers from ``low`` to ``high``, both included: whole ones if the ends are.

    Example:
        >>> str(Range(100, 5000)), Range(100, 5000).log, Range(0.0, 0.5).log
        ('100:5000', True, False)
    """

    low: float
    high: float

    @property
    def log(self) -> bool:
        """Whether a factor of two counts the same everywhere, instead of a difference of one."""
        return self.low > 0

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """What an option must take, so that it takes all values."""
        return self.low, self.high

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low!r}:{self.high!r}"


@dataclass(frozen=True)
class Choices:
    """One of some values, in no order.

    Example:
        >>> str(Choices(("set", "rigl"))), str(Choices((0.0, 1e-4)))
        ('set,rigl', '0.0,0.0001')
    """

    values: tuple[Any, ...]

    @property
    def extremes(self) -> tuple[Any, ...]:
        """What an option must take, so that it takes all values."""
        return self.values

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


Values = Range | Choices


def parse_search(text: str) -> tuple[str, Values]:
    """The option and its values in ``option=low:high`` or ``option=a,b,c``.

    Raises:
        ValueError: where that cannot be read or no such option can be searched, with the closest one that can.

    Example:
        >>> parse_search("learning-rate=1e-4:1e-3")
        ('learning_rate', Range(low=0.0001, high=0.001))
        >>> parse_search("recipe=set,rigl")
        ('recipe', Choices(values=('set', 'rigl')))
    """
    spelt, _, values = text.partition("=")
    name = parse_name(spelt, "search")
    if not values:
        raise ValueError(f"search must give {spelt} its values, as in {spelt}=low:high or {spelt}=a,b,c, not {text!r}.")
    kind = value_types(RunConfig)[name]
    if ":" not in values:
        choices = tuple(_read(spelt, value, kind) for value in values.split(","))
        if len({*choices}) < len(choices):
            raise ValueError(f"the choices of {spelt} must differ, unlike {values!r}.")
        return name, Choices(choices)
    ends = [_read(spelt, value, kind) for value in values.split(":")]
    if kind not in (int, float) or len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"the range of {spelt} must be two numbers low:high, low below high, not {values!r}.")
    return name, Range(*ends)


def parse_name(spelt: str, argument: str) -> str:
    """The name of an option that can be searched, however it is spelt.

    Raises:
        ValueError: where there is none, with the closest one.
    """
    dashed = spelling(spelt.strip())
    return known(dashed, [spelling(name) for name in SEARCHABLE], f"the option of {argument}").replace("-", "_")


def _read(spelt: str, text: str, kind: type) -> Any:
    if kind not in (int, float):
        return text.strip()
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"the values of {spelt} must be numbers, not {text!r}.") from None
    if kind is int and not number.is_integer():
        raise ValueError(f"the values of {spelt} must be whole numbers, not {text!r}.")
    return kind(number)

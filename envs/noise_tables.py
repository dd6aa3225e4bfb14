"""The kinds of noise: for each, a long table of numbers that its features are read from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .histogram import FeatureHistogram
from .recording import Recording

BLOCK_WIDTH = 256  # noise features that are read side by side, at most

_LENGTH = 2**24
_SHORTEST_PART = 2**16
_SERIES = 2**10  # side by side in a table of series, each of which then has 2^14 time steps
_SEED = 0x51F7
_STEP = 0.05  # of a random walk, in standard deviations of where it is


class NoiseTable(NamedTuple):
    """Numbers that noise is read from.

    Attributes:
        numbers: float32, flat, read-only: ``parts`` of ``length`` each, what windows past the end of a series read, and
            256 zeros.
        length: of a part.
        parts: into how many groups the noise features fall, each read from a part of its own.
        stride: from a feature's number to that of the next time step, around the part; 0 where each time step is drawn
            anew.
        whole_rows: whether ``stride`` features belong together, and are read from the same time step on.
    """

    numbers: np.ndarray
    length: int
    parts: int = 1
    stride: int = 0
    whole_rows: bool = False


def normal(std: float) -> NoiseTable:
    """N(0, std²), independent over time."""
    numbers = _zeros(_LENGTH)
    _draw_normal(numbers[:_LENGTH], std)
    return NoiseTable(_read_only(numbers), _LENGTH)


def uniform(std: float) -> NoiseTable:
    """U(−√3 std, √3 std), independent over time."""
    numbers = _zeros(_LENGTH)
    drawn = numbers[:_LENGTH]
    np.random.default_rng(_SEED).random(dtype=np.float32, out=drawn)
    drawn -= np.float32(0.5)
    drawn *= np.float32(2 * math.sqrt(3) * std)
    return NoiseTable(_read_only(numbers), _LENGTH)


def imitation(std: float, histogram: FeatureHistogram) -> NoiseTable:
    """Each group follows the histogram of a real feature, times std, independent over time."""
    numbers, parts = _parts(histogram)
    rng = np.random.default_rng(_SEED)
    for feature, part in enumerate(parts):
        np.multiply(histogram.draw(feature, len(part), rng), np.float32(std), out=part)
    return NoiseTable(_read_only(numbers), parts.shape[1], len(parts))


def copying_errors(std: float, histogram: FeatureHistogram) -> NoiseTable:
    """Normal, independent over time, of std times the standard deviation of a real feature in each group."""
    numbers, parts = _parts(histogram)
    _draw_normal(parts, std)
    parts *= histogram.std.astype(np.float32)[:, None]
    return NoiseTable(_read_only(numbers), parts.shape[1], len(parts))


def autoregressive(std: float, correlation: float) -> NoiseTable:
    """Stationary AR(1): x(t + 1) = correlation x(t) + √(1 − correlation²) N(0, std²)."""
    numbers, series = _series()
    _draw_normal(series, std * math.sqrt(1 - correlation**2))
    memory, end = np.float32(correlation), np.zeros(_SERIES, np.float32)
    for new in series:
        end = memory * end + new
    # That is where series end that come from 0. Each shall come from where it ends: then it has no end.
    before = end / np.float32(1 - correlation ** len(series))
    for row in series:
        row += memory * before
        before = row
    return _around(numbers)


def brownian(std: float) -> NoiseTable:
    """Random walks between walls at ±√3 std, where they are anywhere equally often; a step is a twentieth of std."""
    numbers, series = _series()
    _draw_normal(series, _STEP)
    wall, there_and_back = math.sqrt(3), 4 * math.sqrt(3)
    # Without walls a walk would end after whole rounds where it began, by a drift far below a step.
    whole_way = series.sum(axis=0, dtype=np.float64)
    series -= ((whole_way - np.round(whole_way / there_and_back) * there_and_back) / len(series)).astype(np.float32)
    series[0] = np.random.default_rng([_SEED, 1]).uniform(0, there_and_back, _SERIES)
    np.cumsum(series, axis=0, out=series)
    # The walls fold it: up on the way there, down on the way back.
    np.mod(series, there_and_back, out=series)
    series -= 2 * wall
    np.abs(series, out=series)
    series -= wall
    series *= std
    limit = np.float32(wall * std)
    np.clip(series, -limit, limit, out=series)
    return _around(numbers)


def shadow(std: float, recording: Recording) -> NoiseTable:
    """What was recorded, times std."""
    steps, n_features = recording.observations.shape
    numbers = _zeros(steps * n_features)
    np.multiply(recording.observations.reshape(-1), np.float32(std), out=numbers[: steps * n_features])
    return NoiseTable(_read_only(numbers), steps * n_features, stride=n_features, whole_rows=True)


class NoiseKind(NamedTuple):
    """A kind of noise.

    Attributes:
        table: makes its table, from the noise's std and what it needs.
        needs: which of a source's options the table depends on, besides std.
        adds_to_real: whether what is read is added to real features.
    """

    table: Callable[..., NoiseTable]
    needs: tuple[str, ...] = ()
    adds_to_real: bool = False


KINDS = {
    "normal": NoiseKind(normal),
    "uniform": NoiseKind(uniform),
    "imitate": NoiseKind(imitation, ("histogram",)),
    "autoregressive": NoiseKind(autoregressive, ("correlation",)),
    "brownian": NoiseKind(brownian),
    "shadow": NoiseKind(shadow, ("recording",)),
    "copies": NoiseKind(copying_errors, ("histogram",), adds_to_real=True),
}


@lru_cache(maxsize=4)
def table(distribution: str, std: float, *needed: Any) -> NoiseTable:
    """The table of a kind of noise, made once in a process.

    Args:
        distribution: a key of ``KINDS``.
        std: of the noise.
        *needed: values of what the kind needs, in its order.

    Example:
        >>> made = table("autoregressive", 1.0, 0.95)
        >>> made.numbers.dtype, made.length // made.stride  # time steps of a series
        (dtype('float32'), 16384)
    """
    return KINDS[distribution].table(std, *needed)


def _zeros(n: int) -> np.ndarray:
    return np.zeros(n + BLOCK_WIDTH, np.float32)


def _parts(histogram: FeatureHistogram) -> tuple[np.ndarray, np.ndarray]:
    """An empty table with a part for each feature, and these parts: views, as rows."""
    n = histogram.n_features
    length = max(_SHORTEST_PART, _LENGTH // n)
    numbers = _zeros(n * length)
    return numbers, numbers[: n * length].reshape(n, length)


def _series() -> tuple[np.ndarray, np.ndarray]:
    """An empty table of series, and a view of them: a row for each time step."""
    numbers = _zeros(_LENGTH + BLOCK_WIDTH)
    return numbers, numbers[:_LENGTH].reshape(-1, _SERIES)


def _around(numbers: np.ndarray) -> NoiseTable:
    """The table of series that go on at their beginning where they end."""
    # A window that begins in the last row may go on in the first one.
    numbers[_LENGTH : _LENGTH + BLOCK_WIDTH] = numbers[:BLOCK_WIDTH]
    return NoiseTable(_read_only(numbers), _LENGTH, stride=_SERIES)


def _draw_normal(out: np.ndarray, std: float) -> None:
    np.random.default_rng(_SEED).standard_normal(dtype=np.float32, out=out)
    out *= np.float32(std)


def _read_only(numbers: np.ndarray) -> np.ndarray:
    numbers.flags.writeable = False
    return numbers

"""What can happen to sensors: corruptions of an observation, each with five severities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..names import known

SEVERITIES = (1, 2, 3, 4, 5)

_DRIFT_STEPS = 100  # environment steps in which a drift moves by its level
_CLIP = 3.0  # impulses and the range of a quantiser, in standard deviations


@dataclass(frozen=True)
class Reading:
    """What a corruption may know of one observation.

    Args:
        values: float64 (n,), what the sensors say.
        mean: float64 (n,), of each feature.
        std: float64 (n,), of each feature.
        level: how strong, in the corruption's unit.
        rng: draws of this episode.
        memory: what the corruption keeps from step to step of this episode, empty at its start; plain values and arrays.
    """

    values: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    level: float
    rng: np.random.Generator
    memory: dict[str, Any]


@dataclass(frozen=True)
class Corruption:
    """A way in which sensors fail.

    Args:
        summary: one line.
        unit: of a level.
        levels: of the severities 1 to 5.
        apply: gives the corrupted values, float64 (n,), of a reading, which it leaves as it is.
        most: no level is above it.
        whole: whether levels are whole numbers.
    """

    summary: str
    unit: str
    levels: tuple[float, float, float, float, float]
    apply: Callable[[Reading], np.ndarray]
    most: float = math.inf
    whole: bool = False


def level_of(name: str, severity: int) -> float:
    """The level of a corruption at a severity.

    Raises:
        ValueError: an unknown name, with the closest one, or a severity that is none.

    Example:
        >>> level_of("gaussian", 3), level_of("delay", 3)
        (0.2, 3)
    """
    levels = CORRUPTIONS[known(name, CORRUPTIONS, "corruption")].levels
    if not isinstance(severity, Integral) or severity not in SEVERITIES:
        raise ValueError(f"severity must be a whole number from 1 to 5, not {severity!r}.")
    return levels[severity - 1]


def _gaussian(reading: Reading) -> np.ndarray:
    return reading.values + reading.level * reading.std * reading.rng.standard_normal(len(reading.values))


def _impulse(reading: Reading) -> np.ndarray:
    ends = reading.mean + reading.rng.choice((-_CLIP, _CLIP), len(reading.values)) * reading.std
    return np.where(_hit(reading), ends, reading.values)


def _dropout(reading: Reading) -> np.ndarray:
    return np.where(_hit(reading), reading.mean, reading.values)


def _bias(reading: Reading) -> np.ndarray:
    return reading.values + reading.level * reading.std * _signs(reading)


def _drift(reading: Reading) -> np.ndarray:
    steps = reading.memory["steps"] = reading.memory.get("steps", -1) + 1
    return reading.values + reading.level * steps / _DRIFT_STEPS * reading.std * _signs(reading)


def _scale(reading: Reading) -> np.ndarray:
    return reading.values * (1 + reading.level * _signs(reading))


def _quantise(reading: Reading) -> np.ndarray:
    cells = 2 ** int(reading.level)
    width = 2 * _CLIP * reading.std / cells
    # A feature that never varied has cells without a width, and stays as it is.
    cell = np.floor((reading.values - reading.mean) / np.where(width > 0, width, 1)).clip(-cells / 2, cells / 2 - 1)
    return np.where(width > 0, reading.mean + (cell + 0.5) * width, reading.values)


def _stale(reading: Reading) -> np.ndarray:
    seen = reading.memory.get("seen", reading.values)
    if reading.rng.random() >= reading.level:
        seen = reading.values
    reading.memory["seen"] = seen.copy()
    return seen


def _delay(reading: Reading) -> np.ndarray:
    start = np.repeat(reading.values[None], int(reading.level), axis=0)
    queue = np.concatenate((reading.memory.get("queue", start), reading.values[None]))
    reading.memory["queue"] = queue[1:]
    return queue[0]


def _low_pass(reading: Reading) -> np.ndarray:
    return _slow_part(reading)


def _high_pass(reading: Reading) -> np.ndarray:
    return reading.mean + reading.values - _slow_part(reading)


def _flicker(reading: Reading) -> np.ndarray:
    sign = reading.memory["sign"] = -reading.memory.get("sign", -1)
    return reading.values + sign * reading.level * reading.std * _signs(reading)


def _swap(reading: Reading) -> np.ndarray:
    if "order" not in reading.memory:
        n = len(reading.values)
        n_pairs = min(math.ceil(reading.level * n / 2), n // 2)
        first, second = reading.rng.permutation(n)[: 2 * n_pairs].reshape(2, n_pairs)
        order = np.arange(n)
        order[first], order[second] = second, first
        reading.memory["order"] = order
    return reading.values[reading.memory["order"]]


def _hit(reading: Reading) -> np.ndarray:
    """Which features are hit this time, each with the level's probability, bool (n,)."""
    return reading.rng.random(len(reading.values)) < reading.level


def _signs(reading: Reading) -> np.ndarray:
    """A sign for each feature, which stays for the episode."""
    if "signs" not in reading.memory:
        reading.memory["signs"] = reading.rng.choice((-1.0, 1.0), len(reading.values))
    return reading.memory["signs"]


def _slow_part(reading: Reading) -> np.ndarray:
    """The exponential moving average whose memory is the level long, in environment steps; it starts at the first values."""
    keep = math.exp(-1 / reading.level) if reading.level else 0.0
    slow = reading.memory.get("slow", reading.values)
    reading.memory["slow"] = slow = keep * slow + (1 - keep) * reading.values
    return slow


_STDS, _CHANCE = "standard deviations", "probability"
_KAPPA = (0.05, 0.1, 0.2, 0.4, 0.8)

#: All corruptions, by the names that people type.
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian": Corruption("normal noise on each feature", _STDS, _KAPPA, _gaussian),
    "impulse": Corruption(
        "each feature, now and then, at 3 standard deviations from its mean",
        _CHANCE,
        (0.01, 0.03, 0.06, 0.1, 0.2),
        _impulse,
        most=1,
    ),
    "dropout": Corruption("each feature, now and then, at its mean", _CHANCE, _KAPPA, _dropout, most=1),
    "bias": Corruption("each feature too high or too low, for the episode", _STDS, _KAPPA, _bias),
    "drift": Corruption("each feature ever higher or ever lower", f"{_STDS} in {_DRIFT_STEPS} steps", _KAPPA, _drift),
    "scale": Corruption("each feature multiplied by 1 + level or 1 - level, for the episode", "share", _KAPPA, _scale),
    "quantise": Corruption(
        "each feature in 2^level cells over 6 standard deviations", "bits", (6, 5, 4, 3, 2), _quantise, most=32, whole=True
    ),
    "stale": Corruption("the last observation again, now and then", _CHANCE, (0.1, 0.2, 0.4, 0.6, 0.8), _stale, most=1),
    "delay": Corruption("the observation of some steps ago", "steps", (1, 2, 3, 4, 5), _delay, most=10_000, whole=True),
    "low-pass": Corruption("the slow part alone: a moving average", "steps", (0.5, 1, 2, 4, 8), _low_pass),
    "high-pass": Corruption("all but the slow part", "steps", (100, 50, 20, 10, 5), _high_pass),
    "flicker": Corruption("each feature too high and too low by turns", _STDS, _KAPPA, _flicker),
    "swap": Corruption(
        "pairs of features in each other's place, for the episode",
        "share of the features",
        (0.1, 0.2, 0.4, 0.6, 1.0),
        _swap,
        most=1,
    ),
}

"""What remains of an agent's return when something goes wrong, as numbers between agents and tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..reports.scores import area_under_curve
from .measurements import CLEAN, RANDOM, STILL


@dataclass(frozen=True)
class Robustness:
    """One agent.

    Args:
        method: what it is one of.
        task: what it was trained for.
        seed: of its training.
        clean: its return where all is well.
        random: the return of random actions.
        still: the return of no action.
        scores: by corruption, then by severity; see :func:`score`.
    """

    method: str
    task: str
    seed: int
    clean: float
    random: float
    still: float
    scores: dict[str, dict[int, float]]

    @property
    def has_learnt(self) -> bool:
        """Whether it is better than random actions where all is well; otherwise its scores are NaN."""
        return self.clean > self.random

    @property
    def areas(self) -> dict[str, float]:
        """The area under the severity curve of each corruption; see :func:`area`."""
        return {corruption: area(by_severity) for corruption, by_severity in self.scores.items()}

    @property
    def mean_area(self) -> float:
        """The mean of the areas over corruptions."""
        return float(np.mean(list(self.areas.values())))

    @property
    def worst(self) -> str:
        """The corruption with the smallest area."""
        return min(self.areas, key=self.areas.__getitem__)

    def to_dict(self) -> dict:
        """All figures, for a JSON file."""
        return {
            "method": self.method,
            "task": self.task,
            "seed": self.seed,
            "clean_return": self.clean,
            "random_return": self.random,
            "still_return": self.still,
            "mean_area": _or_none(self.mean_area),
            "worst": self.worst if self.has_learnt else None,
            "areas": {name: _or_none(value) for name, value in self.areas.items()},
            "scores": {
                name: {str(severity): _or_none(value) for severity, value in by_severity.items()}
                for name, by_severity in self.scores.items()
            },
        }


def score(disturbed: float, clean: float, random: float) -> float:
    """The share of what an agent has learnt that is left: 1 for its return where all is well, 0 for that of random actions.

    The quotient of the returns themselves would mean nothing where returns are negative, or random actions earn something.
    A score can be below 0, where an agent does worse than chance, and above 1.

    Returns:
        The score, or NaN where an agent is no better than random actions without any corruption, and has nothing to lose.

    Source:
        The normalised returns of Mnih et al., Human-level control through deep reinforcement learning (Nature 2015), with
        the agent's own return in the place of a human's.

    Example:
        >>> score(-300.0, clean=-150.0, random=-1150.0)
        0.85
    """
    return (disturbed - random) / (clean - random) if clean > random else math.nan


def area(scores: Mapping[int, float]) -> float:
    """The mean score over severities from 0, where it is 1, to the highest one measured: the area under the curve.

    Returns:
        The area, or NaN where a score is.

    Example:
        >>> area({1: 1.0, 3: 0.5, 5: 0.0})
        0.6
    """
    severities = sorted(scores)
    if any(math.isnan(value) for value in scores.values()):
        return math.nan
    return area_under_curve([0, *severities], [1.0, *(scores[severity] for severity in severities)])


def robustness(rows: Iterable[Mapping[str, str]]) -> list[Robustness]:
    """Sort measurements by agent.

    Args:
        rows: with the columns of :class:`~siftrl.robustness.measurements.Measurements`.

    Returns:
        Each agent with all its corruptions, in the order of the rows; scores are NaN for agents that have learnt nothing.

    Raises:
        ValueError: where rows lack what they are compared with.
    """
    rows = list(rows)
    references = {(row["env"], row["corruption"]): float(row["mean_return"]) for row in rows if not row["agent"]}
    agents: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        if row["agent"]:
            agents.setdefault((row["agent"], row["env"]), []).append(row)
    found = []
    for (agent, env), of_agent in agents.items():
        one = next((row for row in of_agent if row["corruption"] == CLEAN), None)
        if one is None or not {(env, RANDOM), (env, STILL)} <= references.keys():
            raise ValueError(
                f"measurements of agent {agent} need a row '{CLEAN}' of it and rows '{RANDOM}' and '{STILL}' of {env}."
            )
        clean, random, still = float(one["mean_return"]), references[env, RANDOM], references[env, STILL]
        scores: dict[str, dict[int, float]] = {}
        for row in of_agent:
            if row is not one:
                by_severity = scores.setdefault(row["corruption"], {})
                by_severity[int(row["severity"])] = score(float(row["mean_return"]), clean, random)
        found.append(Robustness(one["method"], one["task"], int(one["seed"]), clean, random, still, scores))
    return found


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value

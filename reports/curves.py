"""Learning curves from a result file's rows: the runs of each method on each task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

COLUMNS = ("method", "task", "seed", "step", "mean_return")


class Curves(NamedTuple):
    """The runs of one method on one task.

    Attributes:
        steps: Environment steps of the evaluations, increasing, ``(n_evaluations,)``.
        returns: Mean return of each evaluation, float ``(n_runs, n_evaluations)``.
        seeds: Of each run, ``(n_runs,)``.
    """

    steps: np.ndarray
    returns: np.ndarray
    seeds: np.ndarray


def gather_curves(rows: Iterable[Mapping], until: int | None = None) -> dict[str, dict[str, Curves]]:
    """Sort long rows, one for each evaluation, into curves.

    Args:
        rows: With the columns ``method``, ``task``, ``seed``, ``step`` and ``mean_return``, as numbers or as a CSV file's
            text; others are ignored.
        until: Leave out evaluations after this environment step, such as those that not all runs have got to.

    Returns:
        By task, then by method, both in the order of the rows.

    Raises:
        ValueError: If there are no rows, one lacks a column, an evaluation is there twice, or runs of one method on one
            task were not evaluated at the same steps.

    Example:
        >>> rows = [dict(method="anf", task="Ant-v5", seed=s, step=t, mean_return=s + t) for s in (0, 1) for t in (10, 20)]
        >>> gather_curves(rows)["Ant-v5"]["anf"]
        Curves(steps=array([10, 20]), returns=array([[10., 20.], [11., 21.]]), seeds=array([0, 1]))
    """
    runs: dict[tuple[str, str], dict[int, dict[int, float]]] = {}
    for row in rows:
        if missing := [column for column in COLUMNS if column not in row]:
            raise ValueError(f"rows must have the columns {', '.join(COLUMNS)}, and one lacks {', '.join(missing)}.")
        seed, step = int(row["seed"]), int(row["step"])
        if until is not None and step > until:
            continue
        run = runs.setdefault((row["task"], row["method"]), {}).setdefault(seed, {})
        if step in run:
            raise ValueError(f"rows hold step {step} of seed {seed} of {row['method']} on {row['task']} twice.")
        run[step] = float(row["mean_return"])
    if not runs:
        raise ValueError("rows must hold at least one evaluation, and hold none.")
    curves: dict[str, dict[str, Curves]] = {}
    for (task, method), by_seed in runs.items():
        curves.setdefault(task, {})[method] = _aligned(by_seed, f"{method} on {task}")
    return curves


def _aligned(by_seed: dict[int, dict[int, float]], whose: str) -> Curves:
    """The runs of one method on one task, which must have been evaluated at the same steps."""
    seeds = sorted(by_seed)
    steps = sorted(by_seed[seeds[0]])
    for seed in seeds:
        other = sorted(by_seed[seed])
        if other != steps:
            raise ValueError(
                f"runs of {whose} must be evaluated at the same steps, but seed {seeds[0]} was {_grid(steps)} and seed "
                f"{seed} {_grid(other)}; until=... leaves out what not all have got to."
            )
    return Curves(np.array(steps), np.array([[by_seed[seed][step] for step in steps] for seed in seeds]), np.array(seeds))


def _grid(steps: list[int]) -> str:
    return f"{len(steps)} times up to step {steps[-1]}"

"""Whether the search was worth it: the best parameters beside the recipe's own, on seeds that it never saw."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..reports.scores import final_return
from ..training.atomic import atomic_write_text
from ..training.stopping import StopRequest
from .plan import Plan
from .trial import RUNS
from .trial_runs import TrialRuns

COMPARISON = "test.json"


@dataclass(frozen=True)
class Comparison:
    """Final returns on the test seeds.

    Attributes:
        trial: number of the trial whose parameters were best.
        seeds: of the runs.
        best: final return of each run with these parameters.
        own: final return of each run with the recipe's own.
    """

    trial: int
    seeds: list[int]
    best: list[float]
    own: list[float]


def compare(
    plan: Plan,
    trial: int,
    parameters: dict[str, Any],
    seeds: Iterable[int],
    folder: Path,
    *,
    workers: int,
    stop: StopRequest,
) -> Comparison:
    """Train with ``parameters`` and with the recipe's own on ``seeds``, and keep what came of it in ``test.json``.

    Runs that are there already are not repeated.

    Raises:
        Stopped: once a stop is asked for.
        RunFailed: where a run ends without a result.
    """
    seeds = list(seeds)
    configs = [plan.config(chosen, seed) for seed in seeds for chosen in (parameters, {})]
    with TrialRuns(configs, folder / RUNS, workers=workers, stop=stop) as runs:
        finals = [final_return([value for _, value in runs.evaluations(index)]) for index in range(len(configs))]
    comparison = Comparison(trial, seeds, finals[::2], finals[1::2])
    atomic_write_text(folder / COMPARISON, json.dumps(asdict(comparison), indent=2) + "\n")
    return comparison


def last_comparison(folder: Path) -> Comparison | None:
    """The comparison that was made last in ``folder``, if any."""
    path = folder / COMPARISON
    return Comparison(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

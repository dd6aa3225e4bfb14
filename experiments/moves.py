"""What a move of all sensors costs each agent: the table and the figure from the study's record.

    siftrl-sweep experiments/moves.toml --record experiments/results/moves.csv
    python experiments/moves.py

Reads ``experiments/results/moves.csv`` and writes ``moves.md`` and ``moves.png`` beside it.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from siftrl.reports.curves import Curves, gather_curves
from siftrl.reports.figures import curves_figure
from siftrl.reports.scores import final_return, steps_to_level

RESULTS = Path(__file__).parent / "results"
STUDY = tomllib.loads((Path(__file__).parent / "moves.toml").read_text())
PERIODS = {part["env"]: part["permute_every"] for part in STUDY["parts"]}  # environment steps, by task
N_BEFORE = 3  # evaluations
COLOURS = {
    "sift": "tab:green", "sift-anew": "tab:olive", "oracle": "tab:purple", "anf": "tab:blue", "dense": "tab:red",
    "dense-clear": "tab:orange",
}  # fmt: skip


def ordered(path: Path) -> Iterator[dict[str, str]]:
    """The record's rows, task by task and method by method, without what comes after a second move."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for task, method in product(PERIODS, COLOURS):
        for row in rows:
            if (row["env"], row["method"]) == (task, method) and int(row["step"]) <= 2 * PERIODS[task]:
                yield {**row, "task": task}


def moved_at(task: str, steps: np.ndarray) -> int:
    """The first evaluation in the new order, in environment steps."""
    return int(steps[steps > PERIODS[task]][0])


def before_the_move(task: str, curves: Curves) -> np.ndarray:
    """Each run's mean return in the last evaluations in the old order."""
    return curves.returns[:, curves.steps <= PERIODS[task]][:, -N_BEFORE:].mean(axis=1)


def steps_to_regain(task: str, curves: Curves, share: float = 0.9) -> np.ndarray:
    """Environment steps after the move until a run is this far back up from where it began; infinite where it never is."""
    start, moved = curves.returns[:, 0], moved_at(task, curves.steps)
    level = start + share * (before_the_move(task, curves) - start)
    runs = zip(curves.returns[:, curves.steps >= moved], level, strict=True)
    return np.array([steps_to_level(curves.steps[curves.steps >= moved], run, of_run) - moved for run, of_run in runs])


def table(curves: dict[str, dict[str, Curves]]) -> str:
    """The markdown table."""
    lines = [
        "SAC, 90 % exact noise; in the middle of a run all features change their places. *Before*: the mean of the\n"
        "last three evaluations before the move; *end*: the last tenth of the evaluations (mean over seeds, and each\n"
        "seed in brackets), up to a second move, which InvertedPendulum-v5 makes after 38 000 of 40 000 steps.\n"
        "*Regained*: environment steps after the move until the mean of three evaluations is 90 % of the way from the\n"
        "first evaluation to *before*, for each seed; never, if not within the run. The rows of HalfCheetah-v5 are\n"
        "older: agents drew their links as SB3 does, which learns later (docs/decisions.md), and in seed 0 they met\n"
        "the new order after 46 000 steps, 1 000 later than the evaluations, by an error since mended.",
        "",
        "| task | move after | agent | seeds | before | end | regained after |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for task, of_task in curves.items():
        for method, of in of_task.items():
            cells = (
                f"{value.mean():,.0f} ({', '.join(f'{v:,.0f}' for v in value)})"
                for value in (before_the_move(task, of), final_return(of.returns))
            )
            steps = steps_to_regain(task, of)
            regained = ", ".join("never" if np.isinf(number) else f"{number:,.0f}" for number in steps)
            lines.append(
                f"| {task} | {moved_at(task, of.steps):,} | {method} | {len(of.seeds)} | {' | '.join(cells)} | {regained} |"
            )
    commands = (
        "`siftrl-sweep experiments/moves.toml --record experiments/results/moves.csv`, then `python experiments/moves.py`"
    )
    return "\n".join([*lines, "", f"Fewer than five seeds make no claim. Commands: {commands}", ""])


def main() -> None:
    """Write the table and the figure."""
    curves = gather_curves(ordered(RESULTS / "moves.csv"))
    text = table(curves)
    (RESULTS / "moves.md").write_text(text)
    print(text)
    figure = curves_figure(curves, colours=COLOURS)
    for axes, task in zip(figure.axes, curves, strict=True):
        axes.axvline(moved_at(task, next(iter(curves[task].values())).steps), color="0.6", linewidth=0.8)
    figure.savefig(RESULTS / "moves.png", dpi=150)


if __name__ == "__main__":
    main()

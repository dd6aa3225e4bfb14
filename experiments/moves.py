"""What a move of all sensors costs each agent: the table and the figure from the study's record.

    siftrl-sweep experiments/moves.toml --record experiments/results/moves.csv
    python experiments/moves.py

Reads ``experiments/results/moves.csv`` and writes ``moves.md`` and ``moves.png`` beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from siftrl.reports.curves import Curves, gather_curves
from siftrl.reports.figures import curves_figure
from siftrl.reports.scores import final_return, steps_to_level

RESULTS = Path(__file__).parent / "results"
MOVED_AT, UNTIL = 8_000, 15_999  # environment steps: at the last step everything moves again
N_BEFORE = 3  # evaluations
COLOURS = {
    "sift": "tab:green", "sift-anew": "tab:olive", "oracle": "tab:purple", "anf": "tab:blue", "dense": "tab:red",
    "dense-clear": "tab:orange",
}  # fmt: skip


def ordered(path: Path) -> Iterator[dict[str, str]]:
    """The record's rows, method by method."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for method in COLOURS:
        yield from ({**row, "task": row["env"]} for row in rows if row["method"] == method)


def steps_to_regain(curves: Curves, share: float = 0.9) -> np.ndarray:
    """Environment steps after the move until a run is this far back up from where it began; infinite where it never is."""
    before, after = curves.steps < MOVED_AT, curves.steps >= MOVED_AT
    start = curves.returns[:, 0]
    level = start + share * (curves.returns[:, before][:, -N_BEFORE:].mean(axis=1) - start)
    runs = zip(curves.returns[:, after], level, strict=True)
    return np.array([steps_to_level(curves.steps[after], run, of_run) - MOVED_AT for run, of_run in runs])


def table(curves: dict[str, dict[str, Curves]]) -> str:
    """The markdown table."""
    lines = [
        f"SAC, 90 % exact noise; after {MOVED_AT:,} of 16,000 steps all features change their places. *Before*: the mean\n"
        "of the last three evaluations before the move; *end*: the last tenth of the evaluations (mean over seeds, and\n"
        "each seed in brackets). *Regained*: environment steps after the move until the mean of three evaluations is\n"
        "90 % of the way from the first evaluation to *before*, for each seed.",
        "",
        "| task | agent | seeds | before | end | regained after |",
        "|---|---|---:|---:|---:|---|",
    ]
    for task, of_task in curves.items():
        for method, of in of_task.items():
            before = of.returns[:, of.steps < MOVED_AT][:, -N_BEFORE:].mean(axis=1)
            cells = (
                f"{value.mean():,.0f} ({', '.join(f'{v:,.0f}' for v in value)})"
                for value in (before, final_return(of.returns))
            )
            regained = ", ".join("never" if np.isinf(steps) else f"{steps:,.0f}" for steps in steps_to_regain(of))
            lines.append(f"| {task} | {method} | {len(of.seeds)} | {' | '.join(cells)} | {regained} |")
    commands = (
        "`siftrl-sweep experiments/moves.toml --record experiments/results/moves.csv`, then `python experiments/moves.py`"
    )
    return "\n".join([*lines, "", f"Fewer than five seeds make no claim. Commands: {commands}", ""])


def main() -> None:
    """Write the table and the figure."""
    curves = gather_curves(ordered(RESULTS / "moves.csv"), until=UNTIL)
    text = table(curves)
    (RESULTS / "moves.md").write_text(text)
    print(text)
    figure = curves_figure(curves, colours=COLOURS)
    for axes in figure.axes:
        axes.axvline(MOVED_AT, color="0.6", linewidth=0.8)
    figure.savefig(RESULTS / "moves.png", dpi=150)


if __name__ == "__main__":
    main()

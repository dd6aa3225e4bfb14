"""What the noise study has found so far: the table and the figure from its record.

    siftrl-sweep experiments/noise.toml --parts screening-clean,screening,quiet --record experiments/results/noise.csv
    python experiments/noise.py

Reads ``experiments/results/noise.csv`` and writes ``noise.md`` and ``noise.png`` beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from siftrl.reports.curves import gather_curves
from siftrl.reports.figures import curves_figure
from siftrl.reports.tables import comparison_table

RESULTS = Path(__file__).parent / "results"
COLOURS = {
    "clean": "0.45", "sift-clean": "0.7", "oracle": "tab:purple", "sift": "tab:green", "anf": "tab:blue",
    "anf-quiet": "tab:orange", "anf-fresh": "tab:cyan", "dense": "tab:red", "dense-quiet": "tab:pink",
}  # fmt: skip
CLEAN = ("clean", "sift-clean")


def recorded(n_timesteps: int) -> list[dict[str, str]]:
    """The record's rows of runs of one length."""
    with (RESULTS / "noise.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if int(row["n_timesteps"]) == n_timesteps]


def rows(n_timesteps: int) -> Iterator[dict[str, str]]:
    """The record's rows, method by method; those of the clean task stand beside those of each amount of noise."""
    found = recorded(n_timesteps)
    tasks = sorted({(row["env"], row["noise"]) for row in found if row["method"] not in CLEAN})
    for method in COLOURS:
        for env, noise in tasks:
            for row in found:
                if (row["method"], row["env"]) == (method, env) and (method in CLEAN or row["noise"] == noise):
                    yield {**row, "task": f"{env}, {float(noise):.0%} noise"}


def together(n_timesteps: int) -> Iterator[dict[str, str]]:
    """The rows of clean, and of all runs of sift on a task, whatever the noise, as runs of one agent."""
    amounts = ["0.0", "0.9", "0.95", "0.98", "0.99"]
    for row in recorded(n_timesteps):
        task = {"task": f"{row['env']}, any noise"}
        if row["method"] == "clean":
            yield {**row, **task}
        if row["method"] in ("sift", "sift-clean"):
            run = len(amounts) * int(row["seed"]) + amounts.index(row["noise"])
            yield {**row, **task, "method": "sift", "seed": str(run)}


def main() -> None:
    """Write the table and the figure of the screening runs."""
    found = list(rows(40_000))
    text = (
        "SAC, SB3's hyper-parameters, 1 000 random steps, 40 000 steps in all, an evaluation of 5 episodes every 2 000.\n"
        "Noise is exact but for anf-fresh. The final return is the mean of the last tenth of the evaluations.\n\n"
        f"{comparison_table(found, baseline='clean')}\n\n"
        "Once it reads the right features, sift among noise is sift without, to the last bit if it draws the same random\n"
        "numbers (a test trains both). Its runs without noise and among 90 % and 99 % are draws of one distribution, then;\n"
        "those of one seed share their random steps at the start. *Seeds* counts runs here, up to three of each\n"
        "seed, which the interval takes as independent; so few seeds are too few for a claim, which takes 5:\n\n"
        f"{comparison_table(together(40_000), baseline='clean')}\n\n"
        "`python experiments/noise.py` makes table and figure from the rows; `siftrl-sweep experiments/noise.toml\n"
        "--parts screening-clean,screening,quiet --record experiments/results/noise.csv` adds the runs that the rows\n"
        "lack (`--list` shows them).\n"
    )
    (RESULTS / "noise.md").write_text(text)
    print(text)
    curves_figure(gather_curves(found), colours=COLOURS, dashed=CLEAN).savefig(RESULTS / "noise.png", dpi=150)


if __name__ == "__main__":
    main()

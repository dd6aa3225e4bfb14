"""What the noise study has found so far: the table and the figure from its record.

    siftrl-sweep experiments/noise.toml --parts screening-clean,screening --record experiments/results/noise.csv
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


def rows(n_timesteps: int) -> Iterator[dict[str, str]]:
    """The record's rows of runs of one length; those of the clean task stand beside those of each amount of noise."""
    with (RESULTS / "noise.csv").open(newline="") as file:
        found = [row for row in csv.DictReader(file) if int(row["n_timesteps"]) == n_timesteps]
    tasks = sorted({(row["env"], row["noise"]) for row in found if row["method"] not in CLEAN})
    for method in COLOURS:
        for env, noise in tasks:
            for row in found:
                if (row["method"], row["env"]) == (method, env) and (method in CLEAN or row["noise"] == noise):
                    yield {**row, "task": f"{env}, {float(noise):.0%} noise"}


def main() -> None:
    """Write the table and the figure of the screening runs."""
    found = list(rows(40_000))
    text = (
        "SAC, SB3's hyper-parameters, 1 000 random steps, 40 000 steps in all, an evaluation of 5 episodes every 2 000.\n"
        "Noise is exact but for anf-fresh. The final return is the mean of the last tenth of the evaluations.\n\n"
        f"{comparison_table(found, baseline='clean')}\n\n"
        "Commands: `siftrl-sweep experiments/noise.toml --parts screening-clean,screening --record "
        "experiments/results/noise.csv`, then `python experiments/noise.py`\n"
    )
    (RESULTS / "noise.md").write_text(text)
    print(text)
    curves_figure(gather_curves(found), colours=COLOURS, dashed=CLEAN).savefig(RESULTS / "noise.png", dpi=150)


if __name__ == "__main__":
    main()

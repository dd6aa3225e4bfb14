"""Does an agent learn among 90 % noise features, and does it matter whether replayed noise is exact or drawn anew?

Trains ANF and dense SAC on HalfCheetah-v5 with SB3's hyper-parameters, and dense SAC on the clean task as the reference.
A run that is in the result file already is skipped, so the script can be stopped and started again:

    python experiments/exact_or_fresh.py --workers 2

Writes ``experiments/results/exact_or_fresh.csv`` (one row per evaluation), ``exact_or_fresh.md`` and ``exact_or_fresh.png``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from siftrl.experiments.record import RESULTS, complete, read
from siftrl.reports import curves_figure, few_seeds, final_return, gather_curves, mean, stratified_bootstrap

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "logs" / "exact_or_fresh"

ENV = "HalfCheetah-v5"
STEPS, EVAL_FREQ, EVAL_EPISODES = 30_000, 3_000, 5
SEEDS = (0, 1, 2)
COLUMNS = ("recipe", "noise", "replay_noise", "seed", "step", "mean_return", "std_return", "links_real", "links_noise")


class Run(NamedTuple):
    """One training run."""

    recipe: str
    noise: float
    replay_noise: str
    seed: int

    @property
    def method(self) -> tuple[str, float, str]:
        """What the runs of one curve share."""
        return self.recipe, self.noise, self.replay_noise


LAST = 0.3  # of the evaluations, the share that the table averages
TITLE = f"SAC on {ENV} with 153 noise features beside 17 real ones"
METHODS = {
    ("dense", 0.0, "exact"): ("dense, no noise", "0.45"),
    ("anf", 0.9, "fresh"): ("ANF, fresh noise", "tab:blue"),
    ("dense", 0.9, "fresh"): ("dense, fresh noise", "tab:orange"),
    ("anf", 0.9, "exact"): ("ANF, exact noise", "tab:green"),
    ("dense", 0.9, "exact"): ("dense, exact noise", "tab:red"),
}


def rows_by_run() -> dict[Run, list[dict[str, str]]]:
    """Rows of the result file by run."""
    runs: dict[Run, list[dict[str, str]]] = {}
    for row in read(RESULTS / "exact_or_fresh.csv", COLUMNS):
        run = Run(row["recipe"], float(row["noise"]), row["replay_noise"], int(row["seed"]))
        runs.setdefault(run, []).append(row)
    return runs


def train(run: Run) -> Iterator[dict[str, object]]:
    """Train one agent by the command line and give its rows."""
    folder = LOGS / f"{run.recipe}-{run.noise}-{run.replay_noise}-{run.seed}"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped
    options = {
        "--algo": "sac", "--recipe": run.recipe, "--env": ENV, "--noise": run.noise, "--replay-noise": run.replay_noise,
        "-n": STEPS, "--seed": run.seed, "--eval-freq": EVAL_FREQ, "--eval-episodes": EVAL_EPISODES, "--threads": 1,
        "-f": folder,
    }  # fmt: skip
    arguments = [str(part) for option in options.items() for part in option]
    subprocess.run([sys.executable, ROOT / "train.py", *arguments], check=True, stdout=subprocess.DEVNULL)
    report = folder / "report.json"
    subprocess.run(
        [sys.executable, ROOT / "evaluate.py", folder, "--episodes", "1", "--json", report],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    links = json.loads(report.read_text())["links"]["actor"]
    evaluations = np.load(next(folder.rglob("evaluations.npz")))
    for step, returns in zip(evaluations["timesteps"], evaluations["results"], strict=True):
        yield {
            **run._asdict(),
            "step": int(step),
            "mean_return": round(float(returns.mean()), 2),
            "std_return": round(float(returns.std()), 2),
            "links_real": links["real"],
            "links_noise": links["noise"],
        }


def write_summary() -> None:
    """The markdown table: the mean of the last evaluations over seeds, with its interval, and the links."""
    runs = rows_by_run()
    lines = [
        f"{ENV}, 90 % noise where there is any, {STEPS:,} steps, SAC with SB3's hyper-parameters; evaluations of "
        f"{EVAL_EPISODES} episodes every {EVAL_FREQ:,} steps, the last three averaged; mean over seeds with its bootstrap "
        "95 % interval.",
        "",
        "| agent | seeds | return | 95 % interval | per seed | actor's links per real feature | per noise feature |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    n_seeds = []
    for method, (label, _) in METHODS.items():
        of_method = [rows for run, rows in runs.items() if run.method == method]
        if not of_method:
            continue
        n_seeds.append(len(of_method))
        last = np.array([final_return([float(row["mean_return"]) for row in rows], LAST) for rows in of_method])
        low, high, point = stratified_bootstrap(last, mean)
        real, noise = (np.mean([float(rows[-1][key] or "nan") for rows in of_method]) for key in COLUMNS[-2:])
        lines.append(
            f"| {label} | {len(last)} | {point:.0f} | {low:.0f} to {high:.0f} | "
            f"{', '.join(f'{value:.0f}' for value in last)} | {real:.1f} | {'' if np.isnan(noise) else f'{noise:.1f}'} |"
        )
    if warning := few_seeds(min(n_seeds)):
        lines += ["", warning]
    lines += [
        "",
        "That dense SAC without noise is far behind is how loud its first layer starts, not that noise helps",
        "(docs/decisions.md, *How loud the first layer starts*).",
        "",
        "Command: `python experiments/exact_or_fresh.py --workers 2`",
        "",
    ]
    (RESULTS / "exact_or_fresh.md").write_text("\n".join(lines))
    print("\n".join(lines))


def draw() -> None:
    """The figure: each method's interquartile mean over seeds, which of three is the mean, with its interval."""
    rows = [{**row, "method": METHODS[run.method][0], "task": TITLE} for run, rows in rows_by_run().items() for row in rows]
    figure = curves_figure(gather_curves(rows), colours=dict(METHODS.values()), dashed=["dense, no noise"])
    figure.savefig(RESULTS / "exact_or_fresh.png", dpi=150)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, each with one thread (default: 2)")
    parser.add_argument("--only-draw", action="store_true", help="draw the figure and the table from the rows there are")
    arguments = parser.parse_args()
    if not arguments.only_draw:
        runs = (Run(*method, seed) for seed in SEEDS for method in METHODS)
        complete(RESULTS / "exact_or_fresh.csv", COLUMNS, runs, lambda *run: train(Run(*run)), arguments.workers)
    write_summary()
    draw()


if __name__ == "__main__":
    main()

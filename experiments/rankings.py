"""Does an agent know which of its sensors matter? Rankings, checked against the truth and by taking features away.

    python experiments/rankings.py

Trains SAC on Pendulum-v1 with 27 noise features beside its three, 10 000 steps, by ``train.py``; ranks the 30 features in
each way that :func:`siftrl.agents.rankings.rankings` knows, and by what the agent loses without each (permutation
importance); and removes them, least important first and most important first. Adds rows to
``experiments/results/rankings.csv`` agent by agent, goes on with those that are missing when started again, and writes
``rankings.md`` and ``rankings.png``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch as th
from matplotlib.figure import Figure
from siftrl.agents import SAC
from siftrl.agents.importance import permutation_importance, removal_curve
from siftrl.agents.rankings import rankings
from siftrl.envs import make_ene
from siftrl.experiments.record import RESULTS, complete, read
from siftrl.reports.figures import lighten
from siftrl.sparse.ranking import auroc, precision_at
from siftrl.train import main as train
from siftrl.training.agent import saved_agent
from siftrl.training.environments import make_vec_env
from siftrl.training.feature_history import load_features

TASK, NOISE_FRACTION, N_STEPS = "Pendulum-v1", 0.9, 10_000
RECIPES = ("dense", "anf", "rigl", "sift")
SEEDS = range(3)
COUNTS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 24, 26, 27, 28, 29, 30)
EPISODES = 10
SHOWN = ("strength/actor", "strength/critics", "degree/critics", "saliency/actor", "permutation/return")
COLUMNS = ("recipe", "seed", "ranking", "auroc", "precision", "removed", "least_first", "most_first")


def environment():
    return make_ene(TASK, noise_fraction=NOISE_FRACTION)


def observed(model: SAC) -> np.ndarray:
    """What an agent sees in some episodes."""
    env, seen = environment(), []
    for seed in range(EPISODES):
        observation, done = env.reset(seed=1_000 + seed)[0], False
        while not done:
            seen.append(observation)
            observation, _, terminated, truncated, _ = env.step(model.predict(observation, deterministic=True)[0])
            done = terminated or truncated
    return np.array(seen)


def examine(recipe: str, seed: int) -> list[dict[str, object]]:
    """Train an agent, and the rows of its rankings, one for each number of removed features."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "algo": "sac", "recipe": recipe, "env": TASK, "noise": NOISE_FRACTION, "n-timesteps": N_STEPS, "seed": seed,
            "learning-starts": 1_000, "eval-freq": 500, "eval-episodes": 5, "log-folder": folder, "threads": 1, "verbose": 0,
        }  # fmt: skip
        if train([part for name, value in options.items() for part in (f"--{name}", str(value))]):
            raise RuntimeError(f"{recipe}, seed {seed}, was not trained")
        run = next(Path(folder).rglob("model.zip")).parent
        env = make_vec_env({"env_id": TASK, "noise_fraction": NOISE_FRACTION}, seed=0)
        model, links = saved_agent(run / "model.zip", env, "cpu"), load_features(run).links
    observations = observed(model)
    scores = rankings(model, observations, links)
    scores["permutation/return"] = permutation_importance(model, environment, observations, episodes=EPISODES, seed=2_000)
    is_real = np.arange(len(observations[0])) < 3
    rows = []
    for ranking, score in scores.items():
        curves = [
            removal_curve(model, environment, score, COUNTS, observations, most_first=first, episodes=EPISODES, seed=3_000)
            for first in (False, True)
        ]
        figures = (f"{auroc(score, is_real):.3f}", f"{precision_at(3, score, is_real):.3f}")
        for count, least_first, most_first in zip(COUNTS, *curves, strict=True):
            values = (recipe, seed, ranking, *figures, count, f"{least_first:.1f}", f"{most_first:.1f}")
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def curve(rows: list[dict[str, str]], recipe: str, ranking: str, key: str) -> np.ndarray:
    """Return by number of removed features, a row for each seed."""
    of = [row for row in rows if (row["recipe"], row["ranking"]) == (recipe, ranking)]
    seeds = sorted({row["seed"] for row in of})
    return np.array([[float(row[key]) for row in of if row["seed"] == seed] for seed in seeds])


def table(rows: list[dict[str, str]]) -> str:
    """The markdown table, means over seeds."""
    lines = [
        f"SAC, {TASK}, three real features and 27 of exact noise, {N_STEPS:,} steps, means over seeds.\n"
        "*AUROC* and *precision* (among the first three) are against the truth. *Kept* is the mean return over all\n"
        "counts of removed features, least important first, less the same with the most important first: the\n"
        "larger, the better the ranking.",
        "",
        "| agent | seeds | ranking | AUROC | precision | return with all features | kept |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for recipe in RECIPES:
        for ranking in dict.fromkeys(row["ranking"] for row in rows if row["recipe"] == recipe):
            of = [row for row in rows if (row["recipe"], row["ranking"]) == (recipe, ranking)]
            quality = [np.mean([float(row[key]) for row in of]) for key in ("auroc", "precision")]
            least, most = (curve(rows, recipe, ranking, key) for key in ("least_first", "most_first"))
            lines.append(
                f"| {recipe} | {len(least)} | {ranking} | {quality[0]:.2f} | {quality[1]:.2f} | {least[:, 0].mean():,.0f} "
                f"| {(least - most).mean():,.0f} |"
            )
    return "\n".join([*lines, "", "Command: `python experiments/rankings.py`", ""])


def figure(rows: list[dict[str, str]]) -> Figure:
    """Removal curves of each agent: thick where the least important features go first, thin for the most important."""
    recipes = [recipe for recipe in RECIPES if any(row["recipe"] == recipe for row in rows)]
    whole = Figure(figsize=(4 * len(recipes), 3.8), layout="constrained")
    for axes, recipe in zip(whole.subplots(1, len(recipes), sharey=True, squeeze=False)[0], recipes, strict=True):
        for number, ranking in enumerate(SHOWN):
            for key, width in (("least_first", 2.0), ("most_first", 0.9)):
                style = {"color": f"C{number}", "linewidth": width, "linestyle": "-" if width > 1 else "--"}
                label = ranking if width > 1 else None
                axes.plot(COUNTS, curve(rows, recipe, ranking, key).mean(axis=0), label=label, **style)
        axes.axvline(27, color="0.6", linewidth=0.8)
        axes.set_title(recipe, loc="left", fontsize=11)
        axes.set_xlabel("features removed, of 30")
        lighten(axes)
    whole.axes[0].set_ylabel("return")
    handles, labels = whole.axes[0].get_legend_handles_labels()
    title = "solid: least important first; dashed: most important first; the line: 27 noise features"
    whole.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False, fontsize=9, title=title)
    return whole


def main() -> None:
    """Examine the agents that are missing, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-table", action="store_true", help="write the table and the figure from the rows there are")
    th.set_num_threads(1)
    path = RESULTS / "rankings.csv"
    if not parser.parse_args().only_table:
        complete(path, COLUMNS, ((recipe, seed) for seed in SEEDS for recipe in RECIPES), examine)
    rows = read(path, COLUMNS)
    (RESULTS / "rankings.md").write_text(table(rows))
    figure(rows).savefig(RESULTS / "rankings.png", dpi=150)
    print(table(rows))


if __name__ == "__main__":
    main()

"""How many random steps does it take to find a task's features among noise, and what noise is taken for the task?

Nothing is trained: random actions are taken in an extremely noisy environment, and the transitions are examined as an agent
that sifts examines them.

    python experiments/screening.py

Writes ``experiments/results/screening.csv`` (a row for each examination) and ``screening.md``. Rows that are there stay, so
that a run that was stopped goes on; to begin anew, delete the file. The table shows what all seeds have been examined for.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from siftrl.agents.screening import Experience, screen
from siftrl.envs import make_ene
from siftrl.experiments.record import RESULTS, complete, read
from siftrl.training.device import set_threads

TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Pendulum-v1", "Reacher-v5")
N_STEPS = (250, 500, 1_000, 2_500)
NOISE = {
    "normal": {"noise_fraction": 0.99},
    "normal, std 16": {"noise_fraction": 0.99, "noise_std": 16.0},
    "autoregressive": {"noise_fraction": 0.99, "noise_distribution": "autoregressive"},
    "brownian": {"noise_fraction": 0.99, "noise_distribution": "brownian"},
    "shadow": {"noise_fraction": 0.99, "noise_distribution": "shadow"},
    # What is accepted takes part in further rounds: a thousand copies take minutes.
    "copies": {"noise_fraction": 0.9, "noise_distribution": "copies"},
}
CASES = list(itertools.product(TASKS, NOISE))
SEEDS = range(3)
COLUMNS = ("task", "noise", "seed", "steps", "features", "moving", "found", "missed", "false")


def play(task: str, noise: Mapping[str, Any], seed: int, n_steps: int) -> Experience:
    """Transitions of random actions among noise, which is as `make_ene` takes it."""
    env = make_ene(task, **noise)
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    played, episode = [], 0
    for _ in range(n_steps):
        action = env.action_space.sample()
        following, reward, terminated, truncated, _ = env.step(action)
        played.append((observation, following, action, reward, episode))
        episode += terminated or truncated
        observation = env.reset()[0] if terminated or truncated else following
    env.close()
    *values, episodes = zip(*played, strict=True)
    return Experience(*(np.array(part, np.float32) for part in values), episodes=np.array(episodes))


def examine(task: str, kind: str, seed: int) -> Iterator[dict[str, object]]:
    """A row for each number of steps."""
    whole = play(task, NOISE[kind], seed, max(N_STEPS))
    n_features = whole.observations.shape[1]
    n_real = round(n_features * (1 - NOISE[kind]["noise_fraction"]))
    moving = whole.observations[:, :n_real].std(0) > 0
    for n in N_STEPS:
        seen = (part[:n] for part in (whole.observations, whole.next_observations, whole.impulses, whole.rewards))
        accepted = screen(Experience(*seen, episodes=whole.episodes[:n])).accepted
        missed = np.flatnonzero(moving & ~accepted[:n_real])
        yield dict(
            zip(
                COLUMNS,
                (task, kind, seed, n, n_features, int(moving.sum()), int(accepted[:n_real].sum()),
                 " ".join(map(str, missed)), int(accepted[n_real:].sum())),
                strict=True,
            )
        )  # fmt: skip


def summary(rows: list[dict[str, str]]) -> str:
    """The markdown table: medians over seeds, and the most false features in any."""
    lines = [
        "Features of the task found among 99 % noise features (90 % for copies) after random steps, median over\n"
        f"{len(SEEDS)} seeds of those that move at all, and in brackets the false ones, median and most. Those of copies\n"
        "are no mistakes: a noisy copy of a real feature answers to actions as well.",
        "",
        f"| task | noise | {' | '.join(f'{n:,} steps' for n in N_STEPS)} |",
        f"|---|---|{'---:|' * len(N_STEPS)}",
    ]
    for task, kind in CASES:
        cells = []
        for n in N_STEPS:
            of = [row for row in rows if (row["task"], row["noise"], int(row["steps"])) == (task, kind, n)]
            if len(of) < len(SEEDS):
                break
            found, moving, false = ([int(row[key]) for row in of] for key in ("found", "moving", "false"))
            typical = statistics.median
            cells.append(f"{typical(found):g} of {typical(moving):g} ({typical(false):g}, {max(false)})")
        else:
            lines.append(f"| {task} | {kind} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Command: `python experiments/screening.py`", ""])


def main() -> None:
    """Examine, and write the rows and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-table", action="store_true", help="write the table from the rows there are")
    set_threads(1)
    path = RESULTS / "screening.csv"
    if not parser.parse_args().only_table:
        complete(path, COLUMNS, ((*case, seed) for case in CASES for seed in SEEDS), examine)
    text = summary(read(path, COLUMNS))
    (RESULTS / "screening.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

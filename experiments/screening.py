"""How many random steps does it take to find a task's features among noise, and what noise is taken for the task?

Nothing is trained: random actions are taken in the bare task, noise features are set beside its own, and the transitions are
examined as an agent that sifts examines them.

    python experiments/screening.py

Writes ``experiments/results/screening.csv`` (a row for each examination) and ``screening.md``.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
from siftrl.agents.screening import Experience, screen

RESULTS = Path(__file__).parent / "results"
TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Pendulum-v1", "Reacher-v5")
N_STEPS = (250, 500, 1_000, 2_500)
NOISE_FRACTION = 0.99
SEEDS = range(3)
COLUMNS = ("task", "noise", "seed", "steps", "features", "moving", "found", "missed", "false")


def play(task: str, seed: int, n_steps: int) -> Experience:
    """Transitions of random actions in the bare task."""
    env = gym.make(task)
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    played = []
    for _ in range(n_steps):
        action = env.action_space.sample()
        following, reward, terminated, truncated, _ = env.step(action)
        played.append((observation, following, action, reward))
        observation = env.reset()[0] if terminated or truncated else following
    env.close()
    return Experience(*(np.array(part, np.float32) for part in zip(*played, strict=True)))


def independent(rng: np.random.Generator, n_steps: int, n_features: int, task: str) -> np.ndarray:
    """Drawn anew in each step, as in the ANF paper."""
    return rng.standard_normal((n_steps + 1, n_features))


def autoregressive(rng: np.random.Generator, n_steps: int, n_features: int, task: str) -> np.ndarray:
    """AR(1) with a coefficient of 0.95: a memory of twenty steps."""
    noise = independent(rng, n_steps, n_features, task)
    for step in range(n_steps):
        noise[step + 1] = 0.95 * noise[step] + math.sqrt(1 - 0.95**2) * noise[step + 1]
    return noise


def brownian(rng: np.random.Generator, n_steps: int, n_features: int, task: str) -> np.ndarray:
    """Random walks, which never come back to where they were."""
    return np.cumsum(independent(rng, n_steps, n_features, task), axis=0)


def shadow(rng: np.random.Generator, n_steps: int, n_features: int, task: str) -> np.ndarray:
    """The features of copies of the task in which someone else acts."""
    copies, n_found = [], 0
    while n_found < n_features:
        other = play(task, int(rng.integers(1 << 31)), n_steps + 1).observations
        copies.append(other)
        n_found += other.shape[1]
    return np.hstack(copies)[:, :n_features]


NOISE = {noise.__name__: noise for noise in (independent, autoregressive, brownian, shadow)}


def examine(task: str, kind: str, seed: int) -> Iterator[dict[str, object]]:
    """A row for each number of steps."""
    # Copies of a task take as long as the task: for them there is less noise.
    fraction = 0.9 if kind == "shadow" else NOISE_FRACTION
    whole, n_steps = play(task, seed, max(N_STEPS)), max(N_STEPS)
    n_real = whole.observations.shape[1]
    n_noise = math.ceil(round(n_real / (1 - fraction), 6)) - n_real
    noise = NOISE[kind](np.random.default_rng([seed, 1]), n_steps, n_noise, task).astype(np.float32)
    moving = whole.observations.std(0) > 0
    for n in N_STEPS:
        seen = Experience(
            np.hstack([whole.observations[:n], noise[:n]]),
            np.hstack([whole.next_observations[:n], noise[1 : n + 1]]),
            whole.impulses[:n],
            whole.rewards[:n],
        )
        accepted = screen(seen).accepted
        missed = np.flatnonzero(moving & ~accepted[:n_real])
        yield dict(
            zip(
                COLUMNS,
                (task, kind, seed, n, n_real + n_noise, int(moving.sum()), int(accepted[:n_real].sum()),
                 " ".join(map(str, missed)), int(accepted[n_real:].sum())),
                strict=True,
            )
        )  # fmt: skip


def summary(rows: list[dict[str, object]]) -> str:
    """The markdown table: medians over seeds, and the most false features in any."""
    lines = [
        f"Features of the task found among {NOISE_FRACTION:.0%} noise features (90 % for shadow) after random steps,\n"
        f"median over {len(SEEDS)} seeds of those that move at all, and in brackets the false ones, median and most.",
        "",
        f"| task | noise | {' | '.join(f'{n:,} steps' for n in N_STEPS)} |",
        f"|---|---|{'---:|' * len(N_STEPS)}",
    ]
    for task in TASKS:
        for kind in NOISE:
            cells = []
            for n in N_STEPS:
                of = [row for row in rows if (row["task"], row["noise"], int(row["steps"])) == (task, kind, n)]
                found, moving, false = ([int(row[key]) for row in of] for key in ("found", "moving", "false"))
                typical = statistics.median
                cells.append(f"{typical(found):g} of {typical(moving):g} ({typical(false):g}, {max(false)})")
            lines.append(f"| {task} | {kind} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Command: `python experiments/screening.py`", ""])


def main() -> None:
    """Examine, and write the rows and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-table", action="store_true", help="write the table from the rows there are")
    path = RESULTS / "screening.csv"
    if not parser.parse_args().only_table:
        rows = []
        for task in TASKS:
            for kind in NOISE:
                rows += [row for seed in SEEDS for row in examine(task, kind, seed)]
                print(task, kind, [row["found"] for row in rows[-len(N_STEPS) :]], flush=True)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with path.open(newline="") as file:
        text = summary(list(csv.DictReader(file)))
    (RESULTS / "screening.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

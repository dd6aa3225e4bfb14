"""Environment steps per second of SAC's ``learn()``: SiftRL beside stock Stable-Baselines3, taking turns in one process.

    python benchmarks/throughput.py [--quick] [--threads N]

Batch 256, one update a step, two layers of 256 units. "matched" gives the input layer as many links as the clean dense
one has (density 1 - noise), "20 %" is ANF's; "sift" reads the real features alone, once it has found them (what its
examinations take is not in it); without noise, "hidden 20 %" thins out the layers between the hidden units.
SBX, SB3's algorithms in JAX, takes part where it is installed (``pip install sbx-rl``). Prints a table, writes
``benchmarks/results/throughput.json`` and a figure.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3 as sb3
import torch
from measure import parser, write_figure, write_results
from siftrl.agents import SAC
from siftrl.agents.oracle import Oracle
from siftrl.envs import make_ene
from siftrl.sparse.density import Explicit, InputOnly
from siftrl.sparse.recipes import anf
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

TASKS = [("HalfCheetah-v5", 0.0), ("HalfCheetah-v5", 0.9), ("HalfCheetah-v5", 0.99), ("Humanoid-v5", 0.99)]
WARM_UP_STEPS = 300
COLOURS = {
    "SB3 dense": "0.7",
    "SBX dense": "0.45",
    "SiftRL dense": "tab:green",
    "SiftRL hidden 20 %": "tab:purple",
    "SiftRL 20 %": "tab:orange",
    "SiftRL matched": "tab:blue",
    "SiftRL sift": "tab:cyan",
}


def rivals(env_id: str, noise: float) -> dict[str, OffPolicyAlgorithm]:
    """The agents to compare on a task, by name."""
    common = {"learning_starts": WARM_UP_STEPS, "buffer_size": 2_000, "seed": 0, "device": "cpu"}
    agents = {
        "SB3 dense": sb3.SAC("MlpPolicy", make_ene(env_id, noise), **common),
        "SiftRL dense": SAC("SparseMlpPolicy", make_ene(env_id, noise), policy_kwargs={"recipe": "dense"}, **common),
    }
    if noise:
        recipes = {"SiftRL 20 %": InputOnly(0.2), "SiftRL matched": InputOnly(round(1 - noise, 4))}
    else:
        recipes = {"SiftRL hidden 20 %": Explicit({"hidden": 0.2})}
    for name, density in recipes.items():
        kwargs = {"recipe": replace(anf(), density=density)}
        agents[name] = SAC("SparseMlpPolicy", make_ene(env_id, noise), policy_kwargs=kwargs, **common)
    agents["SiftRL sift"] = SAC("SparseMlpPolicy", make_ene(env_id, noise), policy_kwargs={"recipe": "sift"}, **common)
    if importlib.util.find_spec("sbx"):
        import sbx

        agents["SBX dense"] = sbx.SAC("MlpPolicy", make_ene(env_id, noise), **common)
    return agents


def steps_per_second(agents: dict[str, OffPolicyAlgorithm], seconds: float, rounds: int) -> dict[str, np.ndarray]:
    """Let the agents learn in turns.

    Args:
        agents: By name; all of them are warmed up first.
        seconds: How long a turn is to last, roughly.
        rounds: Turns of each.

    Returns:
        Steps per second ``(rounds,)`` by name.
    """
    n_steps = {}
    for name, agent in agents.items():
        found = Oracle() if name == "SiftRL sift" else None
        agent.learn(WARM_UP_STEPS + 3, callback=found)  # compiles the kernels and fills caches
        start = time.perf_counter()
        agent.learn(3, reset_num_timesteps=False)
        n_steps[name] = max(3, round(3 * seconds / (time.perf_counter() - start)))
    speeds: dict[str, list[float]] = {name: [] for name in agents}
    for _ in range(rounds):
        for name, agent in agents.items():
            start = time.perf_counter()
            agent.learn(n_steps[name], reset_num_timesteps=False)
            speeds[name].append(n_steps[name] / (time.perf_counter() - start))
    return {name: np.array(values) for name, values in speeds.items()}


def measure(env_id: str, noise: float, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """The rows of one task; each agent's ratio to SB3 is the median over rounds of the ratio within the round."""
    agents = rivals(env_id, noise)
    speeds = steps_per_second(agents, seconds, rounds)
    rows = []
    for name, values in speeds.items():
        ratios = values / speeds["SB3 dense"]
        rows.append(
            {
                "env": env_id,
                "noise": noise,
                "features": agents[name].observation_space.shape[0],
                "agent": name,
                "steps_per_second": round(float(np.median(values)), 2),
                "range": [round(float(values.min()), 2), round(float(values.max()), 2)],
                "ratio_to_sb3": round(float(np.median(ratios)), 2),
                "ratio_range": [round(float(ratios.min()), 2), round(float(ratios.max()), 2)],
            }
        )
        low, high = rows[-1]["ratio_range"]
        speed, ratio = rows[-1]["steps_per_second"], rows[-1]["ratio_to_sb3"]
        print(
            f"{env_id:<15}{noise:>6}{rows[-1]['features']:>9,}  {name:<16}{speed:>8.1f}/s {ratio:>7.2f}x ({low} to {high})",
            flush=True,
        )
    return rows


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Bars of the ratio to SB3."""

    def plot(axes: Any) -> None:
        tasks = list(dict.fromkeys((row["env"], row["features"]) for row in rows))
        names = list(dict.fromkeys(row["agent"] for row in rows))
        for shift, name in enumerate(names):
            of_agent = {(row["env"], row["features"]): row for row in rows if row["agent"] == name}
            places = [i + 0.13 * (shift - 2.5) for i, task in enumerate(tasks) if task in of_agent]
            heights = [of_agent[task]["ratio_to_sb3"] for task in tasks if task in of_agent]
            bars = axes.bar(places, heights, width=0.12, label=name, color=COLOURS[name])
            axes.bar_label(bars, fmt="%.1f", fontsize=8)
        axes.set_yscale("log")
        axes.set_xticks(range(len(tasks)), [f"{env}\n{features:,} features" for env, features in tasks])
        axes.set_ylabel("speed, times stock SB3")
        axes.legend(frameon=False, fontsize=9)

    write_figure(folder, "throughput", plot)


def main() -> None:
    """Measure, print, write and draw."""
    options = parser(__doc__, "3 short turns instead of 5 long ones")
    options.add_argument("--threads", type=int, help="threads of torch and the kernels (default: torch's)")
    arguments = options.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    seconds, rounds = (2.0, 3) if arguments.quick else (3.0, 5)
    rows = [row for env_id, noise in TASKS for row in measure(env_id, noise, seconds, rounds)]
    write_results(arguments.results, "throughput", rows)
    draw(arguments.results, rows)


if __name__ == "__main__":
    main()

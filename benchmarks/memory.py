"""Peak resident memory of a training process against noise and replay size, SiftRL beside stock Stable-Baselines3.

    python benchmarks/memory.py [--quick]

Each row is a process of its own that fills its replay, does ten updates and reports its peak. What would not fit into this
machine's memory is computed from the arrays' sizes and marked so. Prints a table, writes ``benchmarks/results/memory.json``
and a figure.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
from measure import parser, write_figure, write_results

ENV = "HalfCheetah-v5"
HUMANOID = "Humanoid-v5"


def configurations(quick: bool) -> list[dict[str, Any]]:
    """Rows of the table: task, noise, replay size, agent."""
    noises = [(ENV, 0.0), (ENV, 0.9), (ENV, 0.99), (ENV, 0.995), (HUMANOID, 0.99)]
    sizes = [100_000] if quick else [100_000, 1_000_000]
    return [
        {"env": env, "noise": noise, "buffer_size": size, "agent": agent}
        for size in sizes
        for env, noise in noises
        for agent in ("SB3 dense", "SiftRL matched")
    ]


def run(configuration: dict[str, Any]) -> float:
    """Fill the replay, do ten updates; the peak resident memory in megabytes. Runs in the child process."""
    import stable_baselines3 as sb3
    from siftrl.agents import SAC
    from siftrl.envs import make_ene

    env = make_ene(configuration["env"], configuration["noise"])
    options = {"buffer_size": configuration["buffer_size"], "learning_starts": 290, "seed": 0, "device": "cpu"}
    if configuration["agent"] == "SB3 dense":
        model = sb3.SAC("MlpPolicy", env, **options)
    else:
        density = round(1 - configuration["noise"], 4)
        model = SAC("SparseMlpPolicy", env, policy_kwargs={"recipe": "anf", "input_density": density}, **options)
    for array in vars(model.replay_buffer).values():
        if hasattr(array, "nbytes") and hasattr(array, "fill"):
            array.fill(0)  # memory that was never written to is not resident
    model.learn(300)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def replay_megabytes(configuration: dict[str, Any]) -> float:
    """What SB3's replay takes: two observations of float32 for each transition."""
    from siftrl.envs import make_ene

    features = make_ene(configuration["env"], configuration["noise"]).observation_space.shape[0]
    return 2 * 4 * features * configuration["buffer_size"] / 1e6


def measure(configuration: dict[str, Any]) -> dict[str, Any]:
    """One row, measured in a child process or, where that would not fit, computed."""
    too_large = (
        configuration["agent"] == "SB3 dense"
        and replay_megabytes(configuration) > 0.7 * psutil.virtual_memory().available / 1e6
    )
    if too_large:
        return {**configuration, "megabytes": round(replay_megabytes(configuration)), "measured": False}
    command = [sys.executable, __file__, "--child", json.dumps(configuration)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {**configuration, "megabytes": round(float(output.splitlines()[-1])), "measured": True}


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Peak memory against task and noise, for the largest replay."""

    def plot(axes: Any) -> None:
        size = max(row["buffer_size"] for row in rows)
        rows_of_size = [row for row in rows if row["buffer_size"] == size]
        tasks = list(dict.fromkeys((row["env"], row["noise"]) for row in rows_of_size))
        for shift, (agent, colour) in enumerate((("SB3 dense", "0.7"), ("SiftRL matched", "tab:blue"))):
            gigabytes = [row["megabytes"] / 1e3 for row in rows_of_size if row["agent"] == agent]
            bars = axes.bar(
                [i + 0.4 * shift - 0.2 for i in range(len(tasks))], gigabytes, width=0.38, label=agent, color=colour
            )
            axes.bar_label(bars, fmt="%.1f", fontsize=8)
        axes.set_yscale("log")
        axes.set_xticks(range(len(tasks)), [f"{env}\nnoise {noise:g}" for env, noise in tasks])
        axes.set_ylabel(f"gigabytes, replay of {size:,}")
        axes.legend(frameon=False, fontsize=9)

    write_figure(folder, "memory", plot)


def main() -> None:
    """Measure, print, write and draw."""
    options = parser(__doc__, "replays of 100 000 only")
    options.add_argument("--child", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        print(run(json.loads(arguments.child)))
        return
    rows = []
    print(f"{'task':<16}{'noise':>6}{'replay':>11}  {'agent':<16}{'peak MB':>10}")
    for configuration in configurations(arguments.quick):
        row = measure(configuration)
        rows.append(row)
        mark = "" if row["measured"] else "  (computed: the replay alone)"
        print(
            f"{row['env']:<16}{row['noise']:>6}{row['buffer_size']:>11,}  {row['agent']:<16}{row['megabytes']:>10,}{mark}",
            flush=True,
        )
    write_results(arguments.results, "memory", rows)
    draw(arguments.results, rows)


if __name__ == "__main__":
    main()

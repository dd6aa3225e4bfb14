"""What each kind of noise costs beside normal noise: a batch of it, and an SAC update.

    python benchmarks/noise_kinds.py [--quick]

Prints a table and writes ``benchmarks/results/noise_kinds.json``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from measure import interleaved, parser, write_results
from siftrl.agents import SAC
from siftrl.envs import make_ene
from siftrl.envs.noise_tables import KINDS

ENV = "HalfCheetah-v5"
BATCH = 256
DENSITY = 0.01  # as many input links as a dense layer without noise


def time_kinds(env_id: str, kinds: list[str], repeats: int) -> list[dict[str, Any]]:
    """A row for each kind: medians in milliseconds of one processor, and as multiples of normal noise's."""
    agents, fillings = {}, {}
    for kind in kinds:
        options = {"learning_starts": 10**9, "buffer_size": 1_000, "seed": 0, "device": "cpu"}
        env = make_ene(env_id, 0.99, noise_distribution=kind)
        policy_kwargs = {"recipe": "set", "input_density": DENSITY}
        agents[kind] = SAC("SparseMlpPolicy", env, policy_kwargs=policy_kwargs, **options).learn(600)
        buffer = agents[kind].replay_buffer
        described = buffer.describe(np.arange(BATCH)).observations
        out = np.empty((BATCH, buffer.noise_source.n_noise), np.float32)
        fillings[kind] = lambda b=buffer, d=described, o=out: b.noise_source.fill(d.keys, o, d.real)
    updates = {kind: lambda m=model: m.train(1, BATCH) for kind, model in agents.items()}
    times = {
        name: {kind: float(np.median(turns)) for kind, turns in interleaved(rivals, repeats, time.process_time).items()}
        for name, rivals in (("fill", fillings), ("update", updates))
    }
    rows = []
    for kind in kinds:
        row = {"env": env_id, "noise": kind, "features": agents[kind].observation_space.shape[0]}
        for name, of_each in times.items():
            row[f"{name}_ms"] = round(of_each[kind], 3)
            row[f"{name}_ratio"] = round(of_each[kind] / of_each[kinds[0]], 2)
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__, "31 turns instead of 101").parse_args()
    torch.set_num_threads(1)
    rows = time_kinds(ENV, list(KINDS), 31 if arguments.quick else 101)
    print(f"{'task':<16}{'noise':<16}{'fill ms':>9}{'× normal':>10}{'update ms':>11}{'× normal':>10}")
    for row in rows:
        print(
            f"{row['env']:<16}{row['noise']:<16}{row['fill_ms']:>9.2f}{row['fill_ratio']:>10.2f}"
            f"{row['update_ms']:>11.2f}{row['update_ratio']:>10.2f}"
        )
    write_results(arguments.results, "noise_kinds", rows)


if __name__ == "__main__":
    main()

"""Exported actors: size of the file, and time of one action beside a dense network in torch.

    OMP_NUM_THREADS=1 python benchmarks/export.py [--quick]

Networks are untrained, as only their links matter here: ``sift`` is linked to the task's own features, as trained agents
are when they have found them all. Prints a table, writes ``benchmarks/results/export.json`` and ``export.md``. Needs the
extra ``export``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from measure import command, parser, write_results
from siftrl.agents import SAC
from siftrl.agents.networks import first_layer
from siftrl.envs import make_ene
from siftrl.export.formats import FORMATS
from siftrl.export.latency import dense_rival, latencies
from siftrl.export.write import export_actor
from siftrl.sparse.feature_links import link_features

CASES = (("HalfCheetah-v5", 0.0), ("HalfCheetah-v5", 0.9), ("HalfCheetah-v5", 0.99), ("Humanoid-v5", 0.99))
ACTORS = ("dense", "anf, input 20 %", "sift")
RUNS = {"npz": "numpy runner", "onnx": "ONNX Runtime", "torchscript": "TorchScript", "pt2": "torch.export"}


def model_of(env_id: str, noise: float, name: str) -> SAC:
    """An untrained agent with these links."""
    env = make_ene(env_id, noise)
    policy_kwargs = {"dense": {"recipe": "dense"}, "sift": {"recipe": "sift"}}.get(
        name, {"recipe": "anf", "input_density": 0.2}
    )
    model = SAC("SparseMlpPolicy", env, policy_kwargs=policy_kwargs, buffer_size=1, seed=0, device="cpu")
    if name == "sift" and noise:
        link_features(first_layer(model.actor), env.get_wrapper_attr("relevant_features"))
    return model


def measure(env_id: str, noise: float, name: str, rounds: int) -> dict[str, Any]:
    """A row: what the actor reads, its size in each format, microseconds for an action by each."""
    model = model_of(env_id, noise, name)
    with tempfile.TemporaryDirectory() as folder:
        files = {format: export_actor(model, Path(folder) / f"actor{FORMATS[format].suffix}") for format in FORMATS}
    actor = files["npz"].actor
    rivals = {format: file.act for format, file in files.items()}
    rivals |= {"dense_torch": dense_rival(actor), "sb3_predict": model.predict}
    microseconds = latencies(rivals, actor.n_features, rounds, seconds=30)
    return {
        "env": env_id,
        "noise": noise,
        "actor": name,
        "features": actor.n_features,
        "reads": len(actor.reads),
        "weights": actor.n_weights,
        "difference": max(file.difference for file in files.values()),
        "kilobytes": {format: round(file.nbytes / 1e3, 1) for format, file in files.items()},
        "microseconds": {rival: round(value, 1) for rival, value in microseconds.items()},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    headings = ["task", "actor", "reads", "weights", "npz", "ONNX", *RUNS.values(), "dense in torch", "`predict()`"]
    lines = ["| " + " | ".join(headings) + " |", "|---|---|" + (len(headings) - 2) * "---:|"]
    for row in rows:
        sizes = [f"{row['kilobytes'][format]:,.0f} kB" for format in ("npz", "onnx")]
        times = [f"{value:,.0f}" for value in row["microseconds"].values()]
        task = f"{row['env']}, {row['noise']:.0%} noise"
        reads = f"{row['reads']:,} of {row['features']:,}"
        lines.append("| " + " | ".join([task, row["actor"], reads, f"{row['weights']:,}", *sizes, *times]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__, "20 turns instead of 200").parse_args()
    torch.set_num_threads(1)
    rows = []
    for env_id, noise in CASES:
        for name in ACTORS if noise else ACTORS[:2]:
            rows.append(measure(env_id, noise, name, 20 if arguments.quick else 200))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    write_results(arguments.results, "export", rows)
    text = (
        "# Exported actors\n\nSize of the file, and microseconds of the processor for one action at batch 1, on one thread, "
        "the median of\nturns: by what runs each format, by a dense torch network of the same widths, and by SB3's "
        "`predict()`. Networks are\nuntrained; `sift` is linked to the task's own features. The machine had other work.\n"
        f"`{command()}`, [rows and machine](export.json).\n\n"
    )
    (arguments.results / "export.md").write_text(text + table(rows))


if __name__ == "__main__":
    main()

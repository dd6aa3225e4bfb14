"""Time of one SAC update against the noise fraction, links held constant, and against the input layer's density.

    python benchmarks/scaling.py [--quick]

Also times one rewiring of all networks and one action, for comparison with the update. Prints tables, writes
``benchmarks/results/scaling.json`` and a figure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from measure import interleaved, parser, write_figure, write_results
from siftrl.agents import SAC
from siftrl.envs import make_ene

ENV = "HalfCheetah-v5"
NOISES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
BATCH = 256


def agent(env_id: str, noise: float, density: float) -> SAC:
    """An ANF agent with a small filled replay."""
    options = {"learning_starts": 10**9, "buffer_size": 1_000, "seed": 0, "device": "cpu"}
    policy_kwargs = {"recipe": "anf", "input_density": density}
    model = SAC("SparseMlpPolicy", make_ene(env_id, noise), policy_kwargs=policy_kwargs, **options)
    model.learn(600)
    return model


def time_agents(agents: dict[tuple[str, float, float], SAC], repeats: int) -> list[dict[str, Any]]:
    """A row for each agent: update, rewiring and action in milliseconds, medians of turns."""
    updates = interleaved({key: lambda model=model: model.train(2, BATCH) for key, model in agents.items()}, repeats)
    rows = []
    for (env_id, noise, density), model in agents.items():
        observation = model.env.reset()
        rewire = [lambda e=evolution: e.rewire(0.05) for evolution in model.policy.evolutions.values()]
        rewiring = interleaved({"all": lambda calls=rewire: [call() for call in calls]}, repeats)["all"]
        action = interleaved({"one": lambda m=model, o=observation: m.predict(o)}, repeats)["one"]
        update = updates[env_id, noise, density] / 2
        rows.append(
            {
                "env": env_id,
                "noise": noise,
                "features": model.observation_space.shape[0],
                "input_density": density,
                "update_ms": round(float(np.median(update)), 3),
                "update_range": [round(float(update.min()), 3), round(float(update.max()), 3)],
                "rewiring_ms": round(float(np.median(rewiring)), 3),
                "action_ms": round(float(np.median(action)), 3),
            }
        )
    return rows


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table."""
    print(f"\n{title}\n{'noise':>6}{'features':>10}{'density':>9}{'update ms':>11}{'rewiring ms':>13}{'action ms':>11}")
    for row in rows:
        print(
            f"{row['noise']:>6}{row['features']:>10,}{row['input_density']:>9.2%}{row['update_ms']:>11.2f}"
            f"{row['rewiring_ms']:>13.2f}{row['action_ms']:>11.3f}"
        )


def draw(folder: Path, noise_rows: list[dict[str, Any]]) -> None:
    """Time per update against the number of features."""

    def plot(axes: Any) -> None:
        for env_id in dict.fromkeys(row["env"] for row in noise_rows):
            rows = [row for row in noise_rows if row["env"] == env_id]
            axes.plot([row["features"] for row in rows], [row["update_ms"] for row in rows], "o-", label=env_id)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("features, real and noise (as many links as the clean dense layer)")
        axes.set_ylabel("milliseconds per update")
        axes.legend(frameon=False)

    write_figure(folder, "scaling", plot)


def main() -> None:
    """Measure, print, write and draw."""
    arguments = parser(__doc__, "7 turns instead of 31").parse_args()
    repeats = 7 if arguments.quick else 31
    humanoid_noises = (0.0, 0.9, 0.99)
    matched = [(ENV, noise, round(1 - noise, 4)) for noise in NOISES]
    matched += [("Humanoid-v5", noise, round(1 - noise, 4)) for noise in humanoid_noises]
    noise_rows = time_agents({key: agent(*key) for key in matched}, repeats)
    show("Links held constant", noise_rows)
    density_rows = time_agents({key: agent(*key) for key in [(ENV, 0.99, density) for density in DENSITIES]}, repeats)
    show(f"{ENV} at 99 % noise", density_rows)
    write_results(arguments.results, "scaling", noise_rows + density_rows)
    draw(arguments.results, noise_rows)


if __name__ == "__main__":
    main()

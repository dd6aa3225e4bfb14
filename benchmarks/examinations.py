"""What it costs the agent that sifts to examine its features, once in a thousand environment steps.

    python benchmarks/examinations.py

An examination looks at the last 1 000 transitions and at the last 2 500, here of random actions. The first one knows no
feature, a later one knows the real ones. Milliseconds of CPU time with one thread, medians of five (Humanoid-v5: once).
Prints a table and writes ``benchmarks/results/examinations.json``.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import numpy as np
from measure import cpu_ms, parser, write_results
from siftrl.agents.screening import Experience, screen
from siftrl.experiments.screening import play
from siftrl.training.device import set_threads

PERIOD, WINDOW = 1_000, 2_500
CASES = (("HalfCheetah-v5", 0.0, 5), ("HalfCheetah-v5", 0.9, 5), ("HalfCheetah-v5", 0.99, 5), ("Humanoid-v5", 0.99, 1))


def examine(window: Experience, known: np.ndarray | None) -> None:
    """As the agent does."""
    screen(Experience(*(part[-PERIOD:] for part in window[:4]), episodes=window.episodes[-PERIOD:]))
    screen(window, known)


def measure(task: str, noise: float, turns: int) -> dict[str, Any]:
    """A row of the table."""
    window = play(task, {"noise_fraction": noise}, seed=0, n_steps=WINDOW)
    n_features = window.observations.shape[1]
    is_real = np.arange(n_features) < round(n_features * (1 - noise))
    first, later = (
        statistics.median(cpu_ms(partial(examine, window, known)) for _ in range(turns)) for known in (None, is_real)
    )
    return {"task": task, "noise": noise, "features": n_features, "first_ms": first, "later_ms": later}


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__).parse_args()
    set_threads(1)
    print(f"{'task':<16}{'noise':>6}{'features':>9}{'first':>13}{'later':>13}")
    rows = []
    examine(play("Pendulum-v1", {"noise_fraction": 0.5}, seed=0, n_steps=WINDOW), None)  # whatever is loaded the first time
    for case in CASES:
        rows.append(measure(*case))
        task, fraction, features, first, later = rows[-1].values()
        print(f"{task:<16}{fraction:>6.0%}{features:>9,}{first:>10,.0f} ms{later:>10,.0f} ms", flush=True)
    write_results(arguments.results, "examinations", rows)


if __name__ == "__main__":
    main()

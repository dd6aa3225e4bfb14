"""What it costs the agent that sifts to examine its features, once in a thousand environment steps.

    python benchmarks/examinations.py

An examination looks at the last 1 000 transitions and at the last 2 500, here of random actions on HalfCheetah-v5. The
first one knows no feature, a later one knows the real ones. Milliseconds of CPU time with one thread, medians of five.
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

TASK, N_REAL, PERIOD, WINDOW = "HalfCheetah-v5", 17, 1_000, 2_500
_TURNS = 5


def examine(window: Experience, known: np.ndarray | None) -> None:
    """As the agent does."""
    screen(Experience(*(part[-PERIOD:] for part in window[:4]), episodes=window.episodes[-PERIOD:]))
    screen(window, known)


def measure(noise: float) -> dict[str, Any]:
    """A row of the table."""
    window = play(TASK, {"noise_fraction": noise}, seed=0, n_steps=WINDOW)
    is_real = np.arange(window.observations.shape[1]) < N_REAL
    examine(window, None)  # whatever is loaded or compiled the first time
    first, later = (
        statistics.median(cpu_ms(partial(examine, window, known)) for _ in range(_TURNS)) for known in (None, is_real)
    )
    return {"task": TASK, "noise": noise, "features": len(is_real), "first_ms": first, "later_ms": later}


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__).parse_args()
    set_threads(1)
    print(f"{'task':<16}{'noise':>6}{'features':>9}{'first':>10}{'later':>10}")
    rows = []
    for noise in (0.0, 0.9, 0.99):
        rows.append(measure(noise))
        task, fraction, features, first, later = rows[-1].values()
        print(f"{task:<16}{fraction:>6.0%}{features:>9,}{first:>7,.0f} ms{later:>7,.0f} ms", flush=True)
    write_results(arguments.results, "examinations", rows)


if __name__ == "__main__":
    main()

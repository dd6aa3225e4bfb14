"""Time of one SAC update by the number of threads, on a quiet machine and beside other work.

    python benchmarks/threads.py [--quick]

HalfCheetah-v5 at 90 % noise, ANF. "busy" has a spinning process on each core. OpenMP's threads spin while they wait for each
other; ``GOMP_SPINCOUNT`` says how long (the commands set it, see docs/decisions.md). Every setting is a process of its own.
Prints a table and writes ``benchmarks/results/threads.json``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from measure import parser, write_results

SETTINGS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "all cores, OpenMP's default": {},
    "all cores, GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "all cores, OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}

WORKER = """
import time
from siftrl.agents import SAC
from siftrl.envs import make_ene

options = dict(learning_starts=10**9, buffer_size=1_000, seed=0, device="cpu")
model = SAC("SparseMlpPolicy", make_ene("HalfCheetah-v5", 0.9), policy_kwargs=dict(recipe="anf"), **options)
model.learn(600)
model.train(5, 256)
start, n_updates = time.perf_counter(), 0
while time.perf_counter() - start < {seconds}:
    model.train(2, 256)
    n_updates += 2
print(1e3 * (time.perf_counter() - start) / n_updates)
"""


@contextmanager
def other_work(busy: bool) -> Iterator[None]:
    """Keep every core busy with a process that does nothing else."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() if busy else 0)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def update_ms(variables: dict[str, str], seconds: float) -> float:
    """Milliseconds of an update in a new process with these environment variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-W", "ignore", "-c", WORKER.format(seconds=seconds)]
    result = subprocess.run(command, env=inherited | variables, stdout=subprocess.PIPE, text=True, check=True)
    return float(result.stdout.split()[-1])


def main() -> None:
    """Measure in turns, print and write."""
    arguments = parser(__doc__, "1 short turn instead of 3 long ones").parse_args()
    seconds, rounds = (1.0, 1) if arguments.quick else (4.0, 3)
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for load in ("quiet", "busy"):
            with other_work(load == "busy"):
                for name, variables in SETTINGS.items():
                    times.setdefault((name, load), []).append(update_ms(variables, seconds))
    rows = []
    print(f"{'one update, ms':<36}{'quiet':>9}{'busy':>9}")
    for name in SETTINGS:
        rows.append(
            {"threads": name} | {f"{load}_ms": round(float(np.median(times[name, load])), 1) for load in ("quiet", "busy")}
        )
        print(f"{name:<36}{rows[-1]['quiet_ms']:>9.1f}{rows[-1]['busy_ms']:>9.1f}")
    write_results(arguments.results, "threads", rows)


if __name__ == "__main__":
    main()

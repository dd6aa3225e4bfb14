"""Timing side by side, and results that say what machine they are from."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


def parser(description: str, quick: str | None = None) -> argparse.ArgumentParser:
    """Read a benchmark's options.

    Args:
        description: The benchmark's documentation.
        quick: What ``--quick`` does; a benchmark that does not say so has no such option.

    Returns:
        A parser of ``--results``, the folder for rows and figures, and of ``--quick``.
    """
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where rows and figures go")
    if quick:
        options.add_argument("--quick", action="store_true", help=quick)
    return options


def interleaved(
    rivals: Mapping[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, np.ndarray]:
    """Time each rival once a round, after a round that does not count, so that a disturbance hits all alike.

    Args:
        rivals: What to time, by name.
        repeats: Rounds.
        clock: Gives seconds; ``time.process_time`` those of the processor alone, which other work hardly changes.

    Returns:
        Milliseconds ``(repeats,)`` by name.
    """
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for round_number in range(repeats + 1):
        for name, rival in rivals.items():
            start = clock()
            rival()
            elapsed = clock() - start
            if round_number:
                times[name].append(elapsed * 1e3)
    return {name: np.array(values) for name, values in times.items()}


def cpu_ms(act: Callable[[], Any]) -> float:
    """Milliseconds that the process computes in ``act``, whatever else the machine does."""
    start = time.process_time()
    act()
    return 1e3 * (time.process_time() - start)


def machine() -> dict[str, Any]:
    """Processor, threads and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": len(models),
        "avx512": "avx512f" in flags,
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
    }


def command() -> str:
    """The command that runs, as a reader would type it."""
    threads = os.environ.get("OMP_NUM_THREADS")
    words = ["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]
    return " ".join([f"OMP_NUM_THREADS={threads}"] * bool(threads) + words)


def write_results(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Write a benchmark's rows as ``<name>.json`` in ``folder``, with the command and the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"command": command(), "machine": machine(), "rows": rows}, indent=1) + "\n")
    print(f"written to {path}")


def write_figure(folder: Path, name: str, plot: Callable[[Any], None]) -> None:
    """Write ``<name>.png`` in ``folder``, drawn by ``plot`` on a matplotlib axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    plot(axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    figure.savefig(folder / f"{name}.png", dpi=150)

"""What a study found: one row for each evaluation, and a table for each part."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..reports.tables import comparison_table
from ..training.atomic import atomic_write_text
from ..training.csv_file import write_rows
from ..training.folder import EVALUATIONS
from ..training.progress import is_finished
from ..training.sealed import UNREADABLE
from .study import Study, StudyRun

RESULTS = "results.csv"
SUMMARY = "summary.md"
_ALL = sys.maxsize


def evaluations(folder: Path) -> list[tuple[int, float, float]]:
    """Environment steps, mean return and standard deviation of each evaluation of the run in ``folder`` so far."""
    with contextlib.suppress(*UNREADABLE), np.load(folder / EVALUATIONS) as file:
        pairs = zip(file["timesteps"], file["results"], strict=True)
        return [(int(step), float(np.mean(returns)), float(np.std(returns))) for step, returns in pairs]
    return []


def last_return(folder: Path) -> float | None:
    """Mean return of the last evaluation of the run in ``folder``, if it has one."""
    with contextlib.suppress(*UNREADABLE), np.load(folder / EVALUATIONS) as file:
        return float(np.mean(file["results"][-1]))
    return None


def results_path(parent: Path, scale: float = 1.0, name: str = RESULTS) -> Path:
    """Where the results of a study at this scale stand.

    Example:
        >>> print(results_path(Path("x")).name, results_path(Path("x"), 0.02).name)
        results.csv results-0.02.csv
    """
    return parent / name if scale == 1 else (parent / name).with_stem(f"{Path(name).stem}-{scale}")


def counting_runs(study: Study, scale: float, parent: Path) -> list[StudyRun]:
    """The runs that a study's results are of, whichever of them a call carries out: all parts and methods.

    Of each part's seeds, those that the scale keeps and all that have begun.
    """
    kept = {(run.method, run.config) for run in study.runs(scale)}
    every = study.runs(scale, seeds=_ALL)
    return [run for run in every if (run.method, run.config) in kept or run.folder(parent).exists()]


def write_results(study: Study, runs: Sequence[StudyRun], parent: Path, scale: float = 1.0) -> None:
    """Write ``results.csv`` and ``summary.md`` into the study's folder, each whole or not at all.

    Args:
        study: the study.
        runs: those of its runs that count; one that several parts share has rows in each of them.
        parent: the study's folder, where they have theirs.
        scale: of the runs; a scaled study's results have names of their own, such as ``results-0.02.csv``.

    Raises:
        OSError: where the disk fails.
    """
    finished = {run for run in runs if is_finished(run.folder(parent))}  # asked first: one that ends now is not whole yet
    of_runs = [(run, list(_rows(study, run, parent))) for run in runs]
    columns = ["part", "method", *study.axes, "step", "mean_return", "std_return"]
    write_rows(results_path(parent, scale), columns, [row for _, rows in of_runs for row in rows])
    of_finished = [row for run, rows in of_runs if run in finished for row in rows]
    atomic_write_text(results_path(parent, scale, SUMMARY), _summary(study, of_finished, len(finished), len(runs)))


def _rows(study: Study, run: StudyRun, parent: Path) -> Iterator[dict[str, Any]]:
    played = evaluations(run.folder(parent))
    conditions = {name: getattr(run.config, name) for name in study.axes}
    for part in run.parts:
        for step, mean, std in played:
            yield {
                "part": part, "method": run.method, **conditions, "step": step, "mean_return": mean, "std_return": std,
            }  # fmt: skip


def _summary(study: Study, rows: list[dict[str, Any]], n_finished: int, n_runs: int) -> str:
    lines = [f"# {study.name}", "", f"{n_finished} of {n_runs} runs are finished; the tables are of these."]
    for part in study.parts:
        of_part = [{**row, "task": _task(study, row)} for row in rows if row["part"] == part.name]
        if of_part:
            lines += ["", f"## {part.name}", "", _table(of_part)]
    return "\n".join([*lines, ""])


def _task(study: Study, row: Mapping[str, Any]) -> str:
    """The conditions of a row, by which its part compares methods."""
    others = [f"{name} {row[name]}" for name in study.axes if name not in ("env", "seed") and row[name] is not None]
    return ", ".join([row["env"], *others])


def _table(rows: list[dict[str, Any]]) -> str:
    try:
        return comparison_table(rows)
    except ValueError as error:
        # Methods of different lengths cannot stand in one table; their rows are in the results all the same.
        return f"No table: {error}"

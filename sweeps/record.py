"""A record of finished runs in one file, which stays when their folders are gone: studies grow over days and machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..training.csv_file import read_rows, shared_rows
from ..training.launch import run_hash
from ..training.progress import is_finished
from .results import evaluations
from .study import Study, StudyRun

_FIRST, _LAST = ("run", "method"), ("n_timesteps", "step", "mean_return", "std_return")


class Record:
    """The rows of finished runs: one for each evaluation, with what tells the run from others.

    Several processes may add to the file.

    Columns are ``run`` (see :func:`siftrl.training.launch.run_hash`), ``method``, the study's axes, ``n_timesteps``,
    ``step``, ``mean_return`` and ``std_return``.

    Args:
        path: a CSV file, of this study or not there yet.
        study: whose runs.

    Raises:
        ValueError: where the file is no record of this study.
    """

    def __init__(self, path: str | Path, study: Study) -> None:
        self.path, self._axes = Path(path), study.axes
        self.columns = tuple(dict.fromkeys((*_FIRST, *study.axes, *_LAST)))  # n_timesteps may be an axis
        self._what = f"the record of {study.name}"
        self.rows = read_rows(self.path, self.columns, self._what)

    def lacks(self, runs: Iterable[StudyRun]) -> list[StudyRun]:
        """Those of ``runs`` that have no rows. Methods of different parts may share a run: each has rows of its own."""
        recorded = {(row["run"], row["method"]) for row in self.rows}
        return [run for run in runs if (run_hash(run.config), run.method) not in recorded]

    def add(self, runs: Sequence[StudyRun], parent: Path) -> None:
        """Add the rows of those of ``runs`` that are finished and not in the file; it is written whole or not at all.

        What other processes have added meanwhile stays.

        Args:
            runs: of the study.
            parent: the folder above theirs.

        Raises:
            OSError: where the disk fails.
            ValueError: where the file has become another one.
        """
        with shared_rows(self.path, self.columns, self._what) as self.rows:
            for run in self.lacks(runs):
                if is_finished(run.folder(parent)):
                    self.rows += self._rows_of(run, parent)

    def _rows_of(self, run: StudyRun, parent: Path) -> Iterator[dict[str, str]]:
        conditions = {axis: getattr(run.config, axis) for axis in self._axes}
        row = {"run": run_hash(run.config), "method": run.method, **conditions, "n_timesteps": run.config.n_timesteps}
        for step, mean, std in evaluations(run.folder(parent)):
            row |= {"step": step, "mean_return": round(mean, 3), "std_return": round(std, 3)}
            yield {column: "" if row[column] is None else str(row[column]) for column in self.columns}

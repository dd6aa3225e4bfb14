"""The record of what was measured: a row for each agent and disturbance, in a file that a later call goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..training.csv_file import read_rows, shared_rows
from ..training.disturbance import DISTURBANCES

if TYPE_CHECKING:
    from ..training.evaluation import Episodes

RESULTS = "results.csv"
# Rows that are no disturbances: an agent where all is well, random actions, no action.
CLEAN, RANDOM, STILL = "clean", "random", "still"

_WHAT = "the measurements"
_KEY = ("agent", "env", "corruption", "severity", "features", "episodes", "episode_seed")
COLUMNS = (*_KEY, "method", "task", "seed", "level", "mean_return", "std_return")


class Measurements:
    """Rows in a CSV file, which is written whole or not at all after each one; several processes may add to it.

    Columns are ``agent`` (the fingerprint of its weights and options), ``env``, ``corruption``, ``severity`` (0 for
    ``clean``, ``random`` and ``still``), ``features``, ``episodes`` and ``episode_seed``, which tell rows apart, and
    ``method``, ``task``, ``seed``, ``level`` (in the corruption's own unit), ``mean_return`` and ``std_return``.

    Args:
        path: the file, there or not yet.

    Raises:
        ValueError: for a file that is none of these.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows = read_rows(self.path, COLUMNS, _WHAT)

    def find(self, **key: Any) -> dict[str, str] | None:
        """The row with these values of all columns that tell rows apart, if it is there."""
        wanted = _texts(key)
        return next((row for row in self.rows if all(row[name] == wanted[name] for name in _KEY)), None)

    def add(self, played: Episodes, *, method: str, task: str, seed: int | None, **key: Any) -> dict[str, str]:
        """Add a row for these episodes and write the file; a row that another process has added meanwhile stays.

        Returns:
            The row that is in the file.

        Raises:
            OSError: where the disk fails.
            ValueError: where the file has become another one.
        """
        kind = DISTURBANCES.get(key["corruption"])
        row = {
            **key,
            "method": method,
            "task": task,
            "seed": "" if seed is None else seed,
            "level": "" if kind is None else kind.levels[key["severity"] - 1],
            "mean_return": round(float(np.mean(played.returns)), 4),
            "std_return": round(float(np.std(played.returns)), 4),
        }
        with shared_rows(self.path, COLUMNS, _WHAT) as self.rows:
            found = self.find(**key)
            if found is None:
                found = _texts({column: row[column] for column in COLUMNS})
                self.rows.append(found)
        return found


def _texts(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in row.items()}

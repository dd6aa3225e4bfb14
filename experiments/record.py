"""Records of the experiments: tables of rows that a script completes, and goes on with when it is started again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from siftrl.training.csv_file import read_rows, shared_rows

RESULTS = Path(__file__).parent / "results"


def read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a record; none where there is no file.

    Raises:
        ValueError: For a file that cannot be read, or has other columns.
    """
    return read_rows(path, columns, "the record")


def complete(
    path: Path,
    columns: Sequence[str],
    keys: Iterable[tuple],
    measure: Callable[..., Iterable[Mapping[str, Any]]],
    workers: int = 1,
) -> None:
    """Measure what a record holds no rows of yet; rows are added as soon as they are there, and the last one printed.

    Args:
        path: The record.
        columns: Its columns, those of a key first.
        keys: What to measure, all of one length.
        measure: From a key's values to its rows.
        workers: Measured at once, each in a thread.

    Raises:
        ValueError: As of :func:`read`.
    """
    keys = list(keys)
    n_key = len(keys[0]) if keys else 0
    done = {tuple(row.values())[:n_key] for row in read(path, columns)}
    missing = [key for key in keys if tuple(map(str, key)) not in done]
    # One at a time stays in this thread: the number of threads that torch may use is a thread's own.
    with ThreadPoolExecutor(workers) as pool:
        found = (map if workers == 1 else pool.map)(lambda key: list(measure(*key)), missing)
        for rows in found:
            with shared_rows(path, columns, "the record") as record:
                record += rows
            print(*rows[-1].values(), sep=", ", flush=True)

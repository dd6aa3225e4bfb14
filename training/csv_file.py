"""Tables of text in CSV files that grow: read if they are what they should be, written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .atomic import atomic_write_text
from .file_lock import FileLock


def read_rows(path: Path, columns: Sequence[str], what: str) -> list[dict[str, str]]:
    """The rows of a file; none where there is no file.

    Args:
        path: The file.
        columns: That it must have, all of them in each row.
        what: What it is, for messages.

    Raises:
        ValueError: For a file that cannot be read, or has other columns.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"cannot read {what} {path}: {error}") from error
    if list(reader.fieldnames or ()) != list(columns) or any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{what} {path} must have the columns {','.join(columns)}, and all of them in each row.")
    return rows


@contextlib.contextmanager
def shared_rows(path: Path, columns: Sequence[str], what: str) -> Iterator[list[dict[str, str]]]:
    """The rows of a file that several processes add to, as they are now; none of the others adds any within the block.

    Rows that the block adds to the list are written at its end.

    Args:
        path: As of :func:`read_rows`.
        columns: As there.
        what: As there.

    Raises:
        ValueError: As there.
        OSError: Where the disk fails.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        rows = read_rows(path, columns, what)
        before = len(rows)
        yield rows
        if len(rows) > before:
            write_rows(path, columns, rows)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of these rows.

    Raises:
        OSError: Where the disk fails.
        ValueError: For rows with other columns.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(path, text.getvalue())

"""Journals: files of a run that only ever grow, such as monitor files and TensorBoard events.

A checkpoint remembers how long they were. When the run goes on from it, what was written later is cut off, for it will be
written again.
"""

from __future__ import annotations

import os
from pathlib import Path

MONITORS = "*.monitor.csv"
EVENTS = "events.out.tfevents.*"


def journal_sizes(folder: Path, pattern: str) -> dict[str, int]:
    """Bytes of each journal in ``folder``, by name, once they have all reached the disk."""
    sizes = {}
    for path in sorted(folder.glob(pattern)):
        # Windows brings to the disk only what is open for writing.
        with path.open("r+b") as file:
            os.fsync(file.fileno())
            sizes[path.name] = file.seek(0, os.SEEK_END)
    return sizes


def cut_back(folder: Path, pattern: str, sizes: dict[str, int] | None) -> None:
    """Bring the journals in ``folder`` back to ``sizes``; one that is not among them goes.

    Raises:
        ValueError: where a journal is a link: what it leads to may be any file of the user's. And for sizes that are none.
    """
    if not isinstance(sizes, dict) or not all(type(size) is int and size >= 0 for size in sizes.values()):
        raise ValueError(f"the checkpoint says {sizes!r} of how long the files {pattern} were, not a size of each.")
    journals = list(folder.glob(pattern))
    for path in journals:
        if path.is_symlink():
            raise ValueError(f"cannot go on with {path}: it is a link to another file, which would be written to.")
    for path in journals:
        if path.name not in sizes:
            path.unlink()
        elif path.stat().st_size > sizes[path.name]:
            os.truncate(path, sizes[path.name])

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
        with path.open("rb") as file:
            os.fsync(file.fileno())
            sizes[path.name] = file.seek(0, os.SEEK_END)
    return sizes


def cut_back(folder: Path, pattern: str, sizes: dict[str, int]) -> None:
    """Bring the journals in ``folder`` back to ``sizes``; one that is not among them goes."""
    for path in folder.glob(pattern):
        if path.name not in sizes:
            path.unlink()
        elif path.stat().st_size > sizes[path.name]:
            os.truncate(path, sizes[path.name])

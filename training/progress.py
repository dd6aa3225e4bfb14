"""How far a run has come, as its folder tells; quick to ask, whoever trains it and wherever. Loads no torch."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from pathlib import Path

from .snapshot import read_snapshot

PROGRESS = "progress.json"
_STEM = "checkpoint_"
_UNREADABLE = (OSError, ValueError, KeyError, zipfile.BadZipFile)


def checkpoint_path(folder: Path, num_timesteps: int) -> Path:
    """Where the checkpoint after so many environment steps stands."""
    return folder / f"{_STEM}{num_timesteps}.zip"


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, the one of most steps first; whether they are intact is another question."""
    found = [path for path in folder.glob(f"{_STEM}*.zip") if path.stem.removeprefix(_STEM).isdigit()]
    return sorted(found, key=checkpoint_steps, reverse=True)


def checkpoint_steps(path: Path) -> int:
    """Environment steps behind the checkpoint at ``path``, as its name says."""
    return int(path.stem.removeprefix(_STEM))


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` went to its end: its newest checkpoint says so.

    Neither weights nor replay are read; a folder that is not there, or whose newest checkpoint is cut, is not finished.

    Example:
        >>> is_finished(Path("nowhere"))
        False
    """
    newest = checkpoints(folder)[:1]
    with contextlib.suppress(*_UNREADABLE):
        for path in newest:
            with zipfile.ZipFile(path) as archive:
                return bool(read_snapshot(archive)["finished"])
    return False


def write_steps(folder: Path, steps: int) -> None:
    """Note in ``folder`` that ``steps`` environment steps are done; readers see the old count or the new one.

    Nothing waits for the disk, for the note is worth nothing after a power cut.
    """
    part = folder / f".{PROGRESS}.tmp"
    part.write_text(json.dumps({"steps": steps}))
    os.replace(part, folder / PROGRESS)


def steps_done(folder: Path) -> int:
    """Environment steps done by the run in ``folder``: as noted last, else those of its newest checkpoint, else 0.

    Example:
        >>> steps_done(Path("nowhere"))
        0
    """
    with contextlib.suppress(*_UNREADABLE):
        return int(json.loads((folder / PROGRESS).read_text(encoding="utf-8"))["steps"])
    return checkpoint_steps(newest[0]) if (newest := checkpoints(folder)) else 0

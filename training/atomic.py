"""Atomic writes: a file is there whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_OF_A_RUN = ("config.json", "command.txt", "model.zip", "best_model.zip", "evaluations.npz", "features.npz", "0.monitor.csv")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing in binary that takes the name ``path`` only when the block ends without an exception.

    The bytes go to a temporary file in the same folder, reach the disk, and are renamed; readers see the old file or
    the new one. The folder is synchronised too, so that the rename itself survives a power cut.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(path) as file:
        ...     _ = file.write(b"whole")
        >>> path.read_bytes()
        b'whole'
    """
    path = Path(path)
    name = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a result is as readable as any other file of its user.
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        if name is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        if isinstance(error, OSError):
            _name(error, path)
        raise
    _sync_folder(path.parent)


def atomic_write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path``, atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_writable(path: str | os.PathLike) -> None:
    """Check that a file can be written, before there is anything to write.

    Raises:
        ValueError: where it is a folder or a run's own file, or its folder is missing or read-only.
    """
    path = Path(path)
    if path.is_file() and (path.name in _OF_A_RUN or path.name.startswith("checkpoint_")):
        raise ValueError(f"cannot write to {path}: it is one of a run's own files.")
    if path.is_dir():
        raise ValueError(f"cannot write to {path}: it is a folder.")
    if not path.parent.is_dir():
        raise ValueError(f"cannot write to {path}: there is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"cannot write to {path}: its folder is read-only.")


def make_folder(path: str | os.PathLike) -> Path:
    """Make the folder, and those above it, where they are not there yet.

    Raises:
        ValueError: where that cannot be, as a file has the name.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write to the folder {path}: {error.strerror}.") from error
    return path


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writes that a kill broke off; to be called where nobody else writes to ``folder``."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def _name(error: OSError, path: Path) -> None:
    """Let a failure name the file that is to be written, instead of the temporary one or, as a full disk does, none."""
    named = error.filename
    if named is None or (isinstance(named, str) and Path(named).name.startswith(f".{path.name}.")):
        error.filename = str(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders; there the rename alone has to do.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

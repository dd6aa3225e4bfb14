"""Locks on files that the system gives back when a process ends, however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class FileLock:
    """Held by one object at a time, of all processes; the file itself stays empty.

    On a network file system it works where ``flock`` does; on Windows it locks nothing.

    Args:
        path: the file, created where it is missing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lock"
        >>> with FileLock(path):
        ...     FileLock(path).try_acquire()
        False
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait until nobody else has it, and take it; ``True``."""
        return self._acquire(wait=True)

    def try_acquire(self) -> bool:
        """Take it if nobody else has it; whether that was so."""
        return self._acquire(wait=False)

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _acquire(self, wait: bool) -> bool:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if os.name != "nt":
            import fcntl

            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        return True

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.release()

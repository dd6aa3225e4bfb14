"""What every command does when something goes wrong: one line about it, and an exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

WRONG_INPUT = 2
_FAILED = 1


def carry_out(prog: str, work: Callable[[], int | None], *, kept: str = "") -> int:
    """Do the work of a command, and turn what it raises into a line on standard error.

    Args:
        prog: What the user has called.
        work: Gives the exit status, or None for 0.
        kept: A sentence on what is left of the work where the machine fails or the user stops it.

    Returns:
        What ``work`` gives; 2 for wrong input (``ValueError``), 1 where the disk or the memory failed, 130 after Ctrl-C.

    Example:
        >>> carry_out("siftrl-nothing", lambda: None)
        0
    """
    try:
        return work() or 0
    except ValueError as error:
        return _say(prog, f"error: {error}", WRONG_INPUT)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return _say(prog, f"error: {what}. {kept}", _FAILED)
    except MemoryError as error:
        return _say(prog, f"error: {': '.join(filter(None, ['memory ran out', str(error)]))}. {kept}", _FAILED)
    except KeyboardInterrupt:
        return _say(prog, f"stopped. {kept}", 128 + signal.SIGINT)


def what_failed(error: Exception, folder: Path | None = None) -> str:
    """What to say of an error that ended a run: of the disk, with the run's folder if it has one, of the memory, or its own.

    Example:
        >>> what_failed(OSError("no space"), Path("logs/x")), what_failed(MemoryError("of 3 GB"))
        ('cannot write to logs/x: no space', 'memory ran out: of 3 GB')
    """
    if isinstance(error, MemoryError):
        return f"memory ran out: {error}"
    return f"cannot write to {folder}: {error}" if isinstance(error, OSError) and folder is not None else str(error)


def _say(prog: str, what: str, status: int) -> int:
    print(f"{prog}: {what.strip()}", file=sys.stderr)
    return status

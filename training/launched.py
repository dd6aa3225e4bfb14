"""The program of a launched run: ``python -m siftrl.training.launched FOLDER``, as ``RunProcess`` starts it.

Its standard input gives the run's options, and ends when the process that started it ends. Then the run saves and stops, as
it does at SIGTERM: nothing goes on that nobody waits for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .command import what_failed
from .config import RunConfig
from .device import spin_briefly
from .divergence import Diverged
from .folder import BEST_MODEL, COMMAND, CONFIG, EVALUATIONS, FEATURES, MODEL, FolderLock, events_folder
from .journals import EVENTS, MONITORS
from .launch import DIVERGED, FAILED, REFUSED, experiment
from .options import spelling
from .progress import PROGRESS, checkpoints, is_finished, write_steps
from .resume import ForeignStateError

if TYPE_CHECKING:
    from .run import Run

_PATIENCE = 300.0  # seconds that a run which was told to stop may take to save
_PERIOD = 0.5  # seconds between two notes of how far the run has come


def main(folder: Path) -> int:
    """Carry out the run of ``folder``, from its start or from where it was stopped.

    Args:
        folder: the run's, which exists.

    Returns:
        What :meth:`siftrl.training.launch.RunProcess.poll` says.
    """
    config = RunConfig.from_json(sys.stdin.readline())
    attended = _Attended()
    spin_briefly()
    try:
        lock = _locked(folder)
        if is_finished(folder):
            return 0
        run = attended.run = _prepared(config, lock)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except (OSError, MemoryError) as error:
        return _failed(folder, error)
    try:
        with _noting_steps(run):
            outcome = run.carry_out()
    except ForeignStateError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except (OSError, MemoryError, Diverged) as error:
        return _failed(folder, error)
    except KeyboardInterrupt:
        print("stopped at once, nothing more was saved. What was saved before is whole.", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0 if outcome.stopped_by is None else 128 + outcome.stopped_by


def _failed(folder: Path, error: Exception) -> int:
    print(f"error: {what_failed(error, folder)}. What was saved before is whole.", file=sys.stderr)
    return DIVERGED if isinstance(error, Diverged) else FAILED


class _Attended:
    """Stops the run of this process once the process that started it is gone.

    Attributes:
        run: what is to be stopped; ``None`` before it exists, and then the process ends at once.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        # Returns when the other end of the pipe is closed. Unlike Linux's signal at a parent's death, which comes when the
        # thread ends that started this process, that means the whole process.
        sys.stdin.read()
        # A second signal would break off the saving that the first one has brought about.
        if self.run is None or self.run.stop.signal is None:
            os.kill(os.getpid(), signal.SIGTERM)


def _locked(folder: Path) -> FolderLock:
    """The lock on ``folder``, once a run that is being stopped there has saved."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return FolderLock(folder)
        except ValueError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _prepared(config: RunConfig, lock: FolderLock) -> Run:
    from .run import prepare, resume

    if checkpoints(lock.folder):
        # Compared with what the run was started with; a number of steps would mean further ones.
        given = {name: value for name, value in experiment(config).items() if name != "n_timesteps"}
        given |= {"device": config.device, "threads": config.threads}
        return resume(given, command=shlex.join(["siftrl-train", "-i", str(lock.folder)]), lock=lock)
    _remove_what_was_killed(lock.folder, config)
    return prepare(config, command=_command(config), lock=lock)


def _remove_what_was_killed(folder: Path, config: RunConfig) -> None:
    # Only a run that found no events where it writes its own came to describe itself.
    if (folder / CONFIG).exists():
        for path in events_folder(config, folder).glob(EVENTS):
            path.unlink()
    for pattern in (CONFIG, COMMAND, MODEL, BEST_MODEL, EVALUATIONS, FEATURES, PROGRESS, MONITORS, EVENTS, ".*.tmp"):
        for path in folder.glob(pattern):
            path.unlink()


def _command(config: RunConfig) -> str:
    """The command that does the same by hand."""
    words = ["siftrl-train"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            words += [f"--{spelling(field.name)}", *([] if value is True else [str(value)])]
    return shlex.join(words)


@contextlib.contextmanager
def _noting_steps(run: Run) -> Iterator[None]:
    """Notes how far the run has come, now and then and at the end."""
    over = threading.Event()
    notes = threading.Thread(target=_note_steps, args=(run, over), daemon=True)
    notes.start()
    try:
        yield
    finally:
        over.set()
        notes.join()


def _note_steps(run: Run, over: threading.Event) -> None:
    last = False
    while not last:
        last = over.wait(_PERIOD)
        # A run goes on where no note can be written: its next checkpoint will say what is wrong with the disk.
        with contextlib.suppress(OSError):
            write_steps(run.folder, run.agent.num_timesteps)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

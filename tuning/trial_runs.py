"""The runs of a trial: processes of their own, some at a time, whose evaluations come as they are made."""

from __future__ import annotations

import contextlib
import math
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from ..training.config import RunConfig
from ..training.folder import EVALUATIONS
from ..training.launch import DIVERGED, FAILED, REFUSED, RunProcess, hashed_folder
from ..training.progress import checkpoints, is_finished
from ..training.stopping import Stopped, StopRequest

_POLL_SECONDS = 0.2
_STARTS = 3  # of a run that something kills
_FOR_GOOD = (REFUSED, DIVERGED)  # ends of a run that would end so again


class RunFailed(Exception):  # noqa: N818 - what happened, as Stopped
    """A run ended without a result; the message says why."""


class MachineFailed(RunFailed):
    """The disk or the memory failed a run, which says nothing of its parameters."""


class TrialRuns:
    """The runs of a trial, or of a test: at most ``workers`` at a time, in their order.

    A run that stands there twice is carried out once. One that was stopped or killed goes on from its checkpoint. When the
    block ends, runs that have not finished are stopped: they save, or, where nobody will go on with them, are killed.

    Args:
        configs: the options of each.
        parent: of their folders.
        workers: how many at a time.
        stop: once this asks to stop, :class:`Stopped` is raised.
    """

    def __init__(self, configs: Sequence[RunConfig], parent: Path, *, workers: int, stop: StopRequest) -> None:
        self.configs, self.workers, self.stop = configs, workers, stop
        self.folders = [hashed_folder(config, parent) for config in configs]
        self._processes: dict[int, RunProcess] = {}
        self._starts = [0] * len(configs)
        self._finished: set[int] = set()

    def evaluations(self, index: int) -> Iterator[tuple[int, float]]:
        """The evaluations of run ``index``, the first one first: environment steps, and mean return.

        Raises:
            Stopped: once a stop is asked for.
            RunFailed: where the run ends without a result, or its return is no number.
            MachineFailed: where the disk or the memory has failed it.
        """
        seen = 0
        while True:
            self._start_what_can(index)
            # Asked before the evaluations are read: those of a finished run are complete then.
            finished = self._is_finished(index)
            for steps, value in read_evaluations(self.folders[index])[seen:]:
                if not math.isfinite(value):
                    raise RunFailed(f"the return of {self.folders[index]} is {value}")
                seen += 1
                yield steps, value
            if finished:
                return
            if self.stop.signal is not None:
                raise Stopped
            time.sleep(_POLL_SECONDS)

    def _start_what_can(self, judged: int) -> None:
        # Failures wait for their turn, so that results do not depend on how many run side by side.
        others = {index: process for index, process in self._processes.items() if index != judged}
        for index in [index for index, process in others.items() if process.poll() == 0]:
            del self._processes[index]
            self._finished.add(index)
        for index, config in enumerate(self.configs):
            if len(self._processes) >= self.workers:
                return
            if index in self._processes or self._is_finished(index):
                continue
            # Where the recipe's own values are best, a test compares them with themselves: each run stands there twice.
            if self.folders[index] in [self.folders[other] for other in self._processes]:
                continue
            self._starts[index] += 1
            self._processes[index] = RunProcess(config, self.folders[index], threads=config.threads or 1)

    def _is_finished(self, index: int) -> bool:
        if index in self._finished:
            return True
        process = self._processes.get(index)
        code = None
        if process is None:
            # Before its first start: an earlier call may have brought it to its end.
            code = 0 if not self._starts[index] and is_finished(self.folders[index]) else None
        else:
            code = process.poll()
        if code is None:
            return False
        self._processes.pop(index, None)
        if code == 0:
            self._finished.add(index)
            return True
        if code in (FAILED, *_FOR_GOOD) or self._starts[index] >= _STARTS:
            said = process.output(1) or f"it ended with {code} and said nothing"
            raise (MachineFailed if code == FAILED else RunFailed)(f"{said} ({self.folders[index]})")
        return False

    def abandon(self) -> None:
        """Kill what still runs, and remove all checkpoints: nobody will go on with these runs."""
        for process in self._processes.values():
            process.kill()
        self._wait()
        self.forget_checkpoints()

    def forget_checkpoints(self) -> None:
        """Remove the checkpoints, which hold whole replays; models and evaluations stay."""
        for folder in self.folders:
            for path in checkpoints(folder):
                path.unlink()

    def _wait(self) -> None:
        for process in self._processes.values():
            process.wait()
        self._processes.clear()

    def __enter__(self) -> TrialRuns:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for process in self._processes.values():
            process.terminate()
        self._wait()


def read_evaluations(folder: Path) -> list[tuple[int, float]]:
    """Environment steps and mean return of each evaluation so far of the run in ``folder``."""
    with contextlib.suppress(FileNotFoundError, zipfile.BadZipFile), np.load(folder / EVALUATIONS) as saved:
        return list(zip(saved["timesteps"].tolist(), saved["results"].mean(1).tolist(), strict=True))
    return []

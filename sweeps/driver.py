"""The driver of a sweep: starts runs while there is room, goes on with those that failed, lets all save when it stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..training.launch import DIVERGED, REFUSED, last_output
from ..training.progress import is_finished, steps_done
from .study import StudyRun

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
_FOR_GOOD = (REFUSED, DIVERGED)  # ends of a run that would end so again
_PERIOD = 0.5  # seconds between two looks at the runs


class Started(Protocol):
    """A run that was started: see :class:`.cluster.RemoteRun`."""

    reason: str

    def poll(self) -> int | None:
        """``None`` while it goes on, then its exit code."""

    def terminate(self) -> None:
        """Ask it to save and stop."""


@dataclass
class Job:
    """A run, and what has become of it.

    Args:
        run: the run.
        folder: where it writes.
        state: ``WAITING``, ``RUNNING``, ``DONE`` or ``FAILED``.
        failures: how often it has failed.
        steps: environment steps done.
        rate: environment steps a second, since it was started last; 0 where it does not run.
        reason: why it failed last.
    """

    run: StudyRun
    folder: Path
    state: str = WAITING
    failures: int = 0
    steps: int = 0
    rate: float = 0.0
    reason: str = ""
    started: Started | None = field(default=None, repr=False)
    _since: tuple[float, int] = (0.0, 0)

    def measure(self) -> None:
        """Bring ``steps`` and ``rate`` up to date."""
        now, steps = time.monotonic(), steps_done(self.folder)
        # A run that goes on from a checkpoint has fewer steps than it had when it was killed.
        if self._since[1] == 0 or steps < self.steps:
            self._since = now, steps
        self.steps = steps
        seconds = now - self._since[0]
        self.rate = (steps - self._since[1]) / seconds if self.state == RUNNING and seconds > 0 else 0.0


class Sweep:
    """A list of runs, carried out.

    Args:
        runs: which; those in one folder are the same run.
        parent: the folder above theirs.
        start: starts a run in a folder.
        slots: how many can go on side by side.
        retries: how often a run that failed is gone on with.

    Attributes:
        jobs: one for each run, in their order.
    """

    def __init__(
        self,
        runs: Iterable[StudyRun],
        parent: Path,
        *,
        start: Callable[[Any, Path], Started],
        slots: Callable[[], int],
        retries: int = 2,
    ) -> None:
        by_folder: dict[Path, StudyRun] = {}
        for run in runs:
            by_folder.setdefault(run.folder(parent), run)
        self.jobs = [Job(run, folder) for folder, run in by_folder.items()]
        self._start, self._slots, self._retries = start, slots, retries
        for job in self.jobs:
            job.measure()
            if is_finished(job.folder):
                job.state = DONE

    def of(self, state: str) -> list[Job]:
        """The runs in one state."""
        return [job for job in self.jobs if job.state == state]

    def carry_out(self, is_stopping: Callable[[], bool], watch: Callable[[Sweep], None]) -> None:
        """Run all to their end, or until ``is_stopping``; then those that go on save and stop.

        Args:
            is_stopping: asked twice a second.
            watch: called twice a second.
        """
        stopping = False
        while self.of(RUNNING) or (self.of(WAITING) and not stopping):
            if is_stopping() and not stopping:
                stopping = True
                for job in self.of(RUNNING):
                    job.started.terminate()
            if not stopping:
                self._fill()
            time.sleep(_PERIOD)
            for job in self.of(RUNNING):
                self._look_at(job, stopping)
            watch(self)

    def _fill(self) -> None:
        room = self._slots() - len(self.of(RUNNING))
        for job in self.of(WAITING)[: max(0, room)]:
            job.started, job.state, job._since = self._start(job.run.config, job.folder), RUNNING, (0.0, 0)

    def _look_at(self, job: Job, stopping: bool) -> None:
        code = job.started.poll()
        job.measure()
        if code is None:
            return
        if code == 0:
            job.state = DONE
        elif stopping:
            job.state = WAITING
        else:
            job.failures += 1
            job.reason = job.started.reason or last_output(job.folder) or f"it ended with code {code} and printed nothing"
            again = code not in _FOR_GOOD and job.failures <= self._retries
            job.state = WAITING if again else FAILED
        job.started, job.rate = None, 0.0

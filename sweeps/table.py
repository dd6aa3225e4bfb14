"""The live table of a sweep: how far each run has come, and how long the rest will take."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .driver import DONE, FAILED, RUNNING, WAITING, Sweep
from .results import last_return

_LINE_PERIOD = 60.0  # seconds between two plain lines, where no terminal is there to draw on


def seconds_left(sweep: Sweep) -> float:
    """How long the rest of all runs will take at the speed of those that run; infinite where none has a speed yet."""
    left = sum(job.run.config.n_timesteps - job.steps for job in sweep.jobs if job.state in (RUNNING, WAITING))
    rate = sum(job.rate for job in sweep.jobs)
    return left / rate if rate > 0 else math.inf


def summary_line(sweep: Sweep) -> str:
    """The sweep in one line."""
    counts = ", ".join(f"{len(sweep.of(state))} {state}" for state in (DONE, RUNNING, FAILED, WAITING))
    left = seconds_left(sweep)
    return f"{counts}; time left: {'unknown' if math.isinf(left) else timedelta(seconds=round(left))}"


class LiveTable:
    """Shows a sweep while it goes on: a table on a terminal, else a line every minute.

    Args:
        console: where to; ``None`` is the standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self._last_line = -math.inf

    def __enter__(self) -> LiveTable:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)

    def show(self, sweep: Sweep) -> None:
        """Bring what is shown up to date."""
        if self._live is not None:
            self._live.update(Group(self._table(sweep), Text(summary_line(sweep))), refresh=True)
        elif time.monotonic() - self._last_line >= _LINE_PERIOD:
            self._last_line = time.monotonic()
            self.console.print(summary_line(sweep))

    def say(self, sentence: str) -> None:
        """Print a sentence, above the table."""
        self.console.print(sentence, markup=False)

    def _table(self, sweep: Sweep) -> Table:
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("running")
        for heading in ("steps", "of", "steps/s", "last return"):
            table.add_column(heading, justify="right")
        for cells in self._cells(sweep):
            table.add_row(*cells)
        return table

    def _cells(self, sweep: Sweep) -> Iterator[tuple[str, ...]]:
        for job in sweep.of(RUNNING):
            last = last_return(job.folder)
            counts = f"{job.steps:,}", f"{job.run.config.n_timesteps:,}", f"{job.rate:,.0f}"
            yield escape(job.run.label), *counts, "" if last is None else f"{last:,.1f}"

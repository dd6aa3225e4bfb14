"""The command ``siftrl-sweep``: carry out a study, on this machine or on a Ray cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..training.atomic import make_folder
from ..training.command import carry_out
from ..training.folder import FolderLock
from ..training.options import AT_LEAST_ONE, NOT_EMPTY, NOT_NEGATIVE, OptionParser, Rule, check_options, option
from ..training.progress import is_finished
from .study import Study, StudyRun

if TYPE_CHECKING:
    from .driver import Sweep
    from .record import Record

_PROG = "siftrl-sweep"

_DESCRIPTION = """\
Carry out a study: methods, conditions and seeds, from one file (docs/sweeps.md). Each run is a process of its own, in a
folder that its options name. Runs that are finished are skipped, those that were stopped or killed go on: the same command
again does what is left. A run that fails is gone on with; if it fails again and again, the others go on all the same.
"""

_EPILOG = """\
examples:
  siftrl-sweep experiments/example.toml
  # what there is to do, and what is done
  siftrl-sweep experiments/example.toml --list
  # a larger one, in a fiftieth of its steps and with the first seed alone
  siftrl-sweep study.toml --scale 0.02
  # results that grow from day to day in one file
  siftrl-sweep study.toml --record results.csv
  # on a Ray cluster whose machines see the same files, from one of them; each run with two CPUs
  siftrl-sweep study.toml --address auto --threads-per-run 2

--scale X multiplies n-timesteps, permute-every, buffer-size, save-freq and the random steps at the start (a preset's
25 000, too, but not SB3's 100). eval-freq shrinks as far as it must for ten evaluations, and X of each part's seeds,
rounded up, are kept. Scaled runs have folders of their own.

A study writes to <folder>/<name>/: the runs, results.csv (a row for each evaluation) and summary.md, both every few minutes
and of all its runs, whichever of them a call carries out; results-X.csv and summary-X.md with --scale X.
"""

_WHAT, _WHERE = "what", "where and how"
_RESULTS_PERIOD = 180.0  # seconds between two writings of the results


@dataclass(frozen=True)
class Options:
    """The options of a sweep; each is a flag of ``siftrl-sweep``."""

    scale: float = option(
        1.0, "shrink all runs to this share", rule=Rule("above 0 and at most 1", lambda x: 0 < x <= 1), group=_WHAT
    )
    seeds: int | None = option(None, "the first N seeds of each part, whatever the scale", rule=AT_LEAST_ONE, group=_WHAT)
    parts: str | None = option(None, "these parts alone", rule=NOT_EMPTY, group=_WHAT, metavar="A,B")
    methods: str | None = option(None, "these methods alone", rule=NOT_EMPTY, group=_WHAT, metavar="A,B")
    list: bool = option(False, "show the runs and which are finished, and start nothing", group=_WHAT)

    record: str | None = option(
        None,
        "add finished runs to this CSV file, and leave out those that are in it: their folders can go",
        rule=NOT_EMPTY,
        group=_WHERE,
        metavar="FILE",
    )
    folder: str = option("studies", "where the study's folder goes", rule=NOT_EMPTY, group=_WHERE, metavar="DIR")
    address: str | None = option(
        None, "of a Ray cluster, or auto on one of its machines (this machine alone)", rule=NOT_EMPTY, group=_WHERE
    )
    workers: int | None = option(None, "runs at a time (as many as there are CPUs for)", rule=AT_LEAST_ONE, group=_WHERE)
    threads_per_run: int = option(1, "CPUs of one run", rule=AT_LEAST_ONE, group=_WHERE)
    retries: int = option(2, "how often a run that failed is gone on with", rule=NOT_NEGATIVE, group=_WHERE)

    def __post_init__(self) -> None:
        check_options(self)


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0 once all runs are finished, 1 where some failed or the disk did, 2 for wrong input, 128 + the signal's number after
        Ctrl-C or a termination request.
    """
    parser = OptionParser(prog=_PROG, usage="%(prog)s STUDY.toml [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("study", metavar="STUDY.toml", help="the study's file")
    parser.add_options(Options)
    kept = "The runs are whole; the same command goes on."
    return carry_out(_PROG, lambda: _study(parser.parse_options(argv)), kept=kept)


def _study(given: dict[str, Any]) -> int:
    path = given.pop("study")
    options = Options(**given)
    study = Study.from_file(path)
    runs = study.runs(options.scale, options.seeds, _names(options.parts), _names(options.methods))
    if not runs:
        raise ValueError("no run is left: no part chosen with --parts has a method chosen with --methods.")
    parent = Path(options.folder) / study.name
    record = None if options.record is None else _open_record(options.record, study)
    if options.list:
        _show_runs(runs, parent, record)
        return 0
    if record is not None:
        record.add(runs, parent)
        runs = record.lacks(runs)
        if not runs:
            print(f"All runs are in {options.record}.")
            return 0
    make_folder(parent)
    try:
        lock = FolderLock(parent)
    except ValueError as error:
        raise ValueError(f"another process carries out the study {parent}.") from error
    try:
        return _sweep(study, runs, parent, options, record)
    finally:
        lock.release()


def _open_record(path: str, study: Study) -> Record:
    from .record import Record

    folder = Path(path).parent
    if not folder.is_dir():
        raise ValueError(f"record {path} must be a file in a folder that exists, not in {folder}.")
    return Record(path, study)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _show_runs(runs: Sequence[StudyRun], parent: Path, record: Record | None) -> None:
    folders = {run.folder(parent): run for run in runs}
    lacking = folders if record is None else {run.folder(parent) for run in record.lacks(runs)}
    finished = {folder for folder in folders if folder not in lacking or is_finished(folder)}
    for folder, run in folders.items():
        print(f"{'done' if folder in finished else 'open':<5} {'+'.join(run.parts)}: {run.label}  {folder}")
    steps = sum(run.config.n_timesteps for run in folders.values())
    left = sum(run.config.n_timesteps for folder, run in folders.items() if folder not in finished)
    print(
        f"{len(folders)} runs, {len(finished)} of them finished; {steps:,} environment steps, {left:,} of them in open runs"
    )


def _sweep(study: Study, runs: Sequence[StudyRun], parent: Path, options: Options, record: Record | None) -> int:
    # These load torch and Ray.
    from ..training.stopping import StopRequest
    from .cluster import connect
    from .driver import Sweep
    from .results import counting_runs, results_path, write_results
    from .table import LiveTable

    written = time.monotonic()

    def write() -> None:
        # A call that carries out some runs leaves those of the others in the results.
        write_results(study, counting_runs(study, options.scale, parent), parent, options.scale)
        if record is not None:
            record.add(runs, parent)

    def watch(sweep: Sweep) -> None:
        nonlocal written
        table.show(sweep)
        if time.monotonic() - written >= _RESULTS_PERIOD:
            write()
            written = time.monotonic()

    with connect(options.address, options.workers, options.threads_per_run) as cluster:
        sweep = Sweep(runs, parent, start=cluster.start, slots=cluster.slots, retries=options.retries)
        # Entered last: Ray has handlers of its own for the signals.
        with StopRequest() as stop:
            with LiveTable() as table:
                table.say(f"{len(sweep.jobs)} runs in {parent}, {cluster.slots()} at a time")
                sweep.carry_out(lambda: stop.signal is not None, watch)
            write()
    return _report(sweep, results_path(parent, options.scale), stop.signal)


def _report(sweep: Sweep, results: Path, stopped_by: int | None) -> int:
    from .driver import DONE, FAILED

    for job in sweep.of(FAILED):
        print(f"failed: {job.run.label}, {job.folder}:\n{job.reason}", file=sys.stderr)
    print(f"{len(sweep.of(DONE))} of {len(sweep.jobs)} runs are finished. Results: {results}")
    if stopped_by is not None:
        print("Stopped; the same command goes on.")
        return 128 + stopped_by
    return 1 if sweep.of(FAILED) else 0

"""The command ``siftrl-report``: what runs found and what their networks listened to, as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..training.command import carry_out
from ..training.device import spin_briefly
from ..training.leaving_out import LeavingOut
from ..training.options import NOT_EMPTY, OptionParser, check_options, option

if TYPE_CHECKING:
    from .blocks import Drawer
    from .page import Page
    from .runs import RunRecord

_PROG = "siftrl-report"

_DESCRIPTION = """\
Report on a run, or compare several: one HTML file that needs neither a network nor anything beside it. RUN is a run folder
of train.py, or a folder above some, such as that of a study: all runs below it count.
"""

_EPILOG = """\
examples:
  siftrl-report logs/sac-sift/HalfCheetah-v5_0.9_s0_1
  # a study: learning curves by task and method, and a section for each run; the figures as PNG as well
  siftrl-report studies/example -o example.html --figures figures
  siftrl-report logs/sac-sift logs/sac-anf --brief
"""


@dataclass(frozen=True)
class ReportOptions:
    """The options of a report; each is a flag of ``siftrl-report``."""

    output: str = option("report.html", "the file to write", rule=NOT_EMPTY, short="-o", metavar="FILE")
    figures: str | None = option(
        None, "also write the figures as PNG files into this folder", rule=NOT_EMPTY, metavar="FOLDER"
    )
    brief: bool = option(False, "of several runs, only the comparison and no section for each")

    def __post_init__(self) -> None:
        check_options(self)


def main(argv: list[str] | None = None) -> int:
    """Write a report as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0, 1 where the disk or the memory failed, 2 for wrong input, 130 after Ctrl-C.
    """
    parser = OptionParser(prog=_PROG, usage="%(prog)s RUN ... [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run folder, or a folder above some")
    parser.add_options(ReportOptions)
    spin_briefly()
    return carry_out(_PROG, lambda: _report(parser.parse_options(argv)))


def _report(given: dict[str, Any]) -> None:
    runs = given.pop("runs")
    report(runs, ReportOptions(**given))


def report(paths: list[str], options: ReportOptions) -> None:
    """Write the report on the runs that ``paths`` mean, and say where it is.

    Raises:
        ValueError: Where there is no run, the only one cannot be read, or nothing can be written where it is to go.
        OSError: Where the disk fails.
    """
    from ..training.atomic import atomic_write_text, check_writable, make_folder
    from .blocks import Drawer
    from .page import render
    from .runs import find_runs, read_run

    output = Path(options.output)
    check_writable(output)  # before the work: drawing many runs takes minutes
    folders = find_runs(paths)
    leaving_out = LeavingOut(_PROG)
    runs = leaving_out.each(read_run, folders, f"none of the {len(folders)} runs can be read.")
    drawer = Drawer(None if options.figures is None else make_folder(options.figures))
    page = _page_of_run(runs[0], drawer) if len(folders) == 1 else _page_of_group(runs, leaving_out, drawer, options.brief)
    atomic_write_text(output, render(page))
    print(f"Report on {len(runs)} run{'' if len(runs) == 1 else 's'}: {output}")


def _page_of_run(run: RunRecord, drawer: Drawer) -> Page:
    from .page import Page
    from .run_sections import headline, result_words, run_sections

    return Page(headline(run), [f"Final return {result_words(run)}."], run_sections(run, drawer))


def _page_of_group(runs: list[RunRecord], leaving_out: LeavingOut, drawer: Drawer, brief: bool) -> Page:
    from .blocks import Block, Section
    from .group_sections import ABOUT, group_sections
    from .groups import group_runs
    from .page import FoldedRun, Page
    from .run_sections import headline, result_words, run_sections

    def fold(numbered: tuple[int, RunRecord]) -> FoldedRun:
        key, run = f"run-{numbered[0]}", numbered[1]
        of_run = run_sections(run, drawer.with_prefix(f"{key}-"))
        return FoldedRun(key, f"{headline(run)} ({run.folder.name})", result_words(run), of_run)

    groups = group_runs(runs)
    sections = group_sections(groups, drawer)
    folded = [] if brief else leaving_out.each(fold, list(enumerate(runs, 1)))
    if leaving_out.reasons:
        sections.append(Section("left-out", "Left out", [Block(text=leaving_out.reasons)]))
    n_tasks = f"{len(groups)} task{'' if len(groups) == 1 else 's'}"
    return Page(f"{len(runs)} runs on {n_tasks}", [ABOUT], sections, folded)

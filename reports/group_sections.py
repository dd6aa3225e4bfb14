"""What a report tells of several runs: learning curves and final returns, by task and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .blocks import Block, Drawer, Section, TableBlock
from .curves import Curves, gather_curves
from .figures import RUNS_FOR_A_BAND, curves_figure
from .groups import Group
from .scores import final_return
from .statistics import SEEDS_FOR_A_CLAIM, iqm
from .tables import comparison
from .theme import SERIES, WIDTH, count_steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOUT = (
    "Lines are interquartile means over seeds with their bootstrap 95 % interval; fewer than "
    f"{RUNS_FOR_A_BAND} runs are drawn one by one. A final return is the mean of the last tenth of a run's evaluations. "
    f"Fewer than {SEEDS_FOR_A_CLAIM} seeds are too few for a claim."
)
_LONGEST_LABEL = 32  # letters that the legend of a figure has room for


def group_sections(groups: Sequence[Group], drawer: Drawer) -> list[Section]:
    """A section for each task.

    Args:
        groups: The runs by task.
        drawer: Draws the figures.

    Raises:
        OSError: Where a figure cannot be written.
    """
    return [
        Section(f"task-{number}", group.task, _blocks(group, drawer.with_prefix(f"task-{number}-")))
        for number, group in enumerate(groups, 1)
    ]


def _blocks(group: Group, drawer: Drawer) -> list[Block]:
    rows = group.rows()
    try:
        (curves,) = gather_curves(rows).values()
        compared = comparison(rows)
    except ValueError as error:
        return [Block(text=[f"No comparison: {error}", *group.left_out])]
    last = max(int(runs.steps[-1]) for runs in curves.values())
    shown, cells = curves, [row[1:] for row in compared.rows]
    if max(map(len, curves)) > _LONGEST_LABEL:
        shown = {f"method {number}": runs for number, runs in enumerate(curves.values(), 1)}
        cells = [[f"{number}: {row[0]}", *row[1:]] for number, row in enumerate(cells, 1)]
    figure = drawer.draw(lambda: _figure(shown), "learning-curves", "Mean return of the evaluations", _alt(curves))
    table = TableBlock(compared.header[1:], cells)
    return [
        Block(text=[f"Compared up to step {last:,}."], figures=[figure], tables=[table]),
        *([Block("Not compared", text=group.left_out)] if group.left_out else []),
    ]


def _figure(curves: Mapping[str, Curves]) -> Figure:
    # More methods than colours: the next ones are dashed.
    colours = {method: SERIES[place % len(SERIES)] for place, method in enumerate(curves)}
    figure = curves_figure({"": curves}, colours=colours, dashed=list(curves)[len(SERIES) :])
    figure.set_size_inches(WIDTH, 3.2 + 0.08 * len(curves))
    count_steps(figure.axes[0])
    return figure


def _alt(curves: Mapping[str, Curves]) -> str:
    ends = [f"{method} {iqm(final_return(runs.returns)):,.1f} ({len(runs.seeds)} runs)" for method, runs in curves.items()]
    return f"Learning curves; final returns: {'; '.join(ends)}."

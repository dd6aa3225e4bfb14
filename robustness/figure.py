"""The figure of a comparison: a panel for each corruption, a line for each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..reports.curves import Curves
from ..reports.figures import draw_curves
from ..training.disturbance import DISTURBANCES
from .scores import Robustness
from .summary import by_method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4


def severity_figure(agents: Sequence[Robustness], *, colours: Mapping[str, str] | None = None) -> Figure:
    """Draw the scores of one task over severity, and their mean over all corruptions in the first panel.

    Args:
        agents: of one task, all measured under the same corruptions and severities; those that have learnt nothing are left
            out.
        colours: by method; matplotlib's own order where not given.

    Returns:
        The figure, to change further or to save. No window is opened.

    Raises:
        ValueError: where no agent has learnt anything.
    """
    from matplotlib.figure import Figure

    methods = by_method(agents)
    if not methods:
        raise ValueError("agents must be better than random actions to have scores that can be drawn, and none is.")
    colours = colours or {method: f"C{number % 10}" for number, method in enumerate(methods)}
    corruptions = list(next(iter(methods.values()))[0].scores)
    n_rows = -(-(len(corruptions) + 1) // _COLUMNS)
    figure = Figure(figsize=(3.0 * _COLUMNS, 2.3 * n_rows + 0.5), layout="constrained")
    panels = figure.subplots(n_rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, names in zip(panels, [corruptions, *([name] for name in corruptions)], strict=False):
        draw_curves(axes, {method: _curves(of_method, names) for method, of_method in methods.items()}, colours=colours)
        axes.axhline(0, color="0.6", linewidth=0.8)
        is_mean = len(names) > 1
        axes.set_title("mean" if is_mean else names[0], loc="left", fontsize=10, fontweight="bold" if is_mean else None)
        if not is_mean:
            axes.set_title(_levels(names[0]), loc="right", fontsize=7, color="0.4")
    for axes in panels[len(corruptions) + 1 :]:
        axes.remove()
    for number, axes in enumerate(figure.axes):
        axes.set_xticks(range(max(_severities(agents)) + 1))
        if number % _COLUMNS == 0:
            axes.set_ylabel("score")
        if number + _COLUMNS >= len(figure.axes):
            axes.set_xlabel("severity")
            axes.xaxis.set_tick_params(labelbottom=True)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _severities(agents: Sequence[Robustness]) -> list[int]:
    return sorted(next(iter(agents[0].scores.values())))


def _curves(agents: list[Robustness], names: list[str]) -> Curves:
    """The mean of the scores over some corruptions, by severity, of each agent."""
    severities = _severities(agents)
    scores = [
        [1.0, *(np.mean([agent.scores[name][severity] for name in names]) for severity in severities)] for agent in agents
    ]
    return Curves(np.array([0, *severities]), np.array(scores), np.array([agent.seed for agent in agents]))


def _levels(name: str) -> str:
    """What the severities 1 and 5 mean: the corruption's own unit."""
    kind = DISTURBANCES[name]
    return f"{kind.levels[0]:g} to {kind.levels[-1]:g} {kind.unit}"

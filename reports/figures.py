"""Figures of learning curves: a line for each method, with its interval over runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .curves import Curves
from .statistics import iqm, stratified_bootstrap
from .theme import REAL, count_steps, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RUNS_FOR_A_BAND = 3


def curves_figure(
    curves: Mapping[str, Mapping[str, Curves]],
    *,
    colours: Mapping[str, str] | None = None,
    dashed: Collection[str] = (),
    statistic: Callable[[np.ndarray], np.ndarray] = iqm,
) -> Figure:
    """A panel for each task with the learning curves of its methods, and one legend.

    Args:
        curves: By task, then by method, as `gather_curves` gives them.
        colours: By method; matplotlib's own order where not given.
        dashed: Methods whose line is dashed, such as references.
        statistic: Over runs, as `draw_curves` takes it.

    Returns:
        The figure, to change further or to save: ``figure.savefig("curves.png", dpi=150)``. No window is opened.

    Example:
        >>> rows = [dict(method="anf", task="Ant-v5", seed=s, step=t, mean_return=s + t) for s in range(5) for t in (10, 20)]
        >>> from siftrl.reports.curves import gather_curves
        >>> figure = curves_figure(gather_curves(rows))
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['Ant-v5']
    """
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(method for of_task in curves.values() for method in of_task))
    colours = {method: f"C{place % 10}" for place, method in enumerate(methods)} | dict(colours or {})
    columns = 2 if len(curves) == 4 else min(len(curves), 3)
    n_rows = -(-len(curves) // columns)
    figure = Figure(
        figsize=(8 if columns == 1 else 4.2 * columns, 4.2 if n_rows == 1 else 3.2 * n_rows), layout="constrained"
    )
    panels = figure.subplots(n_rows, columns, squeeze=False).ravel()
    for axes, (task, of_task) in zip(panels, curves.items(), strict=False):
        draw_curves(axes, of_task, colours=colours, dashed=dashed, statistic=statistic)
        axes.set_title(task, loc="left", fontsize=11)
        axes.set_xlabel("environment steps")
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,g}")
    for axes in panels[len(curves) :]:
        axes.remove()
    for axes in panels[: len(curves) : columns]:
        axes.set_ylabel("return")
    lines = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_curves(
    axes: Axes,
    curves: Mapping[str, Curves],
    *,
    colours: Mapping[str, str],
    dashed: Collection[str] = (),
    statistic: Callable[[np.ndarray], np.ndarray] = iqm,
    **line: object,
) -> None:
    """Draw each method's statistic over runs with its bootstrap 95 % interval, point by point.

    Fewer than three runs make no interval: those are drawn one by one, thin.

    Args:
        axes: Where.
        curves: By method.
        colours: By method.
        dashed: Methods whose line is dashed.
        statistic: Of scores ``(n_runs, 1, n_evaluations)``, for each evaluation: `iqm` or `mean`.
        line: Properties of the lines, as matplotlib's ``plot`` takes them.
    """
    for method, (steps, returns, _) in curves.items():
        style = {"color": colours[method], "linestyle": "--" if method in dashed else "-", "marker": marker(steps), **line}
        if len(returns) < RUNS_FOR_A_BAND:
            for number, run in enumerate(returns):
                axes.plot(steps, run, **{"linewidth": 0.8, **style}, label=method if number == 0 else None)
            continue
        low, high, point = stratified_bootstrap(returns[:, None], statistic)
        axes.plot(steps, point, **{"linewidth": 2, **style}, label=method)
        axes.fill_between(steps, low, high, color=colours[method], alpha=0.15, linewidth=0)
    lighten(axes)


def marker(steps: np.ndarray) -> str | None:
    """What marks the points of a line over ``steps``: nothing, unless there is but one, of which no line is seen."""
    return "o" if len(steps) == 1 else None


def lighten(axes: Axes, grid: str = "both") -> None:
    """Take away what is not needed to read a figure.

    Args:
        axes: Whose frame and grid.
        grid: The axis whose ticks get grid lines: ``"x"``, ``"y"`` or ``"both"``.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, alpha=0.25)


def evaluations_figure(steps: np.ndarray, returns: np.ndarray) -> Figure:
    """The learning curve of a single run: the mean of each evaluation, and how far its episodes spread.

    Args:
        steps: Environment steps of the evaluations, ``(n_evaluations,)``.
        returns: Of their episodes, ``(n_evaluations, n_episodes)``.
    """
    figure, axes = panel()
    axes.plot(steps, returns.mean(1), color=REAL, linewidth=2, marker=marker(steps), label="mean")
    if returns.shape[1] > 1:
        axes.fill_between(steps, returns.min(1), returns.max(1), color=REAL, alpha=0.2, linewidth=0, label="least to most")
        figure.legend(loc="outside upper center", ncols=2)
    axes.set_ylabel("return of an episode")
    axes.yaxis.set_major_formatter("{x:,g}")
    count_steps(axes)
    lighten(axes)
    return figure

"""The figure of a search: values over trials, and over each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from ..training.options import spelling
from .parameters import short
from .space import Space
from .trial import OWN
from .values import Choices, Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# How trials of each kind are drawn: colour, marker, label.
_WHOLE, _OWN, _PRUNED = ("C0", "o", "whole"), ("C3", "D", "the recipe's own"), ("0.6", "x", "pruned, value so far")
_COLUMNS = 3


def search_figure(trials: Sequence[FrozenTrial], space: Space) -> Figure:
    """A panel with the value of each trial and the best so far, and one for each parameter against the value.

    Args:
        trials: of the search; those without a value are left out.
        space: what is searched.

    Returns:
        The figure, to be saved. No window is opened.
    """
    from matplotlib.figure import Figure

    n_rows = -(-(1 + len(space)) // _COLUMNS)
    figure = Figure(figsize=(4.0 * _COLUMNS, 3.2 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, _COLUMNS, sharey=True, squeeze=False).ravel()
    _scatter(panels[0], [(float(trial.number), trial) for trial in _drawn(trials)])
    _draw_best(panels[0], trials)
    panels[0].set_xlabel("trial")
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    for axes, (name, values) in zip(panels[1:], space.items(), strict=False):
        _draw_parameter(axes, trials, name, values)
    for axes in panels[: 1 + len(space)]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, linewidth=0.5)
    for axes in panels[::_COLUMNS]:
        axes.set_ylabel("value (return)")
    for axes in panels[1 + len(space) :]:
        axes.set_axis_off()
    return figure


def _drawn(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.value is not None]


def _kind(trial: FrozenTrial) -> tuple[str, str, str]:
    if OWN in trial.user_attrs:
        return _OWN
    return _WHOLE if trial.state == TrialState.COMPLETE else _PRUNED


def _scatter(axes: Axes, places: list[tuple[float, FrozenTrial]]) -> None:
    for kind in (_PRUNED, _WHOLE, _OWN):
        of_kind = [(place, trial.value) for place, trial in places if _kind(trial) == kind]
        if of_kind:
            colour, marker, label = kind
            axes.scatter(*np.transpose(of_kind), color=colour, marker=marker, label=label, s=28, alpha=0.8, zorder=3)


def _draw_best(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = np.maximum.accumulate([trial.value for trial in whole])
    axes.step([trial.number for trial in whole], best, where="post", color="C0", linewidth=1.2, label="best so far")


def _draw_parameter(axes: Axes, trials: Sequence[FrozenTrial], name: str, values: Values) -> None:
    having = [trial for trial in _drawn(trials) if name in trial.params]
    if isinstance(values, Choices):
        places = {choice: place for place, choice in enumerate(values.values)}
        _scatter(axes, [(float(places[trial.params[name]]), trial) for trial in having])
        axes.set_xticks(range(len(places)), [short(choice) for choice in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
    else:
        _scatter(axes, [(float(trial.params[name]), trial) for trial in having])
        ticks = (np.geomspace if values.log else np.linspace)(values.low, values.high, 3)
        axes.set_xscale("log" if values.log else "linear")
        axes.set_xticks(ticks, [f"{tick:.0f}" if tick >= 10 else f"{tick:.2g}" for tick in ticks])
        axes.set_xticks([], minor=True)
    axes.set_xlabel(spelling(name).replace("-", " "))

"""Figures of what a network listened to: over time, feature by feature, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .figures import lighten, marker
from .listening import Listening
from .theme import FAINT, KINDS, count_steps, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 30
_MOST_LINES = 60
_COLUMNS = 128
_NOISE_ROWS = 60  # at least, beside as many as there are real features
_MOST_BINS = 32
_UNEVEN = 30.0  # from this ratio of the longest to the shortest bar on, a histogram's axis is logarithmic


def over_time_figure(heard: Listening, network: str, quantity: str) -> Figure:
    """Links or strength of a network's features over training: median and 10-90 % band of the real ones and of the noise.

    Where nobody knows which are real, each of the strongest features has a line.

    Args:
        heard: What the run's networks listened to.
        network: One of them.
        quantity: "links" or "strength".
    """
    figure, axes = panel()
    values, mark = getattr(heard, quantity)[network], marker(heard.timesteps)
    if heard.n_real is None:
        shown = heard.ranking(network)[:_MOST_LINES]
        axes.plot(heard.timesteps, values[:, shown], color=KINDS["all"], linewidth=0.7, marker=mark, alpha=0.5)
    else:
        for kind, which in heard.kinds().items():
            low, middle, high = np.quantile(values[:, which], (0.1, 0.5, 0.9), axis=1)
            style = "-" if kind == "real" else "--"
            axes.plot(heard.timesteps, middle, style, color=KINDS[kind], linewidth=2, marker=mark, label=f"{kind}: median")
            axes.fill_between(heard.timesteps, low, high, color=KINDS[kind], alpha=0.2, linewidth=0, label="10-90 %")
        figure.legend(loc="outside upper center", ncols=4)
    axes.set_ylabel({"links": "links per feature", "strength": "strength per feature"}[quantity])
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(integer=quantity == "links")
    _mark_moves(axes, heard)
    count_steps(axes)
    lighten(axes)
    return figure


def _mark_moves(axes: Axes, heard: Listening) -> None:
    for step in heard.moves:
        axes.axvline(step, color=FAINT, linestyle=":", linewidth=1)


def map_rows(heard: Listening, network: str) -> np.ndarray:
    """What the map of a network's input layer shows, from top to bottom: all real features, then the strongest noise.

    Either are sorted by their strength at the end.

    Returns:
        int64 ``(n_rows,)``.
    """
    ranking = heard.ranking(network)
    if heard.n_real is None:
        return ranking[: 2 * _NOISE_ROWS]
    is_real = ranking < heard.n_real
    noise = ranking[~is_real]
    return np.concatenate([ranking[is_real], noise[: max(heard.n_real, _NOISE_ROWS)]])


def map_figure(heard: Listening, network: str) -> Figure:
    """The input layer of a network over training as a map: a row for each feature, coloured where it has links.

    Rows are those of :func:`map_rows`.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, PowerNorm

    figure, axes = panel(3.6)
    rows = map_rows(heard, network)
    columns, start, end = _columns(heard.timesteps)
    strength = heard.strength[network][np.ix_(columns, rows)]
    shown = np.ma.masked_where((heard.links[network][np.ix_(columns, rows)] == 0) | np.isnan(strength), strength)
    image = axes.imshow(
        shown.T,
        aspect="auto",
        interpolation="none",
        extent=(start, end, len(rows), 0),
        # Weak features stay apart from each other, and all of them from those without links, on light and on dark.
        norm=PowerNorm(0.5, vmin=0, vmax=(float(shown.max()) if shown.count() else 0.0) or 1.0),
        cmap=ListedColormap(colormaps["viridis"](np.linspace(0.15, 1, 256))),
    )
    _mark_kinds(axes, heard, rows)
    _mark_moves(axes, heard)
    bar = figure.colorbar(image, ax=axes, pad=0.02, label="strength")
    bar.solids.set_rasterized(True)
    bar.outline.set_visible(False)
    axes.spines[:].set_visible(False)
    count_steps(axes)
    return figure


def _columns(timesteps: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The record nearest to each column of a map whose columns are equally long, and the map's ends."""
    start, end = float(timesteps[0]), float(timesteps[-1])
    if len(timesteps) == 1:
        return np.zeros(1, int), start, start + 1
    nearest_until = (timesteps[1:] + timesteps[:-1]) / 2
    return np.searchsorted(nearest_until, np.linspace(start, end, _COLUMNS)), start, end


def _mark_kinds(axes: Axes, heard: Listening, rows: np.ndarray) -> None:
    n_real = 0 if heard.n_real is None else heard.n_real
    blocks = {"real": n_real, "noise": len(rows) - n_real} if n_real else {"features": len(rows)}
    edges = np.cumsum([0, *blocks.values()])
    named = {kind: (low + high) / 2 for kind, low, high in zip(blocks, edges[:-1], edges[1:], strict=True) if high > low}
    axes.set_yticks(list(named.values()), [f"{kind}\n({blocks[kind]:,})" for kind in named])
    axes.tick_params(axis="y", length=0)
    if len(named) > 1:
        axes.axhline(n_real, color=FAINT, linewidth=1)


def bars(heard: Listening, network: str) -> np.ndarray:
    """The features of most strength in a network at the end, the strongest first; int64, at most ``MOST_BARS``."""
    strongest = heard.ranking(network)[:MOST_BARS]
    return strongest[heard.strength[network][-1][strongest] > 0]


def ranking_figure(heard: Listening, network: str) -> Figure:
    """The features that a network listens to most at the end, by their strength; those it does not hear are left out."""
    from matplotlib.patches import Patch

    strongest = bars(heard, network)
    figure, axes = panel(0.75 + 0.17 * len(strongest))
    kinds = ["all" if heard.n_real is None else "real" if index < heard.n_real else "noise" for index in strongest]
    places = np.arange(len(strongest))
    axes.barh(places, heard.strength[network][-1][strongest], color=[KINDS[kind] for kind in kinds], height=0.75)
    axes.set_yticks(places, [heard.labels[index] for index in strongest], fontsize=8)
    axes.set_ylim(len(strongest) - 0.4, -0.6)
    axes.set_xlabel("strength at the end")
    axes.tick_params(axis="y", length=0)
    lighten(axes, "x")
    if heard.n_real is not None:
        present = [kind for kind in ("real", "noise") if kind in kinds]
        patches = [Patch(color=KINDS[kind], label=kind) for kind in present]
        figure.legend(handles=patches, loc="outside upper center", ncols=2)
    return figure


def degree_figure(heard: Listening, network: str) -> Figure:
    """How many features of a network's input layer have how many links at the end, as a histogram."""
    figure, axes = panel()
    links = heard.links[network][-1]
    most = int(links.max())
    edges = np.linspace(-0.5, most + 0.5, min(_MOST_BINS, most + 1) + 1)
    filled = []
    # The few real ones in front of the noise.
    for kind, which in reversed(heard.kinds().items()):
        counts, *_ = axes.hist(links[which], edges, color=KINDS[kind], alpha=0.8, label=kind)
        filled += [count for count in counts if count]
    if max(filled) >= _UNEVEN * min(filled):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("links per feature at the end")
    axes.set_ylabel("features")
    if heard.n_real is not None:
        figure.legend(loc="outside upper center", ncols=2)
    lighten(axes, "y")
    return figure

"""The look of a report's figures: one set of colours for light and one for dark, and sizes that a phone can show."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# By name, on light and on dark. Blue and orange stay apart for those who see no red or no green; so do the series (Okabe and
# Ito, darkened where they stand on white). A figure is drawn in the light ones, and a page gives each name its colour.
COLOURS = {
    "ink": ("#1d2126", "#e4e7eb"),
    "faint": ("#8a9099", "#7d858f"),
    "real": ("#0a6ab0", "#5cb8f2"),
    "noise": ("#c05a00", "#f2a155"),
    "series-0": ("#0a6ab1", "#5cb8f3"),
    "series-1": ("#c05a01", "#f2a156"),
    "series-2": ("#00805c", "#35c79b"),
    "series-3": ("#a8437c", "#e494bd"),
    "series-4": ("#6d5bd0", "#b1a5f5"),
    "series-5": ("#8a6d00", "#e0c33c"),
    "series-6": ("#5b6470", "#aab3be"),
}
INK, FAINT, REAL, NOISE = (COLOURS[name][0] for name in ("ink", "faint", "real", "noise"))
SERIES = tuple(light for name, (light, _) in COLOURS.items() if name.startswith("series"))
KINDS = {"real": REAL, "noise": NOISE, "all": REAL}

WIDTH = 4.4  # inches; with 9 points of text, legible on a screen of 400 pixels

_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "svg.fonttype": "none",
}


@contextlib.contextmanager
def themed() -> Iterator[None]:
    """Within the block figures are made, and must be saved, in the look of reports."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS):
        yield


def panel(height: float = 3.0) -> tuple[Figure, Axes]:
    """A figure with one panel, in which nothing overlaps.

    Args:
        height: In inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def count_steps(axes: Axes) -> None:
    """Label the horizontal axis as that of training."""
    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.get_major_locator().set_params(nbins=5)

"""What a run tells its user: tables of layers, of links per feature, and of episodes."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.base_class import BaseAlgorithm

from ..agents.filter import FilterRow
from ..agents.networks import LayerRow, first_layer, networks
from ..sparse.diagnostics import fan_out

_MOST_PLACES = 30  # of features, in a line


def show(table: Table) -> None:
    """Print a table to the standard output, never squeezed below 100 columns where that is no terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, 100))
    console.print(table)


def show_links(reports: Mapping[str, Mapping[str, FilterRow]], model: BaseAlgorithm) -> None:
    """Print :func:`link_table` and :func:`reading_line`."""
    show(link_table(reports))
    line = reading_line(model)
    if line is not None:
        print(f"{line}\n")


def warn(sentence: str) -> None:
    """Print a warning to the standard error, whatever else is printed or not."""
    print(f"warning: {sentence}", file=sys.stderr, flush=True)


def layer_table(rows: Iterable[LayerRow]) -> Table:
    """A table of networks and layers: shape (out x in), links and density of each, and the sum."""
    table = Table(title="Layers", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("network")
    table.add_column("layer")
    for heading in ("out x in", "links", "density"):
        table.add_column(heading, justify="right")
    total = possible = 0
    previous = None
    for row in rows:
        shape = " x ".join(f"{side:,}" for side in row.shape)
        shown = row.network if row.network != previous else ""
        table.add_row(shown, row.layer, shape, f"{row.links:,}", f"{row.density:.1%}")
        previous = row.network
        total += row.links
        possible += math.prod(row.shape)
    table.add_section()
    table.add_row("together", "", "", f"{total:,}", f"{total / possible:.1%}")
    return table


def link_table(reports: Mapping[str, Mapping[str, FilterRow]]) -> Table:
    """A table of how each network's input layer spends its links.

    Args:
        reports: for each moment, such as ``start`` and ``end``, what
            :func:`siftrl.agents.filter.filter_report` found then.
    """
    table = Table(
        title="What the agent listens to: links of its input layers",
        title_justify="left",
        caption="strength: weights of a real feature over those of a noise feature\n"
        "AUROC (chance: 0.50) and precision: of the ranking by weights times standard deviation",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("network")
    table.add_column("")
    for heading in ("per real feature", "per noise feature", "ratio", "strength", "AUROC", "precision"):
        table.add_column(heading, justify="right")
    for network in next(iter(reports.values())):
        for index, (moment, report) in enumerate(reports.items()):
            row = report[network]
            ratio = row.real / row.noise if row.noise else math.nan
            figures = (row.real, row.noise, ratio, row.strength_ratio, row.auroc, row.precision_at_d)
            table.add_row("" if index else network, moment, *map(_number, figures))
    return table


def reading_line(model: BaseAlgorithm) -> str | None:
    """Which features the actor reads, by their place in the observation, as a sentence; None where it reads them all."""
    links = fan_out(first_layer(networks(model)["actor"]))
    places = np.flatnonzero(links)
    if len(places) == len(links):
        return None
    shown = ", ".join(map(str, places[:_MOST_PLACES])) + (", ..." if len(places) > _MOST_PLACES else "")
    return f"The actor reads {len(places):,} of {len(links):,} features" + (f": {shown}" if shown else "")


def _number(value: float) -> str:
    # A task without noise has no links per noise feature.
    return "-" if math.isnan(value) else f"{value:.2f}"

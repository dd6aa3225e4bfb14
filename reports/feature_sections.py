"""What a report tells of the features that a run's networks listened to."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .blocks import Block, Drawer, FigureBlock, Section, TableBlock
from .feature_figures import MOST_BARS, bars, degree_figure, map_figure, map_rows, over_time_figure, ranking_figure
from .listening import Listening, ranking_quality

_STRENGTH = (
    "The strength of a feature is the sum of the absolute weights of its links, times the feature's standard deviation "
    "(1 until that is known)."
)
_RANKED = f"The features of most strength at the end, at most {MOST_BARS}; those without any are left out."
_BANDS = "A line is the median over features, a band holds the middle 80 % of them."


def listening_section(heard: Listening | None, drawer: Drawer) -> Section:
    """The section on what the networks listened to.

    Args:
        heard: That; None where the run did not write it down.
        drawer: Draws the figures.
    """
    key, title = "features", "What the networks listen to"
    if heard is None:
        sentence = "This run holds no features.npz: it is older than the record of what networks read."
        return Section(key, title, [Block(text=[sentence])])
    of_each = _figures_of_each(heard, drawer)
    known = heard.n_real is not None
    return Section(
        key,
        title,
        [
            _summary(heard),
            Block("Links per feature", [_BANDS] if known else [], of_each("links", _over_time("links"), _spread("links"))),
            Block(
                "Strength per feature",
                [_STRENGTH, _BANDS] if known else [_STRENGTH],
                of_each("strength", _over_time("strength"), _spread("strength")),
            ),
            Block(
                "Input layer over training",
                [_rows_of_map(heard)],
                of_each("input-layer", map_figure, _of_map),
            ),
            Block("Ranking", [_RANKED], of_each("ranking", ranking_figure, _of_ranking)),
            Block("Degrees", ["How many features have how many links."], of_each("degrees", degree_figure, _of_degrees)),
        ],
    )


def _rows_of_map(heard: Listening) -> str:
    n_shown = len(map_rows(heard, heard.networks[0]))
    order = "the real ones above the noise, either by strength" if len(heard.kinds()) > 1 else "by strength"
    weakest = "weakest noise features" if heard.n_real is not None else "weakest"
    rest = (
        f" The {heard.n_features - n_shown:,} {weakest} of {heard.n_features:,} features are not shown."
        if n_shown < heard.n_features
        else ""
    )
    return f"A row is a feature, coloured where it has links; {order} at the end.{rest}"


def _figures_of_each(heard: Listening, drawer: Drawer) -> Callable[..., list[FigureBlock]]:
    def of_each(name: str, figure: Callable, alt: Callable[[Listening, str], str]) -> list[FigureBlock]:
        return [
            drawer.draw(lambda net=net: figure(heard, net), f"{name}-{net}", net, alt(heard, net)) for net in heard.networks
        ]

    return of_each


def _over_time(quantity: str) -> Callable:
    return lambda heard, network: over_time_figure(heard, network, quantity)


def _summary(heard: Listening) -> Block:
    kinds = heard.kinds()
    header = ["network", *(f"links per {'' if kind == 'all' else kind + ' '}feature" for kind in kinds)]
    header += ["AUROC", "precision"] if len(kinds) > 1 else []
    rows = []
    for network in heard.networks:
        cells = [f"{heard.links[network][-1][which].mean():,.2f}" for which in kinds.values()]
        quality = ranking_quality(heard, network)
        rows.append([network, *cells, *([] if math.isnan(quality[0]) else [f"{value:.2f}" for value in quality])])
    text = [f"At step {heard.timesteps[-1]:,}, the last of {len(heard.timesteps)} records, in the networks' first layers."]
    critics = [network for network in heard.networks if network.startswith("qf")]
    text += [f"The critics are {' and '.join(critics)}."] if len(critics) > 1 else []
    if len(heard.moves):
        text.append("The features changed places: a dotted line stands at the first record of each new order.")
    if len(kinds) > 1:
        text.append(
            "AUROC is how likely a real feature has more strength than one of noise (chance: 0.50), precision the share of "
            f"real ones among the {heard.n_real} strongest."
        )
    return Block(text=text, tables=[TableBlock(header, rows)])


def _spread(quantity: str) -> Callable[[Listening, str], str]:
    def alt(heard: Listening, network: str) -> str:
        ends = [
            f"{kind} features from a median of {np.median(values[0]):,.3g} to {np.median(values[-1]):,.3g}"
            for kind, which in heard.kinds().items()
            for values in [getattr(heard, quantity)[network][:, which]]
        ]
        return f"{quantity.capitalize()} per feature of {network} over training: {'; '.join(ends)}."

    return alt


def _of_map(heard: Listening, network: str) -> str:
    rows = map_rows(heard, network)
    linked = (heard.links[network][:, rows] > 0).sum(1)
    return (
        f"Map of the input layer of {network} over training, {len(rows)} features by {len(heard.timesteps)} records: "
        f"{linked[0]} of these features have links at the start and {linked[-1]} at the end."
    )


def _of_ranking(heard: Listening, network: str) -> str:
    strongest = bars(heard, network)
    named = ", ".join(heard.labels[index] for index in strongest[:5])
    return (
        f"Bars: the {len(strongest)} features of {heard.n_features:,} with most strength in {network}. The first: {named}."
    )


def _of_degrees(heard: Listening, network: str) -> str:
    links = heard.links[network][-1]
    return (
        f"Histogram of the links per feature of {network} at the end, from {links.min():,} to {links.max():,}; "
        f"{np.count_nonzero(links == 0):,} of {len(links):,} features have none."
    )

"""Does a sparse autoencoder find the features that matter, where a dense one does not, and is it the rewiring that does it?

Madelon's construction: 500 features, of which 5 decide the class (by clusters on the corners of a cube), 15 are linear
combinations of those, and 480 are noise. Without the labels, QuickSelection picks 20 features; so do the same autoencoder
with links that stay, and the dense one. Counted: how many of the 20 are among the 20 that matter, and how well 50 extremely
randomised trees classify samples they have not seen from these 20. A row that is in the result file already is skipped:

    python experiments/madelon.py

Writes ``experiments/results/madelon.csv`` (one row per training), ``madelon.md`` and ``madelon.png``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from siftrl.experiments.record import RESULTS, complete, read
from siftrl.reports import Curves, draw_curves, mean, stratified_bootstrap
from siftrl.selection import QuickSelection
from siftrl.sparse.ranking import precision_at
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier

N_TRAIN, N_TEST, N_FEATURES, N_INFORMATIVE, N_REAL = 2000, 600, 500, 5, 20
SEEDS = (0, 1, 2, 3, 4)
EPOCHS = (1, 2, 5, 10, 20, 50, 100)
SHOWN = (2, 10, 100)  # the last two are the paper's QS10 and QS100

# Two layers of 500 x 1000 places can hold no more than 500 000 links: an epsilon of 1 000 asks for all of them.
METHODS = {
    "sparse, rewired (QuickSelection)": {},
    "sparse, links stay": {"fraction": 0.0},
    "dense": {"epsilon": 1000.0},
}
COLOURS = dict(zip(METHODS, ("tab:blue", "tab:green", "tab:red"), strict=True))
REFERENCES = {
    "the 20 that matter": lambda rng: np.arange(N_REAL),
    "all 500": lambda rng: np.arange(N_FEATURES),
    "20 of the noise": lambda rng: rng.choice(np.arange(N_REAL, N_FEATURES), N_REAL, replace=False),
}


class Row(NamedTuple):
    """One training, or one reference (0 epochs)."""

    method: str
    epochs: int
    seed: int
    precision: float
    accuracy: float


class Data(NamedTuple):
    """Samples by feature, the first 20 of which matter, and their classes; the first 2 000 samples are for training."""

    samples: np.ndarray
    classes: np.ndarray

    def accuracy(self, features: np.ndarray, seed: int) -> float:
        """Share of the other samples that trees on these features classify rightly."""
        trees = ExtraTreesClassifier(50, random_state=seed)
        trees.fit(self.samples[:N_TRAIN, features], self.classes[:N_TRAIN])
        return trees.score(self.samples[N_TRAIN:, features], self.classes[N_TRAIN:])


@functools.lru_cache(maxsize=1)
def make_data(seed: int) -> Data:
    """Draw a Madelon."""
    samples, classes = make_classification(
        n_samples=N_TRAIN + N_TEST,
        n_features=N_FEATURES,
        n_informative=N_INFORMATIVE,
        n_redundant=N_REAL - N_INFORMATIVE,
        n_clusters_per_class=16,
        shuffle=False,  # the real features stay in front
        random_state=seed,
    )
    order = np.random.default_rng(seed).permutation(len(samples))
    return Data(samples[order], classes[order])


def train(method: str, epochs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Train one autoencoder, or take one reference, and give its row."""
    data = make_data(seed)
    is_real = np.arange(N_FEATURES) < N_REAL
    if method in REFERENCES:
        features = REFERENCES[method](np.random.default_rng(seed))
        precision = is_real[features].mean()
    else:
        selector = QuickSelection(N_REAL, epochs=epochs, random_state=seed, **METHODS[method]).fit(data.samples[:N_TRAIN])
        features = selector.get_support(indices=True)
        precision = precision_at(N_REAL, selector.strength_, is_real)
    yield Row(method, epochs, seed, round(float(precision), 4), round(data.accuracy(features, seed), 4))._asdict()


def rows_there() -> list[Row]:
    """All rows of the result file."""
    rows = (row.values() for row in read(RESULTS / "madelon.csv", Row._fields))
    return [Row(method, int(epochs), int(seed), float(p), float(a)) for method, epochs, seed, p, a in rows]


def of(rows: list[Row], method: str, epochs: int) -> dict[str, np.ndarray]:
    """Precision and accuracy over seeds, ``(seeds,)`` each."""
    chosen = [row for row in rows if (row.method, row.epochs) == (method, epochs)]
    return {name: np.array([getattr(row, name) for row in chosen]) for name in ("precision", "accuracy")}


def write_summary(rows: list[Row]) -> None:
    """The markdown table: means over seeds with their intervals."""
    lines = [
        f"{N_TRAIN:,} samples of {N_FEATURES} features, {N_REAL} of which matter; {len(SEEDS)} seeds; mean and bootstrap "
        f"95 % interval. Precision: share of the {N_REAL} chosen features that matter. Accuracy: of 50 extremely randomised "
        f"trees on the chosen features, on {N_TEST} further samples.",
        "",
        "| autoencoder, or features | epochs | precision@20 | interval | accuracy | interval |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for method, epochs in [
        *((method, epochs) for epochs in SHOWN for method in METHODS),
        *((name, 0) for name in REFERENCES),
    ]:
        cells = []
        for values in of(rows, method, epochs).values():
            low, high, point = stratified_bootstrap(values, mean)
            cells += [f"{point:.2f}", f"{low:.2f} to {high:.2f}"]
        lines.append(f"| {method} | {epochs or ''} | {' | '.join(cells)} |")
    lines += ["", "Command: `python experiments/madelon.py`", ""]
    (RESULTS / "madelon.md").write_text("\n".join(lines))
    print("\n".join(lines))


def draw(rows: list[Row]) -> None:
    """The figure: precision and accuracy by the length of training, with the intervals."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, name, label in zip(panels, ("precision", "accuracy"), ("precision@20", "accuracy of the trees"), strict=True):
        curves = {
            method: Curves(np.array(EPOCHS), np.transpose([of(rows, method, epochs)[name] for epochs in EPOCHS]), SEEDS)
            for method in METHODS
        }
        draw_curves(axes, curves, colours=COLOURS, statistic=mean, marker="o", markersize=4)
        axes.set_xscale("log")
        axes.set_xticks(EPOCHS, [str(epochs) for epochs in EPOCHS])
        axes.minorticks_off()
        axes.set_xlabel("epochs")
        axes.set_ylabel(label)
    panels[0].axhline(N_REAL / N_FEATURES, color="0.45", linestyle="--", linewidth=1)
    panels[0].annotate(
        "chance", (EPOCHS[-1], N_REAL / N_FEATURES), (0, 3), textcoords="offset points", ha="right", fontsize=9
    )
    for name in REFERENCES:
        level = of(rows, name, 0)["accuracy"].mean()
        panels[1].axhline(level, color="0.45", linestyle="--", linewidth=1)
        panels[1].annotate(name, (EPOCHS[0], level), (0, 3), textcoords="offset points", fontsize=9)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(RESULTS / "madelon.png", dpi=150)


def main() -> None:
    """Train, tabulate and draw."""
    torch.set_num_threads(1)  # products this small only wait for a second thread
    trainings = [*((name, 0) for name in REFERENCES), *itertools.product(METHODS, EPOCHS)]
    complete(RESULTS / "madelon.csv", Row._fields, ((*training, seed) for seed in SEEDS for training in trainings), train)
    rows = rows_there()
    write_summary(rows)
    draw(rows)


if __name__ == "__main__":
    main()

"""What rewiring, the choice of densities and gradual pruning are worth on small supervised tasks, at 95 % sparsity.

Three networks: an MLP and a convolutional network on scikit-learn's digits (8 x 8 pixels, ten classes), and an MLP on
Madelon's construction (500 features, of which 20 matter). Each is trained dense, and with 5 % of the links: links that stay,
shared out uniformly or by ERK; ERK's rewired by SET once an epoch; and GraNet, which starts at 50 %. All train alike, by SGD
with momentum. A row that is in the result file already is skipped:

    OMP_NUM_THREADS=1 python experiments/supervised.py

Writes ``experiments/results/supervised.csv`` (one row per training), ``supervised.md`` and ``supervised.png``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from siftrl import sparse
from siftrl.experiments.madelon import N_TRAIN as N_TRAIN_MADELON
from siftrl.experiments.madelon import make_data
from siftrl.experiments.record import RESULTS, complete, read
from siftrl.reports import lighten, mean, stratified_bootstrap
from siftrl.sparse.convert import budget_layers
from siftrl.sparse.recipes import resolve
from sklearn.datasets import load_digits
from torch import nn

SEEDS = (0, 1, 2, 3, 4)
DENSITY, EPOCHS, BATCH, LEARNING_RATE, MOMENTUM = 0.05, 20, 100, 0.05, 0.9
N_TRAIN_DIGITS = 1200


class Data(NamedTuple):
    """Standardised samples and their classes, shuffled; the first ``n_train`` are for training."""

    samples: torch.Tensor
    classes: torch.Tensor
    n_train: int


def digits(seed: int) -> Data:
    """Scikit-learn's handwritten digits: 1,797 images, split by the seed."""
    samples, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(samples))
    return Data(torch.tensor(samples[order] / 8 - 1, dtype=torch.float32), torch.tensor(classes[order]), N_TRAIN_DIGITS)


def madelon(seed: int) -> Data:
    """Madelon's construction, drawn by the seed."""
    samples, classes = make_data(seed)
    train = samples[:N_TRAIN_MADELON]
    standardised = (samples - train.mean(0)) / train.std(0)
    return Data(torch.tensor(standardised, dtype=torch.float32), torch.tensor(classes), N_TRAIN_MADELON)


def mlp(n_in: int, n_out: int) -> nn.Sequential:
    """Two hidden layers of 256 neurons."""
    return nn.Sequential(nn.Linear(n_in, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, n_out))


def conv_net() -> nn.Sequential:
    """Three convolutions of 3 x 3, the last two with stride 2, and a linear layer."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


class Task(NamedTuple):
    """Data and a network for them."""

    data: Callable[[int], Data]
    net: Callable[[], nn.Sequential]


TASKS = {
    "digits, MLP": Task(digits, lambda: mlp(64, 10)),
    "digits, convolutions": Task(digits, conv_net),
    "Madelon, MLP": Task(madelon, lambda: mlp(500, 2)),
}

# Of each method: how sparsify shares out the links, and how evolve rewires them.
METHODS = {
    "dense": (None, {}),
    "uniform, links stay": ({"density": DENSITY, "distribution": "uniform"}, {}),
    "ERK, links stay": ({"density": DENSITY, "distribution": "erk"}, {}),
    "SET": ({"density": DENSITY, "distribution": "erk"}, {"recipe": "set", "fraction": 0.3}),
    "GraNet": ({"density": resolve("granet", density=DENSITY).density}, {"recipe": resolve("granet", density=DENSITY)}),
}
LAST_EPOCH = {"SET": EPOCHS - 1, "GraNet": EPOCHS // 2}  # of rewiring, as published
COLOURS = dict(zip(METHODS, ("0.45", "tab:red", "tab:orange", "tab:blue", "tab:green"), strict=True))
COMPARED = (("SET", "ERK, links stay"), ("ERK, links stay", "uniform, links stay"), ("GraNet", "SET"), ("GraNet", "dense"))


class Row(NamedTuple):
    """One training."""

    task: str
    method: str
    seed: int
    accuracy: float
    links: int
    places: int


def train(task: str, method: str, seed: int) -> Iterator[dict[str, Any]]:
    """Train one network, and give a row with the share of rightly classified samples that it has not seen."""
    data = TASKS[task].data(seed)
    budget, rewiring = METHODS[method]
    torch.manual_seed(seed)
    net = TASKS[task].net()
    places = sum(layer.weight.numel() for layer in budget_layers(net).values())
    if budget:
        sparse.sparsify(net, **budget)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    epoch_updates = -(-data.n_train // BATCH)
    if rewiring:
        stop_updates = LAST_EPOCH[method] * epoch_updates
        sparse.evolve(net, optimizer, period_updates=epoch_updates, stop_updates=stop_updates, **rewiring)
    for _ in range(EPOCHS):
        for batch in torch.randperm(data.n_train).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(data.samples[batch]), data.classes[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        right = net(data.samples[data.n_train :]).argmax(1) == data.classes[data.n_train :]
    links = sum(layer.weight.numel() for layer in budget_layers(net).values())
    yield Row(task, method, seed, round(right.float().mean().item(), 4), links, places)._asdict()


def rows_there() -> list[Row]:
    """All rows of the result file."""
    rows = (row.values() for row in read(RESULTS / "supervised.csv", Row._fields))
    return [
        Row(task, method, int(seed), float(accuracy), int(links), int(places))
        for task, method, seed, accuracy, links, places in rows
    ]


def percent(rows: list[Row], task: str, method: str) -> np.ndarray:
    """Accuracy over seeds, in percent, ``(seeds,)``."""
    return 100 * np.array([row.accuracy for row in rows if (row.task, row.method) == (task, method)])


def with_interval(values: np.ndarray, sign: str = "") -> str:
    """Two cells of a table."""
    low, high, point = stratified_bootstrap(values, mean)
    return f"{point:{sign}.1f} | {low:{sign}.1f} to {high:{sign}.1f}"


def write_summary(rows: list[Row]) -> None:
    """The markdown tables: means over seeds with their intervals, and differences seed by seed."""
    lines = [
        f"{len(SEEDS)} seeds, {EPOCHS} epochs; accuracy in % on samples not trained on, mean and bootstrap 95 % interval.",
        "",
        "| task | method | accuracy | interval | links | of |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for task in TASKS:
        for method in METHODS:
            sizes = {(row.links, row.places) for row in rows if (row.task, row.method) == (task, method)}
            links, places = sizes.pop()
            if sizes:
                raise RuntimeError(f"seeds of {method} on {task} ended with different numbers of links: {sizes}")
            lines.append(f"| {task} | {method} | {with_interval(percent(rows, task, method))} | {links:,} | {places:,} |")
    lines += ["", "Differences, seed by seed, in points:", "", "| task | | difference | interval |", "|---|---|---:|---:|"]
    for task in TASKS:
        for one, other in COMPARED:
            difference = percent(rows, task, one) - percent(rows, task, other)
            lines.append(f"| {task} | {one} against {other} | {with_interval(difference, '+')} |")
    lines += ["", "Command: `OMP_NUM_THREADS=1 python experiments/supervised.py`", ""]
    (RESULTS / "supervised.md").write_text("\n".join(lines))
    print("\n".join(lines))


def draw(rows: list[Row]) -> None:
    """The figure: each seed's accuracy, and the means with their intervals."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = figure.subplots(1, len(TASKS))
    for axes, task in zip(panels, TASKS, strict=True):
        for place, (method, colour) in enumerate(COLOURS.items()):
            values = percent(rows, task, method)
            low, high, point = stratified_bootstrap(values, mean)
            axes.plot([place, place], [low, high], color=colour, linewidth=6, alpha=0.3, solid_capstyle="butt")
            axes.plot([place - 0.25, place + 0.25], [point] * 2, color=colour, linewidth=2)
            axes.plot([place] * len(values), values, "o", color=colour, markersize=3)
        axes.set_xticks(range(len(METHODS)), METHODS, rotation=35, ha="right", fontsize=8)
        axes.set_title(task, fontsize=10)
        lighten(axes, grid="y")
    panels[0].set_ylabel("accuracy (%)")
    figure.savefig(RESULTS / "supervised.png", dpi=150)


def main() -> None:
    """Train, tabulate and draw."""
    torch.set_num_threads(1)  # products this small only wait for a second thread
    keys = ((task, method, seed) for seed in SEEDS for task in TASKS for method in METHODS)
    complete(RESULTS / "supervised.csv", Row._fields, keys, train)
    rows = rows_there()
    write_summary(rows)
    draw(rows)


if __name__ == "__main__":
    main()

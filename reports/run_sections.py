"""What a report tells of one run."""

from __future__ import annotations

import functools
import math
import shlex
from dataclasses import fields

import numpy as np

from ..training.config import RunConfig
from ..training.options import spelling
from .blocks import Block, Drawer, FigureBlock, Section, TableBlock
from .cost import cost_rows
from .feature_sections import listening_section
from .figures import evaluations_figure
from .listening import listening
from .runs import RunRecord
from .saved_model import SavedLayer, saved_layers, saved_versions
from .scores import final_return

_LAST = 0.1  # of the evaluations: those that final_return counts


def run_sections(run: RunRecord, drawer: Drawer) -> list[Section]:
    """Everything about a run: result, what its networks listened to, layers, cost, configuration.

    Args:
        run: The run.
        drawer: Draws its figures.

    Raises:
        ValueError: Where one of its files contradicts another.
        OSError: Where a figure cannot be written.
    """
    layers = saved_layers(run.model) if run.model is not None else []
    heard = None if run.features is None else listening(run.features, _names(run.config.env))
    sections = [
        Section("result", "Result", _result_blocks(run, heard.n_features if heard else None, drawer)),
        listening_section(heard, drawer),
    ]
    if layers:
        sections.append(Section("layers", "Layers", [_layer_block(run, layers)]))
        sections.append(Section("cost", "Cost", [_cost_block(run, layers)]))
    return [*sections, Section("configuration", "Configuration", _configuration_blocks(run))]


@functools.cache
def _names(env: str) -> tuple[str, ...] | None:
    from ..envs.feature_names import feature_names

    return feature_names(env)


def headline(run: RunRecord) -> str:
    """A run in a line: agent, task, seed."""
    config = run.config
    noise = f" among {100 * config.noise:.4g} % noise" if config.noise else ""
    return f"{config.algo.upper()} with {config.recipe} on {config.env}{noise}, seed {config.seed}"


def result_words(run: RunRecord) -> str:
    """A run's final return, and of what it is the mean."""
    n_last = max(1, round(_LAST * len(run.steps)))
    what = f"the last {n_last} of {len(run.steps)} evaluations" if n_last > 1 else "the last evaluation"
    episodes = f"{run.returns.shape[1]} episode{'' if run.returns.shape[1] == 1 else 's'}"
    return f"{final_return(run.returns.mean(1), _LAST):,.1f} (mean of {what}, {episodes} each)"


def _result_blocks(run: RunRecord, n_features: int | None, drawer: Drawer) -> list[Block]:
    config, means = run.config, run.returns.mean(1)
    best = int(means.argmax())
    speed = "unknown" if math.isnan(run.steps_per_second) else f"{run.steps_per_second:,.0f} a second, evaluations included"
    facts = {
        "agent": f"{config.algo.upper()}, recipe {config.recipe}, hyper-parameters {config.hparams}",
        "task": f"{config.env}, {100 * config.noise:.4g} % of the features are noise",
        **({"features": f"{n_features:,}"} if n_features else {}),
        "seed": str(config.seed),
        "environment steps": f"{run.timesteps:,} of {config.n_timesteps:,}",
        "final return": result_words(run),
        "best evaluation": f"{means[best]:,.1f} at step {run.steps[best]:,}",
        "environment steps, measured": speed,
        "folder": str(run.folder),
    }
    going_on = [] if run.is_finished else ["The run is not finished: what follows is how far it has come."]
    table = TableBlock(["", ""], [[name, fact] for name, fact in facts.items()], n_labels=2)
    return [Block(text=going_on, tables=[table]), Block("Learning curve", figures=[_curve(run, means, drawer)])]


def _curve(run: RunRecord, means: np.ndarray, drawer: Drawer) -> FigureBlock:
    alt = (
        f"Learning curve: mean return of {len(means)} evaluations, from {means[0]:,.1f} at step {run.steps[0]:,} "
        f"to {means[-1]:,.1f} at step {run.steps[-1]:,}."
    )
    caption = f"Return of {run.returns.shape[1]} evaluation episodes"
    return drawer.draw(lambda: evaluations_figure(run.steps, run.returns), "learning-curve", caption, alt)


def _layer_block(run: RunRecord, layers: list[SavedLayer]) -> Block:
    trained = [layer for layer in layers if not layer.is_target]
    rows = [[layer.network, layer.name, *_layer_cells(layer.links, layer.places, layer.shape)] for layer in trained]
    total = sum(layer.links for layer in trained), sum(layer.places for layer in trained)
    rows.append(["together", "", *_layer_cells(*total, None)])
    header = ["network", "layer", "neurons × inputs", "links", "density", "sparsity"]
    text = f"As saved in {run.model.name}. Density is links over possible links, sparsity the share that is missing."
    return Block(text=[text], tables=[TableBlock(header, rows, n_labels=2)])


def _layer_cells(links: int, places: int, shape: tuple[int, int] | None) -> list[str]:
    size = "" if shape is None else f"{shape[0]:,} × {shape[1]:,}"
    return [size, f"{links:,}", f"{links / places:.1%}", f"{1 - links / places:.1%}"]


def _cost_block(run: RunRecord, layers: list[SavedLayer]) -> Block:
    rows = [list(row) for row in cost_rows(layers, run.config)]
    text = (
        "Dense: the same networks with all links, and a replay that stores whole observations. FLOPs are those of the "
        "links, two for each; they say nothing of how quickly a machine does them."
    )
    return Block(text=[text], tables=[TableBlock(["", "this run", "dense", "share"], rows)])


def _configuration_blocks(run: RunRecord) -> list[Block]:
    config, defaults = run.config, RunConfig()
    names = [field.name for field in fields(config)]
    changed = [name for name in names if getattr(config, name) != getattr(defaults, name)]
    versions = {"siftrl": run.version, **(saved_versions(run.model) if run.model is not None else {})}
    said = [[spelling(name), _value(config, name)] for name in changed]
    unsaid = [[spelling(name), _value(config, name)] for name in names if name not in changed]
    evaluate = shlex.join(["siftrl-evaluate", str(run.folder)])
    return [
        Block("Commands that made it", code=list(run.commands)) if run.commands else Block(),
        Block("Command that evaluates it", code=[evaluate]),
        Block("Options that were changed", tables=[TableBlock(["option", "value"], said, n_labels=2)]),
        Block("Options at their defaults", tables=[TableBlock(["option", "value"], unsaid, n_labels=2)], folded=True),
        Block("Versions", tables=[TableBlock(["", ""], [list(item) for item in versions.items()], n_labels=2)], folded=True),
    ]


def _value(config: RunConfig, name: str) -> str:
    value = getattr(config, name)
    return "not given" if value is None else str(value)

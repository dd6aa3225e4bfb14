"""The table that compares methods: what each ended with, how sure that is, and how soon it got there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ..names import known
from .curves import Curves, gather_curves
from .scores import area_under_curve, final_return, steps_to_level
from .statistics import Interval, few_seeds, iqm, probability_of_improvement, stratified_bootstrap


class Comparison(NamedTuple):
    """A table of methods, before it is set in any type.

    Attributes:
        header: What the columns are.
        rows: Cells as text, one row for each method on each task.
        notes: Sentences that belong to it, such as that seeds are few.
    """

    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def comparison_table(rows: Iterable[Mapping], **options: object) -> str:
    """The :func:`comparison` of methods in markdown.

    Args:
        rows: One for each evaluation, as `gather_curves` takes them.
        options: As `comparison` takes them.

    Returns:
        Markdown, without a newline at the end.

    Raises:
        ValueError: As `comparison`.

    Example:
        >>> rows = [
        ...     dict(method=method, task="Ant-v5", seed=seed, step=step, mean_return=100 * seed + step * gain)
        ...     for method, gain in (("anf", 20), ("dense", 10)) for seed in range(3) for step in range(10, 60, 10)
        ... ]
        >>> print(comparison_table(rows))
        | task | method | seeds | final return, IQM | 95 % interval | area under curve, IQM |
        | --- | --- | ---: | ---: | ---: | ---: |
        | Ant-v5 | anf | 3 | 1,100 | 1,000 to 1,200 | 700 |
        | Ant-v5 | dense | 3 | 600 | 500 to 700 | 400 |
        <BLANKLINE>
        anf on Ant-v5, dense on Ant-v5: 3 seeds: too few for a claim, which takes 5.
    """
    found = comparison(rows, **options)
    rule = ["---"] * 2 + ["---:"] * (len(found.header) - 2)
    escaped = [[cell.replace("|", r"\|") for cell in cells] for cells in found.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (found.header, rule, *escaped)]
    return "\n".join([*lines, *(line for note in found.notes for line in ("", note))])


def comparison(
    rows: Iterable[Mapping],
    *,
    baseline: str | None = None,
    levels: Mapping[str, float] | None = None,
    until: int | None = None,
) -> Comparison:
    """A table with a row for each method on each task, and a warning where seeds are few.

    Args:
        rows: One for each evaluation, as `gather_curves` takes them.
        baseline: A method; the table then tells how likely a run of each other one beats a run of this one.
        levels: By task, a return; the table then tells when it is first reached, as `steps_to_level` has it.
        until: Leave out evaluations after this environment step.

    Returns:
        The table. Intervals are bootstraps of 95 %; there is none for a single run.

    Raises:
        ValueError: As `gather_curves`; if ``baseline`` or a task of ``levels`` has no rows, or methods were trained for
            different numbers of steps on one task.
    """
    curves = gather_curves(rows, until)
    if baseline is not None:
        known(baseline, {method: None for methods in curves.values() for method in methods}, "baseline")
    for task in levels or ():
        known(task, curves, "levels")
    header = ["task", "method", "seeds", "final return, IQM", "95 % interval", "area under curve, IQM"]
    header += ["steps to level, median"] if levels else []
    header += [f"P(better than {baseline})"] if baseline else []
    cells: list[list[str]] = []
    for task, methods in curves.items():
        _require_one_length(task, methods)
        for method, runs in methods.items():
            cells.append([task, method, *_result_cells(runs)])
            cells[-1] += [_level_cell(runs, levels.get(task))] if levels else []
            cells[-1] += [_improvement_cell(runs, None if method == baseline else methods.get(baseline))] if baseline else []
    notes = _warnings(curves)
    if levels:
        given = ", ".join(f"{task} {_number(level)}" for task, level in levels.items())
        notes.insert(0, f"Level: {given}; reached when the mean of three evaluations is.")
    return Comparison(header, cells, notes)


def _result_cells(runs: Curves) -> list[str]:
    final = stratified_bootstrap(final_return(runs.returns), iqm)
    area = iqm(area_under_curve(runs.steps, runs.returns)) if len(runs.steps) > 1 else np.nan
    return [str(len(runs.seeds)), _number(final.point), _span(final), _number(area)]


def _level_cell(runs: Curves, level: float | None) -> str:
    if level is None:
        return ""
    return _with_span(stratified_bootstrap(steps_to_level(runs.steps, runs.returns, level), np.median))


def _improvement_cell(runs: Curves, baseline: Curves | None) -> str:
    if baseline is None:
        return ""
    finals = final_return(runs.returns), final_return(baseline.returns)
    return _with_span(stratified_bootstrap(finals, probability_of_improvement))


def _with_span(interval: Interval) -> str:
    span = _span(interval)
    return f"{_number(interval.point)} ({span})" if span else _number(interval.point)


def _span(interval: Interval) -> str:
    return "" if np.isnan(interval.low) else f"{_number(interval.low)} to {_number(interval.high)}"


def _number(value: float) -> str:
    """Whole numbers from 100 on, three digits below; a step that never came is infinite."""
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _require_one_length(task: str, methods: Mapping[str, Curves]) -> None:
    ends = {method: int(runs.steps[-1]) for method, runs in methods.items()}
    if len(set(ends.values())) > 1:
        given = ", ".join(f"{method} to step {end}" for method, end in ends.items())
        raise ValueError(f"methods on {task} must be trained equally long to be compared, not {given}; until=... cuts them.")


def _warnings(curves: Mapping[str, Mapping[str, Curves]]) -> list[str]:
    """One sentence for each number of seeds that is too small."""
    few: dict[int, list[str]] = {}
    for task, methods in curves.items():
        for method, runs in methods.items():
            if few_seeds(len(runs.seeds)):
                few.setdefault(len(runs.seeds), []).append(f"{method} on {task}")
    return [f"{', '.join(whose)}: {few_seeds(n_seeds)}" for n_seeds, whose in sorted(few.items())]

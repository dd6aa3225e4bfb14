"""Several runs as methods on tasks: what they have in common is left unsaid, what differs names them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..training.config import AGENT, ALSO_OF_THE_AGENT, HYPERPARAMETERS, RunConfig
from ..training.launch import experiment, run_hash
from ..training.options import options_in, spelling
from .runs import RunRecord

_METHOD, _TASK = ("algo", "recipe"), ("env", "noise")
_OF_METHODS = {*options_in(RunConfig, AGENT, HYPERPARAMETERS), *ALSO_OF_THE_AGENT}


@dataclass(frozen=True, eq=False)
class Group:
    """The runs on one task.

    Attributes:
        task: What they are on, with the options that differ from those of other tasks.
        methods: Their runs by method, in the order of the runs.
        left_out: Sentences about runs that are not compared.
    """

    task: str
    methods: dict[str, list[RunRecord]]
    left_out: list[str]

    def rows(self) -> list[dict[str, Any]]:
        """One for each evaluation, as :func:`siftrl.reports.curves.gather_curves` takes them.

        Runs that go on still are compared as far as all of them have got.
        """
        runs = [run for of_method in self.methods.values() for run in of_method]
        until = min(int(run.steps[-1]) for run in runs)
        return [
            {"method": method, "task": self.task, "seed": run.config.seed, "step": int(step), "mean_return": float(mean)}
            for method, of_method in self.methods.items()
            for run in of_method
            for step, mean in zip(run.steps, run.returns.mean(1), strict=True)
            if step <= until
        ]


def group_runs(runs: Sequence[RunRecord]) -> list[Group]:
    """Sort runs by task and method, in the order in which they come.

    Of runs with the same options and seed one counts: that whose curve begins first and, of several, that of most steps. A
    curve that begins later than others, as that of a run from a saved model does, is left out. Where some runs on a task are
    finished, those that are not are left out; where none is, all are compared.
    """
    groups = []
    for by_task in _split(runs, _TASK).values():
        of_task = {field.name for field in fields(RunConfig)} - _OF_METHODS
        groups += [_group(task, alike) for task, alike in _named(by_task, _task_name, of_task).items()]
    return groups


def _split(runs: Iterable[RunRecord], options: Collection[str]) -> dict[tuple, list[RunRecord]]:
    """Runs by the values of ``options``, as far as these decide what runs find."""
    parts: dict[tuple, list[RunRecord]] = {}
    for run in runs:
        values = tuple(value for name, value in experiment(run.config).items() if name in options and name != "seed")
        parts.setdefault(values, []).append(run)
    return parts


def _named(
    runs: Sequence[RunRecord], name: Callable[[RunConfig], str], options: Collection[str]
) -> dict[str, list[RunRecord]]:
    """Runs by the values of ``options``, each part named by those in which it differs from another."""
    parts = list(_split(runs, options).values())
    settings = [experiment(part[0].config) for part in parts]
    differing = [option for option in settings[0] if option in options and option not in (*_TASK, *_METHOD, "seed")]
    differing = [option for option in differing if any(other[option] != settings[0][option] for other in settings)]
    for digits in (4, 17):
        named = {_label(name(part[0].config), part[0].config, differing, digits): part for part in parts}
        if len(named) == len(parts):  # else two values look alike with so few digits
            break
    return named


def _task_name(config: RunConfig) -> str:
    return f"{config.env}, noise {config.noise:g}"


def _method_name(config: RunConfig) -> str:
    return f"{config.algo} {config.recipe}"


def _label(head: str, config: RunConfig, differing: Sequence[str], digits: int) -> str:
    """A name and the options that differ; where one is the recipe's own, nothing is said."""
    values = {option: getattr(config, option) for option in differing}
    words = {option: f"{value:.{digits}g}" if isinstance(value, float) else str(value) for option, value in values.items()}
    return ", ".join([head, *(f"{spelling(option)} {words[option]}" for option in words if values[option] is not None)])


def _group(task: str, runs: Sequence[RunRecord]) -> Group:
    left_out = []
    longest: dict[str, RunRecord] = {}
    for run in runs:
        other = longest.setdefault(run_hash(run.config), run)
        if other is not run:
            kept, repeated = (run, other) if _span(run) > _span(other) else (other, run)
            longest[run_hash(run.config)] = kept
            left_out.append(f"{repeated.name} has the options and the seed of {kept.name}, and is not counted again.")
    distinct = list(longest.values())
    first = min(run.steps[0] for run in distinct)
    left_out += [
        f"{run.name} has no evaluation before step {run.steps[0]:,}; others have from step {first:,} on."
        for run in distinct
        if run.steps[0] > first
    ]
    distinct = [run for run in distinct if run.steps[0] == first]
    if any(run.is_finished for run in distinct):
        left_out += [
            f"{run.name} has come to step {run.timesteps:,} of {run.config.n_timesteps:,}."
            for run in distinct
            if not run.is_finished
        ]
        distinct = [run for run in distinct if run.is_finished]
    return Group(task, _named(distinct, _method_name, _OF_METHODS), left_out)


def _span(run: RunRecord) -> tuple[int, int]:
    """Larger for a curve that begins earlier and, of several such, for one that ends later."""
    return -int(run.steps[0]), int(run.steps[-1])

"""What a search has found: tables, ``best.toml`` for a study, and a figure."""

from __future__ import annotations

import warnings
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.table import Table

from ..reports.statistics import Interval, difference, few_seeds, iqm, stratified_bootstrap
from ..training.atomic import atomic_write, atomic_write_text
from ..training.options import spelling
from ..training.report import show
from .comparison import Comparison, last_comparison
from .figure import search_figure
from .parameters import as_method, short
from .plan import Plan
from .seeds import named
from .trial import OWN

BEST, FIGURE = "best.toml", "search.png"
_SHOWN = 10
_WHOLE_FOR_IMPORTANCE = 10


def report(study: optuna.Study, plan: Plan, folder: Path) -> None:
    """Print the tables, and write ``best.toml`` and ``search.png`` into ``folder``.

    Without a whole trial there is nothing to show but their number.
    """
    trials = study.get_trials(deepcopy=False)
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    print(count(trials))
    if not whole:
        return
    show(trial_table(whole, list(plan.space)))
    if len(whole) >= _WHOLE_FOR_IMPORTANCE and len(plan.space) > 1:
        show(importance_table(study))
    best = study.best_trial
    comparison = last_comparison(folder)
    if comparison is not None and comparison.trial == best.number:
        show(comparison_table(comparison))
    atomic_write_text(folder / BEST, best_toml(plan, best, len(trials)))
    with atomic_write(folder / FIGURE) as file:
        search_figure(trials, plan.space).savefig(file, dpi=150, format="png")
    print(f"The best parameters, for a study: {folder / BEST}. All trials: {folder / FIGURE}")


def count(trials: list[FrozenTrial]) -> str:
    """How many trials there are in each state, in words."""
    words = {
        TrialState.COMPLETE: "whole",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "not finished",
    }
    numbers = {word: sum(trial.state == state for trial in trials) for state, word in words.items()}
    parts = ", ".join(f"{number} {word}" for word, number in numbers.items() if number)
    total = sum(numbers.values())
    return f"{total} trial{'' if total == 1 else 's'}{': ' + parts if parts else ''}."


def trial_table(whole: list[FrozenTrial], names: list[str]) -> Table:
    """The best whole trials with their parameters, value and environment steps; the recipe's own wherever it stands."""
    table = Table(
        title="Best trials",
        title_justify="left",
        caption="value: mean over the tuning seeds of the return at the end; the best of many was lucky as well: test it\n"
        "* the recipe's own values",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for heading in ("trial", "value", "steps", *(spelling(name).replace("-", " ") for name in names)):
        table.add_column(heading, justify="right")
    ranked = sorted(whole, key=lambda trial: trial.value, reverse=True)
    for rank, trial in enumerate(ranked):
        if rank >= _SHOWN and OWN not in trial.user_attrs:
            continue
        values = [short(trial.params[name]) if name in trial.params else "-" for name in names]
        star = "* " if OWN in trial.user_attrs else ""
        table.add_row(f"{star}{trial.number}", f"{trial.value:,.1f}", f"{trial.last_step:,}", *values)
    return table


def importance_table(study: optuna.Study) -> Table:
    """How much each parameter tells of whether a whole trial is among the best (PED-ANOVA), in shares.

    Source:
        Watanabe et al., PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces (IJCAI 2023).
    """
    table = Table(title="Importance", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("parameter")
    table.add_column("share", justify="right")
    with warnings.catch_warnings():
        # The recipe's own trial may lack a parameter, which Optuna finds worth a warning.
        warnings.simplefilter("ignore", UserWarning)
        importances = optuna.importance.get_param_importances(study)
    for name, share in importances.items():
        table.add_row(spelling(name), f"{share:.0%}")
    return table


def comparison_table(comparison: Comparison) -> Table:
    """The best parameters beside the recipe's own on the test seeds: interquartile means and 95 % intervals."""
    n_seeds = len(comparison.seeds)
    table = Table(
        title=f"Test on {named(comparison.seeds)}, which the search never saw",
        title_justify="left",
        caption=few_seeds(n_seeds) or None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("")
    for heading in ("seeds", "return (IQM)", "95 % interval"):
        table.add_column(heading, justify="right")
    rows = {
        f"best (trial {comparison.trial})": stratified_bootstrap(comparison.best, iqm),
        "the recipe's own": stratified_bootstrap(comparison.own, iqm),
        "difference": difference(comparison.best, comparison.own),
    }
    for label, interval in rows.items():
        table.add_row(label, str(n_seeds), f"{interval.point:,.1f}", _ends(interval))
    return table


def _ends(interval: Interval) -> str:
    return f"{interval.low:,.1f} to {interval.high:,.1f}" if interval.low == interval.low else "-"


def best_toml(plan: Plan, best: FrozenTrial, n_trials: int) -> str:
    """The best trial as a method of a study file."""
    base = plan.base
    config = plan.config({} if OWN in best.user_attrs else best.params, base.seed)
    return (
        f"# Best of {n_trials} trials of {base.n_timesteps} environment steps on {plan.tuning_seeds} tuning seeds "
        f"of {base.env}, noise {base.noise:g}: {best.value:.1f}.\n{as_method(config, 'best')}"
    )

"""A trial: runs with one set of parameters, judged while they train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from ..reports.scores import final_return
from ..training.stopping import StopRequest
from .plan import Plan
from .seeds import seeds_for_tuning
from .space import distributions
from .trial_runs import MachineFailed, RunFailed, TrialRuns

#: User attributes of a trial: that it is the recipe's own values, and why it failed.
OWN, FAILURE = "own", "failure"
RUNS = "runs"


def draw(trial: optuna.Trial, plan: Plan) -> None:
    """Give the trial its parameters, or those that a kill kept from it; the recipe's own trial has them already."""
    wanted = distributions(plan.space)
    if OWN in trial.user_attrs:
        wanted = {name: wanted[name] for name in plan.own_parameters()}
    for name, values in wanted.items():
        _suggest(trial, name, values)


def carry_out(trial: optuna.Trial, plan: Plan, folder: Path, *, workers: int, stop: StopRequest) -> None:
    """Train and judge a trial, and tell the study; a trial that was interrupted goes on.

    Its value is the mean over its seeds of the final return; parameters that an earlier trial had are not trained again.
    Its runs are judged one after another, also where they train side by side, so that the number of workers changes nothing
    but the time. The recipe's own trial is never pruned: it is what the others are compared with.

    Args:
        trial: which runs, with its parameters.
        plan: of the search.
        folder: of the search.
        workers: runs at a time.
        stop: asks to stop; the trial then stays unfinished.

    Raises:
        Stopped: once a stop is asked for.
        MachineFailed: where the disk or the memory fails a run; the trial then stays unfinished.
    """
    if _took_over(trial):
        return
    # The recipe's own trial is run without any parameter: a value may have no place in the space, or no number.
    own = OWN in trial.user_attrs
    configs = [plan.config({} if own else trial.params, seed) for seed in seeds_for_tuning(plan.tuning_seeds)]
    with TrialRuns(configs, folder / RUNS, workers=workers, stop=stop) as runs:
        try:
            value = _judge(trial, runs, plan.base.n_timesteps, prune=not own)
        except optuna.TrialPruned:
            trial.study.tell(trial, state=TrialState.PRUNED)
            runs.abandon()
        except MachineFailed:
            raise
        except RunFailed as failure:
            trial.set_user_attr(FAILURE, str(failure))
            trial.study.tell(trial, state=TrialState.FAIL)
            runs.abandon()
        else:
            trial.study.tell(trial, value)
            runs.forget_checkpoints()


def _took_over(trial: optuna.Trial) -> bool:
    """Give the trial the value of an earlier one with its parameters, or give it up where that one still runs: same runs."""
    if OWN in trial.user_attrs:
        return False
    for other in trial.study.get_trials(deepcopy=False)[: trial.number]:
        if other.params != trial.params or OWN in other.user_attrs:
            continue
        if other.state == TrialState.COMPLETE:
            trial.study.tell(trial, other.value)
            return True
        if other.state == TrialState.RUNNING:
            trial.set_user_attr(FAILURE, f"trial {other.number}, which is not over, has the same parameters")
            trial.study.tell(trial, state=TrialState.FAIL)
            return True
    return False


def _judge(trial: optuna.Trial, runs: TrialRuns, n_timesteps: int, prune: bool) -> float:
    """The trial's value. A step of the trial is an environment step, counted through its runs."""
    known = trial.study.trials[trial.number].intermediate_values
    reported = max(known, default=-1)
    finals: list[float] = []
    for index in range(len(runs.configs)):
        returns = []
        for steps, value in runs.evaluations(index):
            returns.append(value)
            step = index * n_timesteps + steps
            if step < reported:
                continue
            if step > reported:
                trial.report(float(np.mean([*finals, value])), step)
            if prune and trial.should_prune():
                raise optuna.TrialPruned
        finals.append(final_return(returns))
    return float(np.mean(finals))


def _suggest(trial: optuna.Trial, name: str, values: optuna.distributions.BaseDistribution) -> None:
    if isinstance(values, optuna.distributions.CategoricalDistribution):
        trial.suggest_categorical(name, values.choices)
    elif isinstance(values, optuna.distributions.IntDistribution):
        trial.suggest_int(name, values.low, values.high, log=values.log)
    else:
        trial.suggest_float(name, values.low, values.high, log=values.log)

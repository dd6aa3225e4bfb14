"""The search: trials one after another, by this process and by others that work on the same folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from ..training.file_lock import FileLock
from ..training.stopping import Stopped, StopRequest
from .parameters import in_words
from .plan import Plan, keep_plan
from .storage import open_study
from .trial import FAILURE, OWN, carry_out, draw
from .trial_runs import RunFailed

_LOCKS = "locks"
_WARMUP_SHARE = 1 / 3  # of a trial's first run, in which nothing is pruned


def study_of(plan: Plan, folder: Path) -> optuna.Study:
    """The Optuna study of the search in ``folder``."""
    warmup_steps = int(_WARMUP_SHARE * plan.base.n_timesteps)
    return open_study(folder, plan.space, sampler_seed=plan.sampler_seed, warmup_steps=warmup_steps)


def search(
    plan: Plan, folder: Path, trials: int, *, workers: int, stop: StopRequest, announce: Callable[[str], None]
) -> optuna.Study:
    """Carry out trials until there are ``trials``, those of earlier calls and of other processes included.

    The first one has the recipe's own values. A trial that a kill interrupted is continued before a new one begins: each
    trial is locked by the process that carries it out, and the lock ends with that.

    Args:
        plan: what is searched.
        folder: where; the same one goes on with a search.
        trials: how many in all.
        workers: runs at a time.
        stop: once this asks to stop, the trial's runs save, and no other begins.
        announce: receives one line for each trial.

    Returns:
        The study.

    Raises:
        ValueError: where the search in ``folder`` is another one.
        RunFailed: where the recipe's own values cannot be trained with.
    """
    (folder / _LOCKS).mkdir(parents=True, exist_ok=True)
    with _claims(folder):
        keep_plan(plan, folder)
    study = study_of(plan, folder)
    while stop.signal is None:
        claimed = _claim(study, plan, folder, trials)
        if claimed is None:
            return study
        trial, lock = claimed
        started = time.monotonic()
        try:
            draw(trial, plan)
            carry_out(trial, plan, folder, workers=workers, stop=stop)
        except Stopped:
            return study
        finally:
            lock.release()
        ended = study.trials[trial.number]
        announce(_line(study, ended, trials, time.monotonic() - started))
        if OWN in ended.user_attrs and ended.state == TrialState.FAIL:
            raise RunFailed(f"the recipe's own values cannot be trained with: {ended.user_attrs[FAILURE]}")
    return study


def unfinished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that have begun and not ended, whether or not somebody carries them out."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def test_lock(folder: Path) -> FileLock:
    """Held by the process that tests what was found in ``folder``."""
    return FileLock(folder / _LOCKS / "test")


def _claims(folder: Path) -> FileLock:
    """Held while a process looks for a trial: none is then between its creation and its lock."""
    return FileLock(folder / _LOCKS / "claims")


def _claim(study: optuna.Study, plan: Plan, folder: Path, trials: int) -> tuple[optuna.Trial, FileLock] | None:
    """A trial that nobody carries out, and its lock; ``None`` where there are enough."""
    with _claims(folder):
        for frozen in unfinished(study):
            lock = FileLock(folder / _LOCKS / str(frozen.number))
            if not lock.try_acquire():
                continue
            # Whoever had the lock may have come to the trial's end since the list was made.
            if frozen.number in [trial.number for trial in unfinished(study)]:
                return optuna.Trial(study, frozen._trial_id), lock
            lock.release()
        # The recipe's own values are tried again until that succeeds; what failed with them counts for nothing.
        counted = [frozen for frozen in study.get_trials(deepcopy=False) if not _is_failed_own(frozen)]
        if sum(frozen.state != TrialState.WAITING for frozen in counted) >= trials:
            return None
        if not any(OWN in frozen.user_attrs for frozen in counted):
            study.enqueue_trial(plan.own_parameters(), user_attrs={OWN: True})
        trial = study.ask()
        lock = FileLock(folder / _LOCKS / str(trial.number))
        lock.acquire()
        return trial, lock


def _is_failed_own(trial: FrozenTrial) -> bool:
    return OWN in trial.user_attrs and trial.state == TrialState.FAIL


def _line(study: optuna.Study, trial: FrozenTrial, trials: int, seconds: float) -> str:
    results = {
        TrialState.COMPLETE: lambda: f"{trial.value:,.1f}",
        TrialState.PRUNED: lambda: f"pruned at step {trial.last_step:,}",
        TrialState.FAIL: lambda: f"failed: {trial.user_attrs[FAILURE]}",
    }
    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = f"best {study.best_value:,.1f} (trial {study.best_trial.number})" if whole else "no whole trial yet"
    return f"trial {trial.number:>3} of {trials}: {in_words(trial)}: {results[trial.state]()}; {best}; {seconds:,.0f} s"

"""Where a search keeps its trials: Optuna's journal, a file that several processes share and that survives their kills."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ..training.file_lock import FileLock
from .sampler import SteadyTPE
from .space import Space, distributions

JOURNAL = "journal.log"


class JournalLock(FileLock):
    """Keeps two processes from writing to the journal at once, and cuts off the line that a kill broke off.

    Optuna's own locks outlive a killed process by half a minute, and one whose path is relative for ever. A broken line
    would merge with the next one, and the journal would be unreadable from there on.

    Args:
        journal: the journal's file.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(journal.with_name(f"{journal.name}.lock"))
        self.journal = journal

    def acquire(self) -> bool:
        """Wait until nobody else writes."""
        super().acquire()
        if self.journal.exists():
            cut_broken_line(self.journal)
        return True


def cut_broken_line(path: Path) -> None:
    """Cut off what stands behind the last line break in the file at ``path``."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def open_study(folder: Path, space: Space, *, sampler_seed: int, warmup_steps: int) -> optuna.Study:
    """The study in ``folder``, which exists; a new one where there is none.

    Trials are drawn by TPE, and pruned by the median rule: a trial stops when its best evaluation so far is below the
    median of what the whole trials had at the same step. Halving by rungs, as in Hyperband, needs many more trials than an
    agent's training leaves time for, and cuts most of them before the first rewirings; learning curves cross after that.

    Args:
        folder: of the search.
        space: what is searched.
        sampler_seed: of all draws.
        warmup_steps: environment steps before which no trial is pruned.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = folder / JOURNAL
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal), JournalLock(journal))),
        study_name="search",
        direction="maximize",
        load_if_exists=True,
        sampler=SteadyTPE(distributions(space), sampler_seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup_steps),
    )

"""Optuna's TPE sampler with draws of its own for each trial, so that a search that was killed goes on as it would have."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial


class SteadyTPE(BaseSampler):
    """TPE over all parameters jointly, seeded for each trial and parameter anew.

    Optuna's sampler draws from one generator, whose state is lost with the process: the trials after a kill would be other
    ones. Here a trial's parameters depend on the seed, the trial's number and the trials that ended before.

    Args:
        space: the distribution of each parameter.
        seed: of all draws.

    Source:
        Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011); jointly: Falkner et al. (ICML 2018).
    """

    def __init__(self, space: dict[str, BaseDistribution], seed: int) -> None:
        self._space, self._seed = space, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters, those that the defaults lack included."""
        return {name: values for name, values in self._space.items() if not values.single()}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Values of all parameters, once enough trials have ended to model them."""
        return self._tpe(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, as long as too few trials have ended."""
        return self._tpe(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def _tpe(self, trial: FrozenTrial, name: str = "") -> TPESampler:
        entropy = (self._seed, trial.number, crc32(name.encode()))
        # Trials that still run in other processes count as poor ones, so that two processes try different things.
        return TPESampler(seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]), constant_liar=True)

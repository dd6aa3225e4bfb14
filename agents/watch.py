"""Watch what an agent reads, and notice when it can hardly be what it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from .forecast import Forecast, fit_forecast, has_failed
from .recent_experience import RecentExperience

ROWS = 50  # that are compared with a forecast, each a step of every environment


class Watch:
    """Compare features with a linear forecast of them, 50 rows at a time.

    Args:
        recent: Where forecasts come from, and what they are compared with.
    """

    def __init__(self, recent: RecentExperience) -> None:
        self.recent = recent
        self._forecast: Forecast | None = None
        self._n_seen = 0  # rows that have been compared, or never will be
        self._rests_until = 0  # rows that are recorded by then

    def get_state(self) -> dict[str, Any]:
        """The forecast and the counts, as plain values and arrays."""
        forecast = self._forecast and self._forecast._asdict()
        return {"forecast": forecast, "n_seen": self._n_seen, "rests_until": self._rests_until}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`."""
        self._forecast = state["forecast"] and Forecast(**state["forecast"])
        self._n_seen, self._rests_until = state["n_seen"], state["rests_until"]

    def expect(self, features: np.ndarray, n_steps: int) -> None:
        """Forecast these features, int64, from the newest environment steps, at most so many."""
        self._forecast = fit_forecast(*self.recent.transitions(n_steps), features)
        self._n_seen = self.recent.n_recorded

    def rest(self, n_steps: int) -> None:
        """Notice nothing for so many environment steps."""
        self._rests_until = self.recent.n_recorded + self.recent.n_rows(n_steps)

    def notices(self) -> bool:
        """Whether 50 rows have come since the last ones, and the forecast has failed in them in every environment."""
        if self._forecast is None or self.recent.n_recorded - self._n_seen < ROWS:
            return False
        self._n_seen = self.recent.n_recorded
        if self.recent.n_recorded < self._rests_until:
            return False
        n_envs = self.recent.model.n_envs
        newest = self.recent.transitions(ROWS * n_envs)
        if len(newest[0]) < ROWS * n_envs:
            return False
        return all(has_failed(self._forecast, *(part[env::n_envs] for part in newest)) for env in range(n_envs))

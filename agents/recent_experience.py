"""The newest transitions of a replay, with the impulses behind their actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from .replay_rows import newest_rows, observed, require_own_rows
from .screening import Experience


class RecentExperience:
    """What an agent did of late and what came of it, as far back as to the moment that it was told to begin with.

    A row is a step of every environment; rows of transitions are in the order in which they were made, environments taking
    turns.

    Args:
        model: Whose replay holds the transitions.
        n_steps: Environment steps whose impulses are remembered.

    Attributes:
        n_recorded: Rows that have been recorded in all.

    Raises:
        ValueError: If the replay cannot be looked into, see :func:`~siftrl.agents.replay_rows.require_own_rows`.
    """

    def __init__(self, model: OffPolicyAlgorithm, n_steps: int) -> None:
        require_own_rows(model.replay_buffer)
        self.model = model
        self.n_recorded = 0
        self._impulses = np.zeros((self.n_rows(n_steps), model.n_envs, model.replay_buffer.action_dim), np.float32)
        self._first = 0  # of what is recorded, the first row that is shown
        self._paused_at = self._end_of_replay()

    def get_state(self) -> dict[str, Any]:
        """The impulses and the counts; the transitions are the replay's own."""
        return {"impulses": self._impulses, "n_recorded": self.n_recorded, "first": self._first}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`."""
        self._impulses, self.n_recorded, self._first = state["impulses"], state["n_recorded"], state["first"]

    def record(self, impulses: np.ndarray) -> None:
        """Remember the impulses, float32 ``(n_envs, n_actions)``, of the transition that the replay gets next."""
        self._impulses[self.n_recorded % len(self._impulses)] = impulses
        self.n_recorded += 1

    def drop_last(self) -> None:
        """Forget the newest impulses: their transition has not come into the replay."""
        self.n_recorded -= 1

    def pause(self) -> None:
        """Training ends, maybe for now."""
        self._paused_at = self._end_of_replay()

    def go_on(self) -> None:
        """Training goes on; where the replay has changed in between, nothing is shown from before."""
        if self._paused_at != self._end_of_replay():
            self.begin_with(0)

    def begin_with(self, n_steps: int) -> None:
        """From now on show nothing from before the newest environment steps, so many."""
        self._first = max(self._first, self.n_recorded - self.n_rows(n_steps))

    def n_rows(self, n_steps: int) -> int:
        """Rows that so many environment steps take."""
        return -(-n_steps // self.model.n_envs)

    def rows(self, n_steps: int) -> np.ndarray:
        """Where the replay has the newest environment steps, at most so many: int64 ``(n_rows,)``, the newest last."""
        n_rows = min(self.n_rows(n_steps), self.n_recorded - self._first, len(self._impulses))
        return newest_rows(self.model.replay_buffer, n_rows)

    def transitions(self, n_steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both observations and the action of the newest environment steps, at most so many: float32 ``(n, …)`` each."""
        rows, buffer = self.rows(n_steps), self.model.replay_buffer
        return *observed(buffer, rows), buffer.actions[rows].reshape(len(rows) * buffer.n_envs, -1)

    def experience(self, n_steps: int) -> Experience:
        """The newest environment steps, at most so many, as :func:`~siftrl.agents.screening.screen` examines them."""
        buffer, rows = self.model.replay_buffer, self.rows(n_steps)
        here, there = observed(buffer, rows)
        impulses = self._impulses[np.arange(self.n_recorded - len(rows), self.n_recorded) % len(self._impulses)]
        ended = np.cumsum(buffer.dones[rows], axis=0) - buffer.dones[rows]
        episodes = (ended * buffer.n_envs + np.arange(buffer.n_envs)).reshape(-1).astype(np.int64)
        rewards = buffer.rewards[rows].reshape(-1)
        return Experience(here, there, impulses.reshape(len(here), -1), rewards, buffer.n_envs, episodes)

    def _end_of_replay(self) -> tuple[int, bool]:
        return self.model.replay_buffer.pos, self.model.replay_buffer.full

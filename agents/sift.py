"""Sift: an agent that experiments with its actions, and reads those features alone that answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .feature_reader import FeatureReader
from .impulses import impulses
from .replay_rows import forget_oldest, n_filled, newest_rows, observed, require_own_rows
from .screening import Experience, screen

_FEWEST_STEPS = 100  # environment steps from which something can be learnt


class Sift(FeatureReader):
    """Let the actor and the critics of SAC or TD3, stock SB3's or ours, read the features that belong to the task alone.

    The features of the newest transitions are examined (:func:`~siftrl.agents.screening.screen`) when the warm-up is over,
    before the first update, and then every ``period_steps`` environment steps. Those that are accepted are linked to all
    neurons of the first layers; links to others do not exist. When features are accepted for the first time, nothing has
    been learnt yet that is worth keeping, and the first layers are drawn anew; later links start at zero.

    An accepted feature stays, until the sensors have moved: when of the features that answer in the last period more are
    new than known, the known ones are given up, the first layers are drawn anew, and the replay forgets what was seen
    before that period.

    Args:
        period_steps: Environment steps between two examinations.
        window_steps: Environment steps that an examination looks back, at most.
        false_discovery_rate: Expected share of noise among the accepted features. The k-th examination since the sensors
            last moved may spend ``1 / (k (k + 1))`` of it.
        verbose: See SB3.

    Attributes:
        accepted: bool ``(n_features,)``: what is read.
        n_moves: How often the sensors have moved.

    Raises:
        ValueError: If an argument is out of its range; or, when training starts, if a first layer is not sparse, or the
            replay cannot be looked into.

    Source:
        Ours; for the examination see :mod:`siftrl.agents.screening`. What it assumes stands there.

    Example:
        >>> from siftrl.agents import SAC
        >>> from siftrl.envs import make_ene
        >>> env, sift = make_ene("Hopper-v5", noise_fraction=0.95), Sift()
        >>> model = SAC("SparseMlpPolicy", env, policy_kwargs=dict(recipe="sift"), learning_starts=500, seed=0)
        >>> _ = model.learn(510, callback=sift)
        >>> sift.accepted.nonzero()[0]
        array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10])
    """

    def __init__(
        self,
        period_steps: int = 1_000,
        window_steps: int = 2_500,
        false_discovery_rate: float = 0.001,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if period_steps < _FEWEST_STEPS:
            raise ValueError(f"period_steps={period_steps} must be at least {_FEWEST_STEPS} environment steps")
        if window_steps < period_steps:
            raise ValueError(f"window_steps={window_steps} must be at least period_steps={period_steps}")
        if not 0 < false_discovery_rate < 1:
            raise ValueError(f"false_discovery_rate={false_discovery_rate} must be between 0 and 1")
        self.period_steps, self.window_steps = period_steps, window_steps
        self.false_discovery_rate = false_discovery_rate
        self._n_recorded = 0
        self._n_examinations = 0

    def _init_callback(self) -> None:
        super()._init_callback()
        require_own_rows(self.model.replay_buffer)
        if self._n_recorded:
            return  # training goes on
        n_rows, n_envs = self._n_rows(self.window_steps), self.training_env.num_envs
        self._impulses = np.zeros((n_rows, n_envs, self.model.action_space.shape[0]), np.float32)
        self._next = max(self.model.learning_starts, self.num_timesteps + _FEWEST_STEPS)

    def get_state(self) -> dict[str, Any]:
        """What was found, the impulses of the window, and when the next examination is due, as plain values and arrays."""
        return {
            **super().get_state(),
            "impulses": self._impulses,
            "n_recorded": self._n_recorded,
            "n_examinations": self._n_examinations,
            "next": self._next,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started."""
        super().set_state(state)
        self._impulses, self._next = state["impulses"], state["next"]
        self._n_recorded, self._n_examinations = state["n_recorded"], state["n_examinations"]

    def _on_step(self) -> bool:
        n_envs = self.training_env.num_envs
        is_warm_up = self.num_timesteps - n_envs < self.model.learning_starts
        row = self._n_recorded % len(self._impulses)
        self._impulses[row] = impulses(self.model, self.locals["buffer_actions"], is_warm_up)
        self._n_recorded += 1
        return super()._on_step()

    def _on_rollout_start(self) -> None:
        # Now the replay holds every transition whose impulse was recorded.
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.period_steps
            self.examine()

    def examine(self) -> None:
        """Examine the features in the newest transitions, and link the networks to those that are accepted."""
        self._n_examinations += 1
        recent = screen(self._experience(self.period_steps), None, self._rate()).accepted
        if (recent & ~self.accepted).sum() > (recent & self.accepted).sum():
            self._follow(recent)
        accepted = screen(self._experience(self.window_steps), self.accepted, self._rate()).accepted
        if (accepted & ~self.accepted).any():
            self.link(self.accepted | accepted)

    def _follow(self, accepted: np.ndarray) -> None:
        """Read these features instead of those that are read, if any are."""
        self.start_anew(accepted)
        if self.n_moves:
            self._n_examinations = 1
            buffer = self.model.replay_buffer
            forget_oldest(buffer, n_filled(buffer) - len(newest_rows(buffer, self._n_rows(self.period_steps))))

    def _rate(self) -> float:
        # Adds up to the whole rate, however often features are examined.
        return self.false_discovery_rate / (self._n_examinations * (self._n_examinations + 1))

    def _n_rows(self, n_steps: int) -> int:
        return -(-n_steps // self.training_env.num_envs)

    def _experience(self, n_steps: int) -> Experience:
        buffer = self.model.replay_buffer
        rows = newest_rows(buffer, min(self._n_rows(n_steps), self._n_recorded))
        here, there = observed(buffer, rows)
        recorded = self._impulses[np.arange(self._n_recorded - len(rows), self._n_recorded) % len(self._impulses)]
        return Experience(here, there, recorded.reshape(len(here), -1), buffer.rewards[rows].reshape(-1))

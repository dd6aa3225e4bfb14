"""Sift: an agent that experiments with its actions, and reads those features alone that answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .change_point import change_point
from .feature_reader import FeatureReader
from .impulses import impulses
from .recent_experience import RecentExperience
from .recognition import Match, Signatures, recognise, signatures
from .replay_rows import forget_oldest, n_filled, newest_rows, observed, reorder
from .screening import screen
from .watch import Watch

_FEWEST_STEPS = 100  # environment steps from which something can be learnt
_SURE = 3.0  # margin from which a match is relied on
_OLD_PERIODS = 2  # a move is noticed within so many
_BLOCK = 500  # rows that are looked at in one piece
_REST = 10  # experiments' lengths after a false alarm until forecasts are listened to again
_STATE = ("n_examinations", "next", "known", "suspected", "usual_start")


class Sift(FeatureReader):
    """Let the actor and the critics of SAC or TD3, stock SB3's or ours, read the features that belong to the task alone.

    The features of the newest transitions are examined (:func:`~siftrl.agents.screening.screen`) when the warm-up is over,
    before the first update, and then every ``period_steps`` environment steps. Those that are accepted are linked to all
    neurons of the first layers; links to others do not exist. When features are accepted for the first time, nothing has
    been learnt yet that is worth keeping, and the first layers are drawn anew; later links start at zero.

    An accepted feature stays, until the sensors have moved. That is suspected when, over 50 steps, a linear forecast of what
    is read fails as it never did (:mod:`~siftrl.agents.forecast`), or when of the features that answer in the last period
    more are new than known, and most of those known are not among them. Then the agent acts at random for
    ``experiment_steps`` environment steps, without updates. If by the same measure the sensors are where they were, all goes
    on as before, and features that had raised the suspicion are read too. Otherwise it compares how features respond with
    how they did at the first examination, or in the experiment after the last move (:mod:`~siftrl.agents.recognition`). If
    it is sure of at least half of those that it read, their links move with them, links to other features start at zero, and
    earlier transitions are replayed with the recognised features in their new places. Otherwise, and always with
    ``recognise=False``, the first layers are drawn anew, and the replay forgets what was seen before the experiment.

    Logs ``reader/experiments`` and ``reader/recognised`` (how many features were recognised at the last move), besides what
    every reader logs.

    Args:
        period_steps: Environment steps between two examinations.
        window_steps: Environment steps that an examination looks back, at most.
        false_discovery_rate: Expected share of noise among the accepted features. The k-th examination since the sensors
            last moved may spend ``1 / (k (k + 1))`` of it.
        recognise: Whether to look for the sensors that are read in their new places when they have moved.
        experiment_steps: Environment steps with random actions where that is suspected.
        verbose: See SB3.

    Attributes:
        accepted: bool ``(n_features,)``: what is read.
        n_experiments: How often it was suspected that the sensors have moved.
        n_moves: How often they have.
        n_recognised: How many were recognised when they last did.

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
        recognise: bool = True,
        experiment_steps: int = 500,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if period_steps < _FEWEST_STEPS:
            raise ValueError(f"period_steps={period_steps} must be at least {_FEWEST_STEPS} environment steps")
        if window_steps < period_steps:
            raise ValueError(f"window_steps={window_steps} must be at least period_steps={period_steps}")
        if not 0 < false_discovery_rate < 1:
            raise ValueError(f"false_discovery_rate={false_discovery_rate} must be between 0 and 1")
        if experiment_steps < _FEWEST_STEPS:
            raise ValueError(f"experiment_steps={experiment_steps} must be at least {_FEWEST_STEPS} environment steps")
        self.period_steps, self.window_steps = period_steps, window_steps
        self.false_discovery_rate = false_discovery_rate
        self.recognise, self.experiment_steps = recognise, experiment_steps
        self.n_experiments, self.n_recognised = 0, 0
        self._recent: RecentExperience | None = None
        self._n_examinations = 0
        self._signatures: Signatures | None = None
        self._suspected: np.ndarray | None = None  # what answered when a move was suspected; none where a forecast failed
        self._usual_start: int | None = None  # the model's learning_starts, while there is an experiment

    def _init_callback(self) -> None:
        super()._init_callback()
        if self._recent is not None:  # training goes on
            self._recent.model = self.model
            if self._usual_start is not None:
                self.model.learning_starts = self._next
            return
        self._recent = RecentExperience(self.model, max(self.window_steps, self.experiment_steps))
        self._watch = Watch(self._recent)
        self._next = max(self.model.learning_starts, self.num_timesteps + _FEWEST_STEPS)
        self._known = self.accepted

    def get_state(self) -> dict[str, Any]:
        """What was found, the impulses of the window, and when the next examination is due, as plain values and arrays."""
        own = {name: getattr(self, f"_{name}") for name in _STATE}
        parts = {"recent": self._recent.get_state(), "watch": self._watch.get_state()}
        parts["signatures"] = self._signatures and self._signatures._asdict()
        counts = {"n_experiments": self.n_experiments, "n_recognised": self.n_recognised}
        return {**super().get_state(), **own, **parts, **counts}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started."""
        super().set_state(state)
        for name in _STATE:
            setattr(self, f"_{name}", state[name])
        self.n_experiments, self.n_recognised = state["n_experiments"], state["n_recognised"]
        self._signatures = state["signatures"] and Signatures(**state["signatures"])
        self._recent.set_state(state["recent"])
        self._watch.set_state(state["watch"])
        if self._usual_start is not None:
            self.model.learning_starts = self._next

    def _on_step(self) -> bool:
        # Not the model's own number: that may have changed since these steps began.
        is_warm_up = self.num_timesteps - self.training_env.num_envs < self.locals["learning_starts"]
        self._recent.record(impulses(self.model, self.locals["buffer_actions"], is_warm_up))
        self.logger.record("reader/experiments", self.n_experiments)
        self.logger.record("reader/recognised", self.n_recognised)
        return super()._on_step()

    def _on_rollout_start(self) -> None:
        # Now the replay holds every transition whose impulse was recorded.
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.period_steps
            if self._usual_start is None:
                self.examine()
            else:
                self._conclude_experiment()
            self._watch.expect(np.flatnonzero(self.accepted), self.window_steps)
        elif self._usual_start is None and self._watch.notices():
            self._suspected, self._known = np.zeros_like(self.accepted), self.accepted

    def _on_rollout_end(self) -> None:
        # From the next step on SB3 draws random actions, and it does not update: what it would learn from is confused.
        if self._suspected is not None and self._usual_start is None:
            self.n_experiments += 1
            self._usual_start = self.model.learning_starts
            self._next = self.num_timesteps + self.experiment_steps
        if self._usual_start is not None:
            self.model.learning_starts = max(self._next, self.num_timesteps)  # the last steps may go beyond it

    def _on_training_end(self) -> None:
        if self._usual_start is not None:
            self.model.learning_starts = self._usual_start

    def examine(self) -> None:
        """Examine the features in the newest transitions, and link the networks to those that are accepted."""
        self._n_examinations += 1
        # In the period of a move old and new ones answer, and the new ones are linked: they are not known before the next.
        known, self._known = self._known, self.accepted
        recent = screen(self._recent.experience(self.period_steps), None, self._rate()).accepted
        if _are_others(recent, known):
            self._suspected, self._known = recent, known
            return
        if not self.accepted.any():
            self._follow(recent)
        accepted = screen(self._recent.experience(self.window_steps), self.accepted, self._rate()).accepted
        if not self.accepted.any():
            self._follow(accepted)
        elif (accepted & ~self.accepted).any():
            self.link(self.accepted | accepted)
        if self._signatures is None and self.accepted.any():
            self._signatures = self._measure(self.window_steps)

    def _conclude_experiment(self) -> None:
        """Follow sensors that have moved, if they have: with what was learnt, if they are recognised."""
        self.model.learning_starts, self._usual_start = self._usual_start, None
        suspected, self._suspected = self._suspected, None
        found = screen(self._recent.experience(self.experiment_steps), None, self.false_discovery_rate / 2).accepted
        if not found.any():
            found = suspected
        if not _are_others(found, self._known):
            if (suspected & ~self.accepted).any():
                self.link(self.accepted | suspected)
            self._known = self.accepted
            self._watch.rest(_REST * self.experiment_steps)
            return
        self._n_examinations = 1
        self._recent.begin_with(self.experiment_steps)
        before, self._signatures = self._signatures, self._measure(self.experiment_steps, found)
        if not self.recognise:
            self._follow(found)
            return
        match = recognise(before, self._signatures)
        match = Match(*(part[match.margins >= _SURE] for part in match))
        self.n_recognised = len(match.old)
        if 2 * self.n_recognised < self._known.sum():
            self._follow(found)
            return
        self._reorder_replay(match, self.accepted | found)
        self.carry(found, match.old, match.new)
        self._known = found

    def _follow(self, accepted: np.ndarray) -> None:
        """Read these features instead of those that are read, if there are any."""
        if not accepted.any():
            return
        self.start_anew(accepted)
        self._known = accepted
        if self.n_moves:
            self._n_examinations = 1
            buffer = self.model.replay_buffer
            forget_oldest(buffer, n_filled(buffer) - len(self._recent.rows(self.period_steps)))

    def _reorder_replay(self, match: Match, features: np.ndarray) -> None:
        """Show the sensors of a match in their new places in all transitions from before the move."""
        buffer, n_envs = self.model.replay_buffer, self.training_env.num_envs
        n_after, n_period = self._recent.n_rows(self.experiment_steps), self._recent.n_rows(self.period_steps)
        rows = newest_rows(buffer, n_after + (_OLD_PERIODS + 1) * n_period)
        n_before = max(len(rows) - n_after - _OLD_PERIODS * n_period, 1)
        changes = np.concatenate(
            [self._changes(block, features) for block in np.split(rows, range(_BLOCK, len(rows), _BLOCK))]
        )
        moved = change_point(changes.reshape(len(rows), n_envs, -1), n_before, n_after)
        where = np.zeros((buffer.buffer_size, n_envs), bool)
        where[: n_filled(buffer)] = True
        where[rows] = np.arange(len(rows))[:, None] < moved
        reorder(buffer, where, _exchange(match, len(features)))

    def _changes(self, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
        here, there = observed(self.model.replay_buffer, rows)
        return there[:, features] - here[:, features]

    def _measure(self, n_steps: int, features: np.ndarray | None = None) -> Signatures:
        """How these features, or those that are read, respond in the newest transitions."""
        features = np.flatnonzero(self.accepted if features is None else features)
        return signatures(*self._recent.transitions(n_steps), features)

    def _rate(self) -> float:
        # Adds up to the whole rate, however often features are examined.
        return self.false_discovery_rate / (self._n_examinations * (self._n_examinations + 1))


def _are_others(features: np.ndarray, known: np.ndarray) -> bool:
    """Whether of these features more are new than known, and most of the known ones are not among them."""
    n_still = (features & known).sum()
    return bool((features & ~known).sum() > n_still and 2 * n_still < known.sum())


def _exchange(match: Match, n_features: int) -> np.ndarray:
    """What each feature is once those of a match stand in their new places, and what stood there where they left a gap."""
    sources = np.arange(n_features)
    sources[np.setdiff1d(match.old, match.new)] = np.setdiff1d(match.new, match.old)
    sources[match.new] = match.old
    return sources

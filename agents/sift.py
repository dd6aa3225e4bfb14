"""Sift: an agent that experiments with its actions, and reads those features alone that answer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .feature_reader import FeatureReader
from .impulses import forget_draws, impulses, remember_draws
from .old_transitions import show_in_new_places
from .recent_experience import RecentExperience
from .recognition import Match, Signatures, recognise, signatures
from .replay_rows import forget_oldest, n_filled
from .screening import Finding, screen
from .watch import ROWS, Watch

_FEWEST_STEPS = 100  # environment steps from which something can be learnt
_SURE = 3.0  # margin from which a match is relied on
_REST = 10  # experiments' lengths after a false alarm until forecasts are listened to again
_STATE = ("n_examinations", "next", "responsive", "settled", "found_at")


class _Experiment(NamedTuple):
    """An experiment that is going on: where it began, what answered when it did, and what it interrupts.

    Attributes:
        began_at: Rows that had been recorded.
        suspected: bool ``(n_features,)``: what answered in their place; none where a forecast failed.
        usual_start: The model's ``learning_starts`` otherwise.
    """

    began_at: int
    suspected: np.ndarray
    usual_start: int


class Sift(FeatureReader):
    """Let the actor and the critics of SAC or TD3, stock SB3's or ours, read the features that belong to the task alone.

    The features of the newest transitions are examined (:func:`~siftrl.agents.screening.screen`) when the warm-up is over,
    before the first update, and then every ``period_steps`` environment steps (of many environments every 50 steps of each,
    if those are more). Those that are accepted are linked to all neurons of the first layers; links to others do not exist.
    When features are accepted for the first time, nothing has been learnt yet that is worth keeping, and the first layers
    are drawn anew; later links start at zero. Where fewer than 100 steps are random, the first examination waits for 100,
    and updates before it are made on links as they were drawn.

    An accepted feature stays, until the sensors have moved. That is suspected when, over 50 steps, a linear forecast of what
    is read fails as it never did (:mod:`~siftrl.agents.forecast`), or when of the features that answer in the last period
    more are new than known, and most of those known are not among them. Then the agent acts at random for
    ``experiment_steps`` environment steps, rounded up to whole rollouts, without updates. If by the same measure the sensors
    are where they were, or nothing answers and only a forecast had failed, all goes on as before: features that had raised
    the suspicion are read too, and failing forecasts are not followed for ten times as long. Otherwise it compares how
    features respond with how they did when they were found, or in the experiment after the last move
    (:mod:`~siftrl.agents.recognition`). If it is sure of at least half of those that it read, their links move with them,
    links to other features start at zero, and earlier transitions are replayed with the recognised features in their new
    places. Otherwise, and always with ``recognise=False``, the first layers are drawn anew, and the replay forgets what was
    seen before the experiment.

    Logs ``reader/experiments`` and ``reader/recognised`` (how many features were recognised at the last move), besides what
    every reader logs.

    Args:
        period_steps: Environment steps between two examinations.
        window_steps: Environment steps that an examination looks back, at most.
        false_discovery_rate: Expected share of noise among the accepted features. The k-th examination since the sensors
            last moved looks at the last period and at the window, and may spend ``1 / (k (k + 1))`` of it on each.
        recognise: Whether to look for the sensors that are read in their new places when they have moved.
        experiment_steps: Environment steps with random actions where that is suspected.
        verbose: See SB3.

    Attributes:
        accepted: bool ``(n_features,)``: what is read; None before training.
        n_experiments: How often it was suspected that the sensors have moved.
        n_moves: How often they have.
        n_recognised: How many were recognised when they last did.

    Raises:
        ValueError: If an argument is out of its range; when training starts, as
            :class:`~siftrl.agents.feature_reader.FeatureReader`, and if the replay cannot be looked into or holds fewer than
            100 steps, or SAC explores by ``use_sde``; later, if a callback before this one lets the policy act.

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

    def _init_callback(self) -> None:
        goes_on = self._taken_up is self.model
        super()._init_callback()
        remember_draws(self.model)
        if goes_on:
            self._recent.go_on()
            if self._experiment is not None:
                self._act_at_random()

    def _take_up(self) -> None:
        super()._take_up()
        self.n_experiments, self.n_recognised = 0, 0
        n_kept = self.model.replay_buffer.buffer_size * self.model.n_envs
        if n_kept < _FEWEST_STEPS:
            raise ValueError(f"buffer_size={n_kept} must be at least {_FEWEST_STEPS} environment steps to sift")
        least_steps = ROWS * self.model.n_envs  # that a forecast is compared with
        self._recent = RecentExperience(self.model, max(self.window_steps, self.experiment_steps, least_steps))
        self._watch = Watch(self._recent)
        self._experiment: _Experiment | None = None
        self._signatures: Signatures | None = None
        self._n_examinations = 0
        steps_to_go = max(self.model.learning_starts - self.model.num_timesteps, _FEWEST_STEPS)
        self._next = self._recent.n_rows(steps_to_go)  # rows recorded when an examination or the end of an experiment is due
        self._responsive = np.zeros_like(self.accepted)  # those that answered to actions themselves
        self._settled = self.accepted  # what was read a period ago: what has been linked since tells no move from none
        self._found_at = 0  # rows that were recorded when the sensors were found where they are
        self._is_in_replay = True  # the transition of the newest impulses

    def get_state(self) -> dict[str, Any]:
        """What was found, the impulses of the window, and when the next examination is due, as plain values and arrays."""
        own = {name: getattr(self, f"_{name}") for name in _STATE}
        parts = {"recent": self._recent.get_state(), "watch": self._watch.get_state()}
        parts["signatures"] = self._signatures and self._signatures._asdict()
        parts["experiment"] = self._experiment and self._experiment._asdict()
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
        self._experiment = state["experiment"] and _Experiment(**state["experiment"])
        if self._experiment is not None:
            self._act_at_random()

    def _on_step(self) -> bool:
        # Not the model's own number: that may have changed since these steps began.
        is_warm_up = self.num_timesteps - self.training_env.num_envs < self.locals["learning_starts"]
        actions = self.locals["buffer_actions"].reshape(self.training_env.num_envs, -1)
        self._recent.record(impulses(self.model, actions, is_warm_up))
        self._is_in_replay = False
        self.logger.record("reader/experiments", self.n_experiments)
        self.logger.record("reader/recognised", self.n_recognised)
        return super()._on_step()

    def _on_rollout_start(self) -> None:
        if self._experiment is not None:  # SB3 has read it for this rollout: who saves the model now finds its own
            self.model.learning_starts = self._experiment.usual_start

    def _on_rollout_end(self) -> None:
        # Now the replay holds every transition whose impulse was recorded; whether to update, and how to act next, SB3 asks
        # after this.
        self._is_in_replay = True
        if self._experiment is None and self._watch.notices():
            self._begin_experiment(np.zeros_like(self.accepted), self.accepted)
        elif self._is_due():
            self._next = self._recent.n_recorded + max(self._recent.n_rows(self.period_steps), ROWS)
            if self._experiment is None:
                self.examine()
            else:
                self._conclude_experiment()
            self._watch.expect(np.flatnonzero(self.accepted), self.window_steps)
        if self._experiment is not None:
            self._act_at_random()

    def _is_due(self) -> bool:
        """Whether it is time to examine or to conclude, and there is enough to look at."""
        has_come = self._recent.n_recorded >= self._next
        return has_come and len(self._recent.rows(_FEWEST_STEPS)) == self._recent.n_rows(_FEWEST_STEPS)

    def _on_training_end(self) -> None:
        if not self._is_in_replay:  # another callback has ended training within a step
            self._recent.drop_last()
            self._is_in_replay = True
        self._recent.pause()
        forget_draws(self.model)
        if self._experiment is not None:
            self.model.learning_starts = self._experiment.usual_start

    def examine(self) -> None:
        """Examine the features in the newest transitions, and link the networks to those that are accepted."""
        self._n_examinations += 1
        # In the period of a move old and new ones answer, and the new ones are linked: a move is told by those from before.
        settled, self._settled = self._settled, self.accepted
        recent = screen(self._recent.experience(self.period_steps), false_discovery_rate=self._rate())
        if _are_others(recent.accepted, settled):
            self._begin_experiment(recent.accepted, settled)
            return
        if not self.accepted.any():
            self._read_first(recent)
        experience = self._recent.experience(self.window_steps)
        found = screen(experience, self.accepted, self._rate(), responsive=self._responsive)
        if not self.accepted.any():
            self._read_first(found)
        elif (found.accepted & ~self.accepted).any():
            self.link(found.accepted)
        self._responsive = found.responsive
        self._remember()

    def _read_first(self, found: Finding) -> None:
        if found.accepted.any():
            self.start_anew(found.accepted, self._recent.rows(self.window_steps))
            self._settled, self._responsive = found.accepted, found.responsive
            self._found_at = self._recent.n_recorded

    def _begin_experiment(self, suspected: np.ndarray, settled: np.ndarray) -> None:
        self.n_experiments += 1
        self._settled = settled
        self._experiment = _Experiment(self._recent.n_recorded, suspected, self.model.learning_starts)
        self._next = self._recent.n_recorded + self._recent.n_rows(self.experiment_steps)

    def _act_at_random(self) -> None:
        # SB3 reads it after a rollout, to update or not (what it would learn from is confused), and before the next one.
        self.model.learning_starts = math.inf

    def _conclude_experiment(self) -> None:
        """Follow sensors that have moved, if they have: with what was learnt, if they are recognised."""
        experiment, self._experiment = self._experiment, None
        n_steps = (self._recent.n_recorded - experiment.began_at) * self.training_env.num_envs
        found = screen(self._recent.experience(n_steps), false_discovery_rate=self.false_discovery_rate / 2)
        answering = found.accepted if found.accepted.any() else experiment.suspected
        if not _are_others(answering, self._settled):
            if (experiment.suspected & ~self.accepted).any():
                self.link(self.accepted | experiment.suspected)
            self._settled = self.accepted
            self._watch.rest(_REST * self.experiment_steps)
            return
        self._recent.begin_with(n_steps)
        before, self._signatures = self._signatures, self._measure(n_steps, answering)
        match = self._recognised(before)
        if 2 * len(match.old) < self._settled.sum():
            buffer, rows = self.model.replay_buffer, self._recent.rows(n_steps)
            self.start_anew(answering, rows)
            forget_oldest(buffer, n_filled(buffer) - len(rows))
        else:
            n_found = self._recent.n_recorded - self._found_at
            show_in_new_places(self._recent, match, self.accepted | answering, n_steps, n_found, self.period_steps)
            self.carry(answering, match.old, match.new)
        self._n_examinations, self._settled, self._responsive = 1, answering, answering & found.responsive
        self._found_at = self._recent.n_recorded

    def _recognised(self, before: Signatures | None) -> Match:
        """The sensors that it is sure of, among those before and those that are read from now on."""
        self.n_recognised = 0
        if not self.recognise or before is None:
            return Match(*np.empty((2, 0), np.int64), np.empty(0))
        settled = self._settled[before.features]  # what has been linked since the move is where it is
        match = recognise(Signatures(*(part[settled] for part in before)), self._signatures)
        match = Match(*(part[match.margins >= _SURE] for part in match))
        self.n_recognised = len(match.old)
        return match

    def _remember(self) -> None:
        """Measure how features respond that are read, if some were not measured yet; the others stay as they are known."""
        known = np.empty(0, np.int64) if self._signatures is None else self._signatures.features
        is_new = ~np.isin(np.flatnonzero(self.accepted), known)
        if not is_new.any():
            return
        measured = self._measure(self.window_steps, self.accepted)
        if self._signatures is not None:
            parts = zip(self._signatures, measured, strict=True)
            measured = Signatures(*(np.concatenate([old, new[is_new]]) for old, new in parts))
        self._signatures = measured

    def _measure(self, n_steps: int, features: np.ndarray) -> Signatures:
        """How these features, bool, respond in the newest transitions."""
        return signatures(*self._recent.transitions(n_steps), np.flatnonzero(features))

    def _rate(self) -> float:
        # Adds up to the whole rate, however often features are examined.
        return self.false_discovery_rate / (self._n_examinations * (self._n_examinations + 1))


def _are_others(features: np.ndarray, known: np.ndarray) -> bool:
    """Whether of these features more are new than known, and most of the known ones are not among them."""
    n_still = (features & known).sum()
    return bool((features & ~known).sum() > n_still and 2 * n_still < known.sum())

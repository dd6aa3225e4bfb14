"""Transitions from before a move of the sensors, shown as if the sensors had always been where they are now."""

from __future__ import annotations

import numpy as np

from .change_point import change_point
from .recent_experience import RecentExperience
from .recognition import Match
from .replay_rows import n_filled, newest_rows, observed, reorder

_OLD_PERIODS = 2  # a move is noticed within so many
_BLOCK = 500  # rows that are looked at in one piece


def show_in_new_places(
    recent: RecentExperience, match: Match, features: np.ndarray, n_steps: int, n_found: int, period_steps: int
) -> None:
    """Show the sensors of a match in their new places in all transitions from before the move.

    When that was, is found in the features themselves, environment by environment
    (:func:`~siftrl.agents.change_point.change_point`): from then on they changed in another way.

    Args:
        recent: Of the model whose replay is reordered.
        match: Which sensors stand where now.
        features: bool ``(n_features,)``: those that were read, and those that are from now on.
        n_steps: Environment steps, the newest, that are certainly from after the move.
        n_found: Rows, the newest, since the sensors were found where they stood before the move.
        period_steps: Environment steps; the move is at most two such periods older than those.
    """
    buffer, n_envs = recent.model.replay_buffer, recent.model.n_envs
    n_after, n_period = min(recent.n_rows(n_steps), n_filled(buffer)), recent.n_rows(period_steps)
    rows = newest_rows(buffer, n_after + (_OLD_PERIODS + 1) * n_period)
    n_before = max(len(rows) - n_after - _OLD_PERIODS * n_period, len(rows) - n_found, 1)
    changes = []
    for block in np.split(rows, range(_BLOCK, len(rows), _BLOCK)):
        here, there = observed(buffer, block)
        changes.append(there[:, features] - here[:, features])
    moved = change_point(np.concatenate(changes).reshape(len(rows), n_envs, -1), n_before, n_after)
    where = np.zeros((buffer.buffer_size, n_envs), bool)
    where[: n_filled(buffer)] = True
    where[rows] = np.arange(len(rows))[:, None] < moved
    reorder(buffer, where, _exchange(match, len(features)))


def _exchange(match: Match, n_features: int) -> np.ndarray:
    """What each feature is once those of a match stand in their new places, and what stood there where they left a gap."""
    sources = np.arange(n_features)
    sources[np.setdiff1d(match.old, match.new)] = np.setdiff1d(match.new, match.old)
    sources[match.new] = match.old
    return sources

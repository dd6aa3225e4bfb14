"""Scale: the same study in a fraction of the steps, to see on one machine what it will be like."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

from ..training.config import RunConfig

MIN_EVALUATIONS = 10
_MIN_LEARNING_STARTS = 100  # SB3's own; fewer random steps than that would hardly fill one batch


def scaled(config: RunConfig, scale: float, learning_starts: int) -> RunConfig:
    """A run in ``scale`` times the environment steps.

    ``n_timesteps``, ``permute_every``, ``buffer_size`` and ``save_freq`` are multiplied. ``eval_freq`` stays while ten
    evaluations are left, or as many as there were, else it shrinks; ``n_timesteps`` is rounded to a multiple of it. Random
    actions at the start are multiplied too, but for the first 100, whether the run says their number or its preset. What
    counts updates stays: ``batch_size``, ``period_updates``.

    Args:
        config: the whole run.
        scale: above 0 and at most 1; at 1 nothing changes.
        learning_starts: environment steps with random actions of the whole run.

    Example:
        >>> run = scaled(RunConfig(n_timesteps=1_000_000, eval_freq=5_000), 0.02, learning_starts=25_000)
        >>> run.n_timesteps, run.eval_freq, run.learning_starts, run.buffer_size
        (20000, 2000, 500, 20000)
    """
    if scale == 1:
        return config

    def times(steps: int) -> int:
        return max(1, round(_exact(scale) * steps))

    changes = {"n_timesteps": times(config.n_timesteps), "buffer_size": times(config.buffer_size)}
    if config.eval_freq:
        evaluations = max(1, min(MIN_EVALUATIONS, config.n_timesteps // config.eval_freq))
        every = max(1, min(config.eval_freq, changes["n_timesteps"] // evaluations))
        changes |= {"eval_freq": every, "n_timesteps": every * max(1, round(Fraction(changes["n_timesteps"], every)))}
    if config.save_freq:
        changes["save_freq"] = times(config.save_freq)
    if config.permute_every is not None:
        changes["permute_every"] = times(config.permute_every)
    changes["learning_starts"] = max(round(_exact(scale) * learning_starts), min(learning_starts, _MIN_LEARNING_STARTS))
    return dataclasses.replace(config, **changes)


def kept_seeds(n_seeds: int, scale: float) -> int:
    """How many of ``n_seeds`` seeds a scaled study keeps: as large a share as of the steps, rounded up.

    Example:
        >>> kept_seeds(5, 0.02), kept_seeds(10, 0.7), kept_seeds(5, 1)
        (1, 7, 5)
    """
    return max(1, math.ceil(_exact(scale) * n_seeds))


def _exact(scale: float) -> Fraction:
    # As written: in floating point, 0.7 of 10 is more than 7.
    return Fraction(str(scale))

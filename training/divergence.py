"""Divergence: weights that are no numbers any more, from which nothing can be learnt. Loads no torch."""

from __future__ import annotations

from typing import Any


class Diverged(Exception):  # noqa: N818 - what happened, as Stopped
    """The weights have become infinite, or no numbers; the message says when, and what would be right."""


def check_weights(agent: Any) -> None:
    """Check that all weights of the agent's networks are finite.

    Raises:
        Diverged: where one is not.
    """
    if all(bool(weights.isfinite().all()) for weights in agent.policy.parameters()):
        return
    rate = agent.actor.optimizer.param_groups[0]["lr"]
    raise Diverged(
        f"training has diverged, as was noticed after {agent.num_timesteps:,} environment steps: weights are no finite "
        f"numbers any more; learning-rate must be smaller than {rate:g}"
    )

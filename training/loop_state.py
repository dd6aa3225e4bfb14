"""The state of SB3's training loop: counters, what was observed last, the episodes behind it, and the log to be written."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

# The commands' action noise is normal, and draws from NumPy's global generator: it has no state of its own.
_ATTRIBUTES = ("num_timesteps", "_n_updates", "_episode_num", "_last_obs", "_last_episode_starts")
_BUFFERS = ("ep_info_buffer", "ep_success_buffer")


def loop_state(agent: Any) -> dict[str, Any]:
    """What an off-policy agent of SB3 has between two environment steps besides its networks and its replay.

    Returns:
        Plain values and arrays; see ``snapshot.py``.
    """
    return {
        **{name: getattr(agent, name) for name in (*_ATTRIBUTES, *_BUFFERS)},
        "actions": agent.action_space.np_random.bit_generator.state,
        "log": {
            name: [value, agent.logger.name_to_count.get(name, 0), agent.logger.name_to_excluded[name]]
            for name, value in agent.logger.name_to_value.items()
        },
    }


def set_loop_state(agent: Any, state: dict[str, Any]) -> None:
    """Bring ``agent``, which has its logger, into ``state``.

    Raises:
        ValueError: where it is that of an agent with other observations.
    """
    seen = np.shape(agent._last_obs), np.shape(state["_last_obs"])
    if seen[0] != seen[1]:
        raise ValueError(f"the last observations have shape {seen[1]} instead of {seen[0]}")
    for name in _ATTRIBUTES:
        setattr(agent, name, state[name])
    for name in _BUFFERS:
        setattr(agent, name, deque(state[name], maxlen=agent._stats_window_size))
    agent.action_space.np_random.bit_generator.state = state["actions"]
    log = agent.logger
    for name_to in (log.name_to_value, log.name_to_count, log.name_to_excluded):
        name_to.clear()
    for name, (value, count, excluded) in state["log"].items():
        log.name_to_value[name], log.name_to_count[name], log.name_to_excluded[name] = value, count, tuple(excluded)

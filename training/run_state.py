"""The state of a whole run between two environment steps, but for its networks and its replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from .agent import continued_seed
from .environment_state import environment_state, set_environment_state
from .generators import generator_states, set_generator_states
from .journals import EVENTS, MONITORS, journal_sizes
from .loop_state import loop_state, set_loop_state
from .report import warn
from .resume import ForeignStateError

if TYPE_CHECKING:
    from .run import Run


def run_state(run: Run, finished: bool) -> dict[str, Any]:
    """All of it, as plain values and arrays (see ``snapshot.py``).

    Args:
        run: which is training, or has just ended.
        finished: whether it has come to its end.
    """
    environments = [environment_state(env) for env in run.env.envs]
    return {
        "finished": finished,
        "environments": None if None in environments else environments,
        "loop": loop_state(run.agent),
        "metrics": run.metrics.get_state(),
        "features": run.recorder.get_state(),
        "method": [callback.get_state() if hasattr(callback, "get_state") else None for callback in run.method],
        "evaluation": None if run.evaluation is None else run.evaluation.get_state(),
        "monitors": journal_sizes(run.folder, MONITORS),
        "events": journal_sizes(run.events_folder, EVENTS),
        "generators": generator_states(),
    }


def restore_run(run: Run, state: dict[str, Any]) -> None:
    """Bring ``run``, which has its networks and its replay and is about to take its next step, into ``state``.

    Where the environments' state could not be taken, they start a new episode, and the user is told.

    Raises:
        ForeignStateError: where it is the state of another run, or forged.
        OSError: where the disk fails.
    """
    try:
        _restore(run, state)
    except OSError:
        raise
    except Exception as error:
        # Foreign content raises anything.
        reason = f"{type(error).__name__}: {error}"
        raise ForeignStateError(f"the state in {run.checkpoint.path} does not fit the run: {reason}") from error


def _restore(run: Run, state: dict[str, Any]) -> None:
    set_loop_state(run.agent, state["loop"])
    run.metrics.set_state(state["metrics"])
    # Checkpoints from before there was a feature history: it begins where the run goes on.
    if "features" in state:
        run.recorder.set_state(state["features"])
    for callback, saved in zip(run.method, state["method"], strict=True):
        if saved is not None:
            callback.set_state(saved)
    if run.evaluation is not None:
        run.evaluation.set_state(state["evaluation"])
    if state["environments"] is None:
        warn(
            f"the state of {run.config.env} cannot be saved: its episode is started anew, and the run will not end as it "
            "would have."
        )
        run.env.seed(continued_seed(run.config.seed, run.agent.num_timesteps))
        run.agent._last_obs = run.env.reset()
        run.agent._last_episode_starts = np.ones(run.env.num_envs, bool)
    else:
        for env, saved in zip(run.env.envs, state["environments"], strict=True):
            set_environment_state(env, saved)
    # Last of all: whatever the others drew is forgotten.
    set_generator_states(state["generators"])


class AtTrainingStart(BaseCallback):
    """Calls ``act`` once all is ready for the first step; it has to stand behind the callbacks that ``act`` changes."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act = act

    def _on_training_start(self) -> None:
        self.act()

    def _on_step(self) -> bool:
        return True

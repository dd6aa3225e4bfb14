"""Periodic evaluation on an environment of its own: one line, one row in TensorBoard, the best model kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from .atomic import atomic_write
from .folder import BEST_MODEL, EVALUATIONS
from .stopping import Stopped, StopRequest


@dataclass(frozen=True)
class Episodes:
    """Undiscounted return and length (environment steps) of some episodes."""

    returns: tuple[float, ...]
    lengths: tuple[int, ...]

    def __str__(self) -> str:
        returns = np.array(self.returns)
        spread = f" ± {returns.std():,.1f}" if len(returns) > 1 else ""
        return f"return {returns.mean():,.1f}{spread}, length {np.mean(self.lengths):,.0f}"


def evaluate(
    model: Any, env: VecEnv, *, episodes: int, seed: int, deterministic: bool = True, callback: Callable | None = None
) -> Episodes:
    """Play ``episodes`` episodes that depend on ``seed`` and the model only, through SB3's ``evaluate_policy``.

    Where actions are drawn, unless ``deterministic``, they depend on torch's generator, too, which is left as it is.
    """
    env.seed(seed)
    returns, lengths = evaluate_policy(
        model, env, episodes, deterministic=deterministic, callback=callback, return_episode_rewards=True
    )
    return Episodes(tuple(map(float, returns)), tuple(map(int, lengths)))


class PeriodicEvaluation(BaseCallback):
    """Evaluates every ``every`` environment steps, whatever the number of training environments.

    It does so once the update that follows the step is done, and before the next step: there a run can also stop and go on.
    Each evaluation plays the same episodes, so that two of them differ by the policy alone.

    Keys in the log: ``eval/mean_reward``, ``eval/std_reward`` and ``eval/mean_ep_length`` of these episodes, and
    ``eval/final_return``, the mean of the last tenth of the evaluations so far: at the end, the run's final return.

    Args:
        env: the evaluation environment.
        every: environment steps between two evaluations.
        episodes: of one evaluation.
        seed: of the evaluation environment.
        folder: where ``evaluations.npz`` (SB3's format) and ``best_model.zip`` go.
        save: writes the model to a path.
        stop: once this asks to stop, an evaluation is abandoned by :class:`Stopped`, and stays due.
        announce: receives one line for each evaluation.
        observe: called once an evaluation has been played, before its best model and its row in the log are written.
    """

    def __init__(
        self,
        env: VecEnv,
        *,
        every: int,
        episodes: int,
        seed: int,
        folder: Path,
        save: Callable[[Path], None],
        stop: StopRequest,
        announce: Callable[[str], None],
        observe: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.env, self.every, self.episodes, self.seed = env, every, episodes, seed
        self.folder, self.save, self.stop, self.announce, self.observe = folder, save, stop, announce, observe
        self.best = -np.inf
        self.history: list[tuple[int, Episodes]] = []
        self._periods = 0

    def get_state(self) -> dict[str, Any]:
        """The evaluations so far, the best mean return, and the period of the last one, as plain values."""
        evaluations = [[steps, episodes.returns, episodes.lengths] for steps, episodes in self.history]
        return {"evaluations": evaluations, "best": self.best, "periods": self._periods}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, and write it to ``evaluations.npz``, which may tell of later steps.

        Raises:
            OSError: where the disk fails.
        """
        self.history = [(steps, Episodes(tuple(r), tuple(lengths))) for steps, r, lengths in state["evaluations"]]
        self.best, self._periods = state["best"], state["periods"]
        if self.history:
            self._write()
        else:
            (self.folder / EVALUATIONS).unlink(missing_ok=True)

    def _on_training_start(self) -> None:
        self._periods = self.model.num_timesteps // self.every

    def _on_rollout_start(self) -> None:
        self._evaluate_if_due()

    def _on_training_end(self) -> None:
        self._evaluate_if_due()

    def _on_step(self) -> bool:
        return True

    def _evaluate_if_due(self) -> None:
        periods = self.model.num_timesteps // self.every
        if periods == self._periods:
            return
        played = evaluate(self.model, self.env, episodes=self.episodes, seed=self.seed, callback=self._leave_if_stopped)
        self._periods = periods
        self.observe()
        self._record(played)

    def _leave_if_stopped(self, _locals: dict[str, Any], _globals: dict[str, Any]) -> None:
        if self.stop.signal is not None:
            raise Stopped

    def _record(self, played: Episodes) -> None:
        self.history.append((self.model.num_timesteps, played))
        self._write()
        mean = float(np.mean(played.returns))
        self.logger.record("eval/mean_reward", mean)
        self.logger.record("eval/final_return", self._final_return())
        self.logger.record("eval/std_reward", float(np.std(played.returns)))
        self.logger.record("eval/mean_ep_length", float(np.mean(played.lengths)))
        self.logger.record("time/total_timesteps", self.model.num_timesteps, exclude="tensorboard")
        self.logger.dump(self.model.num_timesteps)
        is_best = mean > self.best
        if is_best:
            self.best = mean
            self.save(self.folder / BEST_MODEL)
        self.announce(f"{self.model.num_timesteps:>12,} steps: {played}{'  (best so far)' if is_best else ''}")

    def _write(self) -> None:
        with atomic_write(self.folder / EVALUATIONS) as file:
            np.savez(
                file,
                timesteps=[steps for steps, _ in self.history],
                results=[episodes.returns for _, episodes in self.history],
                ep_lengths=[episodes.lengths for _, episodes in self.history],
            )

    def _final_return(self) -> float:
        """The mean of the last tenth of the evaluations so far; at the end of a run, its final return."""
        last = max(1, round(len(self.history) / 10))
        return float(np.mean([np.mean(episodes.returns) for _, episodes in self.history[-last:]]))

"""Driving permutations: all environments of a run change the order of their features by the run's clock, not their own."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv


def current_permutation(env: VecEnv) -> int:
    """The number of the feature order that holds in the first of ``env``; 0 where there are no permutations."""
    return int(env.get_attr("permutation", 0)[0]) if env.has_attr("permutation") else 0


class PermutationDriver(BaseCallback):
    """Sets order ``steps // every`` in all training environments, where steps counts those of all of them.

    A new order holds from each environment's next reset. Evaluation is in the order of the first training environment, so
    that nothing is asked of the agent that it could not have seen yet.

    Args:
        every: environment steps between two orders.
        env: training environments.
        evaluation_env: those that the agent is evaluated in.
    """

    def __init__(self, every: int, env: VecEnv, evaluation_env: VecEnv) -> None:
        super().__init__()
        self.every, self.env, self.evaluation_env = every, env, evaluation_env
        self._due: int | None = None
        self._stands: int | None = None

    def drive(self, num_timesteps: int) -> None:
        """Set the order that is due after ``num_timesteps`` environment steps."""
        due = num_timesteps // self.every
        if due != self._due:
            self._due = due
            self.env.env_method("set_permutation", due)
        self._follow()

    def _follow(self) -> None:
        stands = current_permutation(self.env)
        if stands != self._stands:
            self._stands = stands
            self.evaluation_env.env_method("set_permutation", stands)

    # Before an evaluation that is still due where a run goes on: by then the environments are in the state they were in.
    def _on_rollout_start(self) -> None:
        self._follow()

    def _on_training_end(self) -> None:
        self._follow()

    def _on_step(self) -> bool:
        self.drive(self.num_timesteps)
        return True

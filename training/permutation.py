"""Driving permutations: all environments of a run change the order of their features by the run's clock, not their own."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv


def current_permutation(env: VecEnv) -> int:
    """The number of the feature order that holds in the first of ``env``; 0 where there are no permutations."""
    return int(env.get_attr("permutation", 0)[0]) if env.has_attr("permutation") else 0


class PermutationDriver(BaseCallback):
    """Sets order ``steps // every`` in all environments, where steps counts those of all training environments.

    A new order holds from each environment's next reset; a training environment that is reset by the very step that
    completes a period has it from there on, as one by itself would.

    Args:
        every: environment steps between two orders.
        env: training environments.
        evaluation_env: those that the agent is evaluated in.
    """

    def __init__(self, every: int, env: VecEnv, evaluation_env: VecEnv) -> None:
        super().__init__()
        self.every, self.env, self.evaluation_env = every, env, evaluation_env
        self._numbers: dict[VecEnv, int] = {}

    def drive(self, num_timesteps: int) -> None:
        """Set the orders that are due after ``num_timesteps`` environment steps, or with the next one."""
        self._set(self.evaluation_env, num_timesteps // self.every)
        self._set(self.env, (num_timesteps + self.env.num_envs) // self.every)

    def _set(self, env: VecEnv, number: int) -> None:
        if self._numbers.get(env) != number:
            self._numbers[env] = number
            env.env_method("set_permutation", number)

    def _on_step(self) -> bool:
        self.drive(self.num_timesteps)
        return True

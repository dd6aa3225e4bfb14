"""Driving permutations: all environments of a run change the order of their features by the run's clock, not their own."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv


def current_permutation(env: VecEnv) -> int:
    """The number of the feature order that holds in the first of ``env``; 0 where there are no permutations."""
    return int(env.get_attr("permutation", 0)[0]) if env.has_attr("permutation") else 0


class PermutationDriver(BaseCallback):
    """Sets order ``steps // every`` in all environments, where steps counts those of all training environments.

    A new order holds from each environment's next reset.

    Args:
        every: environment steps between two orders.
        envs: training and evaluation environments.
    """

    def __init__(self, every: int, *envs: VecEnv) -> None:
        super().__init__()
        self.every, self.envs = every, envs
        self._number: int | None = None

    def drive(self, num_timesteps: int) -> None:
        """Set the order that holds after ``num_timesteps`` environment steps."""
        number = num_timesteps // self.every
        if number != self._number:
            self._number = number
            for env in self.envs:
                env.env_method("set_permutation", number)

    def _on_step(self) -> bool:
        self.drive(self.num_timesteps)
        return True

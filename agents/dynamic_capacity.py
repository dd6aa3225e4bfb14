"""A replay that shrinks: it forgets its oldest transitions once the policy has moved too far from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from .replay import NoiseReplayBuffer
from .replay_rows import forget_oldest, n_filled, oldest_rows, require_own_rows


class DynamicCapacity(BaseCallback):
    """Let the replay of SAC or TD3, stock SB3's or ours, shrink when its oldest transitions are far from the policy.

    Every ``period_steps`` environment steps, before the transition of that step is stored, the oldest transitions are
    compared with what the policy would do in their place. If it would act too differently, a fraction of all transitions
    goes, the oldest first. Logs ``replay/policy_distance`` and ``replay/size`` (transitions).

    Args:
        period_steps: Environment steps between two comparisons.
        threshold: Distance above which the replay shrinks; see :meth:`policy_distance`.
        fraction: Of the transitions there are, how many go at once.
        min_size: Transitions at and below which none go.
        n_batches: Oldest transitions that are compared, in batches of the agent's ``batch_size``.
        verbose: See SB3.

    Raises:
        ValueError: If an argument is out of its range; or, when training starts, if the replay cannot forget; see
            :func:`~siftrl.agents.replay_rows.require_own_rows`.

    Source:
        Tan et al., RLx2 (ICLR 2023), section 4.2 and their code. The code stores what the policy meant to do beside what
        was done, exploration and all, and compares that; here it is what was done, as in equation 6. With TD3's exploration
        noise of 0.1 that adds 0.005 to the distance, with SAC's, where the target entropy is met, 0.004.

    Example:
        >>> from stable_baselines3 import SAC
        >>> shrinking = DynamicCapacity(period_steps=10, threshold=0.0, min_size=15)
        >>> SAC("MlpPolicy", "Pendulum-v1").learn(30, callback=shrinking).replay_buffer.size()  # 29 before step 30 is stored
        27
    """

    def __init__(
        self,
        period_steps: int = 10_000,
        threshold: float = 0.2,
        fraction: float = 0.1,
        min_size: int = 100_000,
        n_batches: int = 8,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if period_steps < 1:
            raise ValueError(f"period_steps={period_steps} must be at least 1 environment step")
        if not threshold >= 0:
            raise ValueError(f"threshold={threshold} must be 0 or more")
        if not 0 < fraction < 1:
            raise ValueError(f"fraction={fraction} must be between 0 and 1")
        if min_size < 0:
            raise ValueError(f"min_size={min_size} must be 0 or more transitions")
        if n_batches < 1:
            raise ValueError(f"n_batches={n_batches} must be at least 1")
        self.period_steps, self.threshold, self.fraction = period_steps, threshold, fraction
        self.min_size, self.n_batches = min_size, n_batches

    def _init_callback(self) -> None:
        require_own_rows(self.model.replay_buffer)

    def _on_step(self) -> bool:
        # From the count alone, so that there is no state to be saved: a period ends within this step of all environments.
        buffer = self.model.replay_buffer
        if self.num_timesteps % self.period_steps >= buffer.n_envs or n_filled(buffer) == 0:
            return True
        distance = self.policy_distance()
        if distance > self.threshold and n_filled(buffer) * buffer.n_envs > self.min_size:
            forget_oldest(buffer, int(self.fraction * n_filled(buffer)))
        self.logger.record("replay/policy_distance", distance)
        self.logger.record("replay/size", n_filled(buffer) * buffer.n_envs)
        return True

    @th.no_grad()
    def policy_distance(self) -> float:
        """Half the mean squared difference between the oldest transitions' actions and the policy's own, without noise.

        Actions count in units of half their range, so that it lies between 0 and 2. Of several environments, each row is
        looked at as often as there are, in one of them at random.
        """
        model, buffer = self.model, self.model.replay_buffer
        rows = oldest_rows(buffer, math.ceil(self.n_batches * model.batch_size / buffer.n_envs)).repeat(buffer.n_envs)
        differences = []
        with _draws_kept(buffer):
            for part in np.array_split(rows, math.ceil(len(rows) / model.batch_size)):
                batch = buffer._get_samples(part, env=model._vec_normalize_env)
                differences.append(model.policy._predict(batch.observations, deterministic=True) - batch.actions)
        return 0.5 * th.cat(differences).square().mean().item()


@contextmanager
def _draws_kept(buffer: ReplayBuffer) -> Iterator[None]:
    """Give the generators back as they were: training shall not notice that it is watched."""
    ours = buffer._rng.bit_generator if isinstance(buffer, NoiseReplayBuffer) else None
    states = np.random.get_state(), ours and ours.state
    yield
    np.random.set_state(states[0])
    if ours:
        ours.state = states[1]

"""Returns of several steps that begin late: one-step targets until then."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback


class DelayedReturns(BaseCallback):
    """Let SAC or TD3, stock SB3's or ours, learn from one-step returns first, and later from its ``n_steps``-step ones.

    Early policies change quickly, and a return of several steps is that of the policy that took them; later the longer
    return brings in less of a critic that few links make inaccurate. The replay stays as it is: only what is sampled from
    it changes.

    Args:
        after_steps: Environment steps after which targets are the agent's ``n_steps`` long.
        verbose: See SB3.

    Raises:
        ValueError: If ``after_steps`` is negative; or, when training starts, if the agent has no ``n_steps`` above 1 or a
            replay buffer without.

    Source:
        Tan et al., RLx2 (ICLR 2023), section 4.2. Their code counts updates.

    Example:
        >>> from stable_baselines3 import SAC
        >>> model = SAC("MlpPolicy", "Pendulum-v1", n_steps=3)
        >>> model.learn(20, callback=DelayedReturns(after_steps=30)).replay_buffer.n_steps
        1
        >>> model.learn(20, callback=DelayedReturns(after_steps=30), reset_num_timesteps=False).replay_buffer.n_steps
        3
    """

    def __init__(self, after_steps: int, verbose: int = 0) -> None:
        super().__init__(verbose)
        if after_steps < 0:
            raise ValueError(f"after_steps={after_steps} must be 0 or more environment steps")
        self.after_steps = after_steps

    def _init_callback(self) -> None:
        if self.model.n_steps < 2 or not hasattr(self.model.replay_buffer, "n_steps"):
            raise ValueError(
                f"n_steps={self.model.n_steps} of the agent must be above 1 to be delayed, and its replay buffer must have "
                f"n_steps too, got a {type(self.model.replay_buffer).__name__}"
            )

    def _on_step(self) -> bool:
        self.model.replay_buffer.n_steps = self.model.n_steps if self.num_timesteps >= self.after_steps else 1
        return True

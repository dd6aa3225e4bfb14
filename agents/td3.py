"""TD3 with sparse networks: Stable-Baselines3's, with the sparse policy, the noise replay and a quicker update."""

from __future__ import annotations

from typing import ClassVar

import stable_baselines3 as sb3
import torch as th
from stable_baselines3.common.policies import BasePolicy

from .networks import reads_vectors
from .policies import SparseTD3Policy
from .replay_choice import choose_replay_buffer, n_steps_taken_over
from .update import polyak_update, sample, with_fused_adam
from .written_out import read


class TD3(sb3.TD3):
    """Twin delayed DDPG; the interface is SB3's.

    ``policy="SparseMlpPolicy"`` is :class:`~siftrl.agents.policies.SparseTD3Policy`. In an extremely noisy environment the
    replay is a :class:`~siftrl.agents.replay.NoiseReplayBuffer` unless another one is asked for; its options go into
    ``replay_buffer_kwargs``. The optimiser is torch's fused Adam unless ``policy_kwargs`` chooses one.

    The update is SB3's, step by step and draw by draw. It differs in the order in which sums are added up (float tolerance)
    and in what it leaves out: joining observations and actions, the critics' own gradients while the actor learns, and
    autograd where networks are plain ones (:mod:`~siftrl.agents.written_out`).

    Source:
        Fujimoto et al., Addressing Function Approximation Error in Actor-Critic Methods (ICML 2018).

    Example:
        >>> from siftrl.envs import make_ene
        >>> model = TD3("SparseMlpPolicy", make_ene("HalfCheetah-v5", 0.9), policy_kwargs=dict(recipe="anf"))
        >>> model.actor.mu[0]
        SparseLinear(in_features=170, out_features=256, density=0.2, n_links=8704, bias=True)
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {**sb3.TD3.policy_aliases, "SparseMlpPolicy": SparseTD3Policy}

    def _setup_model(self) -> None:
        choose_replay_buffer(self)
        self.policy_kwargs = with_fused_adam(self.policy_kwargs)
        with n_steps_taken_over():
            super()._setup_model()

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update critics, and every ``policy_delay`` updates the actor and the targets.

        Args:
            gradient_steps: Updates of the critics.
            batch_size: Transitions in each.
        """
        if not reads_vectors(self):  # what is none is nothing that networks could share
            super().train(gradient_steps, batch_size)
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        log: dict[str, list[th.Tensor]] = {"actor_loss": [], "critic_loss": []}

        for _ in range(gradient_steps):
            self._n_updates += 1
            batch = sample(self.replay_buffer, batch_size, self._vec_normalize_env)
            here = read(batch.observations, self.actor, self.critic)
            there = read(batch.next_observations, self.actor_target, self.critic_target, keep=False)
            discount = self.gamma if batch.discounts is None else batch.discounts

            # Critics: towards the smaller value of the next state, under a smoothed action
            with th.no_grad():
                noise = th.empty_like(batch.actions).normal_(0, self.target_policy_noise)
                noise = noise.clamp(-self.target_noise_clip, self.target_noise_clip)
                next_actions = (there.actions() + noise).clamp(-1, 1)
                next_q = there.q_values(next_actions)
                target = batch.rewards + (1 - batch.dones) * discount * next_q.amin(dim=1, keepdim=True)
            log["critic_loss"].append(here.learn_critics(batch.actions, target, weight=1.0))
            self.critic.optimizer.step()

            # Actor: up the first critic's value, every `policy_delay` updates
            if self._n_updates % self.policy_delay == 0:
                log["actor_loss"].append(here.learn_actor())
                self.actor.optimizer.step()
                polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
                polyak_update(self.actor.parameters(), self.actor_target.parameters(), self.tau)
                polyak_update(self.critic_batch_norm_stats, self.critic_batch_norm_stats_target, 1.0)
                polyak_update(self.actor_batch_norm_stats, self.actor_batch_norm_stats_target, 1.0)

        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in log.items():
            if values:
                self.logger.record(f"train/{name}", th.stack(values).mean().item())

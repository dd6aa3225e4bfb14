"""SAC with sparse networks: Stable-Baselines3's, with the sparse policy, the noise replay and a quicker update."""

from __future__ import annotations

from typing import ClassVar

import stable_baselines3 as sb3
import torch as th
from stable_baselines3.common.policies import BasePolicy

from .networks import reads_vectors
from .policies import SparseSACPolicy
from .replay_choice import choose_replay_buffer, n_steps_taken_over
from .update import polyak_update, sample, with_fused_adam
from .written_out import read


class SAC(sb3.SAC):
    """Soft actor-critic; the interface is SB3's.

    ``policy="SparseMlpPolicy"`` is :class:`~siftrl.agents.policies.SparseSACPolicy`. In an extremely noisy environment the
    replay is a :class:`~siftrl.agents.replay.NoiseReplayBuffer` unless another one is asked for; its options go into
    ``replay_buffer_kwargs``. The optimiser is torch's fused Adam unless ``policy_kwargs`` chooses one.

    The update is SB3's, step by step and draw by draw. It differs in the order in which sums are added up (float tolerance)
    and in what it leaves out: joining observations and actions, the critics' own gradients while the actor learns, and
    autograd where networks are plain ones (:mod:`~siftrl.agents.written_out`).

    Source:
        Haarnoja et al., Soft Actor-Critic Algorithms and Applications (2018).

    Example:
        >>> from siftrl.envs import make_ene
        >>> model = SAC("SparseMlpPolicy", make_ene("HalfCheetah-v5", 0.9), policy_kwargs=dict(recipe="anf"))
        >>> model.actor.latent_pi[0]
        SparseLinear(in_features=170, out_features=256, density=0.2, n_links=8704, bias=True)
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {**sb3.SAC.policy_aliases, "SparseMlpPolicy": SparseSACPolicy}

    def _setup_model(self) -> None:
        choose_replay_buffer(self)
        self.policy_kwargs = with_fused_adam(self.policy_kwargs)
        with n_steps_taken_over():
            super()._setup_model()

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update critics, temperature and actor.

        Args:
            gradient_steps: Updates.
            batch_size: Transitions in each.
        """
        if not reads_vectors(self):  # what is none is nothing that networks could share
            super().train(gradient_steps, batch_size)
            return
        self.policy.set_training_mode(True)
        learnt_temperature = self.ent_coef_optimizer is not None
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        self._update_learning_rate([*optimizers, self.ent_coef_optimizer] if learnt_temperature else optimizers)
        log: dict[str, list[th.Tensor]] = {"ent_coef": [], "actor_loss": [], "critic_loss": [], "ent_coef_loss": []}

        for step in range(gradient_steps):
            batch = sample(self.replay_buffer, batch_size, self._vec_normalize_env)
            here = read(batch.observations, self.actor, self.critic)
            there = read(batch.next_observations, self.actor, self.critic_target, keep=False)
            discount = self.gamma if batch.discounts is None else batch.discounts
            if self.use_sde:
                self.actor.reset_noise()

            # Temperature: towards the target entropy
            actions, log_prob = here.action_log_prob()
            if learnt_temperature:
                with th.no_grad():
                    ent_coef = self.log_ent_coef.exp()
                    self.log_ent_coef.grad = -(log_prob + self.target_entropy).mean().reshape_as(self.log_ent_coef)
                    log["ent_coef_loss"].append(self.log_ent_coef * self.log_ent_coef.grad)
                self.ent_coef_optimizer.step()
            else:
                ent_coef = self.ent_coef_tensor

            # Critics: towards the soft value of the next state
            with th.no_grad():
                next_actions, next_log_prob = there.action_log_prob()
                next_q = there.q_values(next_actions)
                next_value = next_q.amin(dim=1, keepdim=True) - ent_coef * next_log_prob
                target = batch.rewards + (1 - batch.dones) * discount * next_value
            log["critic_loss"].append(here.learn_critics(batch.actions, target, weight=0.5))
            self.critic.optimizer.step()

            # Actor: up the smallest of the critics' values
            log["actor_loss"].append(here.learn_soft_actor(actions, log_prob, ent_coef))
            self.actor.optimizer.step()

            if step % self.target_update_interval == 0:
                polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
                polyak_update(self.batch_norm_stats, self.batch_norm_stats_target, 1.0)
            log["ent_coef"].append(ent_coef)

        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in log.items():
            if values:
                self.logger.record(f"train/{name}", th.stack(values).mean().item())

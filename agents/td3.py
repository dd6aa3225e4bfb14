"""TD3 with sparse networks: Stable-Baselines3's, with the sparse policy and the noise replay at hand."""

from __future__ import annotations

from typing import ClassVar

import stable_baselines3 as sb3
from stable_baselines3.common.policies import BasePolicy

from .policies import SparseTD3Policy
from .replay import choose_replay_buffer


class TD3(sb3.TD3):
    """Twin delayed DDPG; the interface is SB3's.

    ``policy="SparseMlpPolicy"`` is :class:`~siftrl.agents.policies.SparseTD3Policy`. In an extremely noisy environment the
    replay is a :class:`~siftrl.agents.replay.NoiseReplayBuffer` unless another one is asked for; its options go into
    ``replay_buffer_kwargs``.

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
        super()._setup_model()

"""SAC with sparse networks: Stable-Baselines3's, with the sparse policy and the noise replay at hand."""

from __future__ import annotations

from typing import ClassVar

import stable_baselines3 as sb3
from stable_baselines3.common.policies import BasePolicy

from .policies import SparseSACPolicy
from .replay import choose_replay_buffer


class SAC(sb3.SAC):
    """Soft actor-critic; the interface is SB3's.

    ``policy="SparseMlpPolicy"`` is :class:`~siftrl.agents.policies.SparseSACPolicy`. In an extremely noisy environment the
    replay is a :class:`~siftrl.agents.replay.NoiseReplayBuffer` unless another one is asked for; its options go into
    ``replay_buffer_kwargs``.

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
        super()._setup_model()

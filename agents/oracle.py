"""Oracle: an agent that is told which features are real, the upper bound of any filter."""

from __future__ import annotations

import numpy as np

from .feature_reader import FeatureReader


class Oracle(FeatureReader):
    """Let the actor and the critics of SAC or TD3 read the real features alone, from before the first update on.

    The environment says which those are, and where they stand after each permutation.

    Args:
        verbose: See SB3.

    Raises:
        ValueError: When training starts, if the environment does not know its real features, or as
            :class:`~siftrl.agents.feature_reader.FeatureReader`.

    Example:
        >>> from siftrl.agents import SAC
        >>> from siftrl.envs import make_ene
        >>> env = make_ene("Hopper-v5", noise_fraction=0.95)
        >>> model = SAC("SparseMlpPolicy", env, policy_kwargs=dict(recipe="sift")).learn(1, callback=Oracle())
        >>> model.actor.latent_pi[0]  # 11 features of 220
        SparseLinear(in_features=220, out_features=256, density=0.05, n_links=2816, bias=True)
    """

    def _init_callback(self) -> None:
        super()._init_callback()
        if not self.training_env.has_attr("relevant_features"):
            raise ValueError("env must be an extremely noisy environment, which knows its relevant_features, for an oracle")

    def _on_rollout_start(self) -> None:
        real = np.zeros(len(self.accepted), bool)
        real[self.training_env.get_attr("relevant_features")[0]] = True
        if (real != self.accepted).any():
            self.start_anew(real)

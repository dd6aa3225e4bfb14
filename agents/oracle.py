"""Oracle: an agent that is told which features are real, the upper bound of any filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from .feature_reader import FeatureReader
from .quiet_start import newest_steps


class Oracle(FeatureReader):
    """Let the actor and the critics of SAC or TD3 read the real features alone, from before the first update on.

    The environment says which those are, and where each of them stands after a permutation: the links go with them. The
    first layers are drawn when the warm-up is over, in the features' standard deviations during it.

    Args:
        verbose: See SB3.

    Raises:
        ValueError: When training starts, if the environment does not know its real features, or as
            :class:`~siftrl.agents.feature_reader.FeatureReader`.

    Example:
        >>> from siftrl.agents import SAC
        >>> from siftrl.envs import make_ene
        >>> env = make_ene("Hopper-v5", noise_fraction=0.95)
        >>> model = SAC("SparseMlpPolicy", env, policy_kwargs=dict(recipe="sift")).learn(100, callback=Oracle())
        >>> model.actor.latent_pi[0]  # 11 features of 220
        SparseLinear(in_features=220, out_features=256, density=0.05, n_links=2816, bias=True)
    """

    def _init_callback(self) -> None:
        super()._init_callback()
        if not self.training_env.has_attr("relevant_features"):
            raise ValueError("env must be an extremely noisy environment, which knows its relevant_features, for an oracle")

    def _take_up(self) -> None:
        super()._take_up()
        self._places: np.ndarray | None = None  # of the real features, in their own order

    def get_state(self) -> dict[str, Any]:
        """What is read, and where each real feature stands, as plain values and arrays."""
        return {**super().get_state(), "places": self._places}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started."""
        super().set_state(state)
        self._places = state["places"]

    def _on_rollout_end(self) -> None:
        if self.num_timesteps < self.model.learning_starts:
            return
        places = np.asarray(self.training_env.get_attr("relevant_features")[0])
        if np.array_equal(places, self._places):
            return
        real = np.isin(np.arange(len(self.accepted)), places)
        if self._places is not None:
            self.carry(real, self._places, places)
        elif (real != self.accepted).any():
            self.start_anew(real, newest_steps(self.model))
        self._places = places

"""Start networks as if what they read were standardised, and quietly: a first layer that starts loud learns late."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from ..sparse.feature_links import standardise
from .networks import first_layer, networks, require_plain_vectors, target_networks
from .replay_rows import newest_rows, observed, require_own_rows

_GAIN = 0.3  # of links of standardised features: see docs/decisions.md
FEWEST_STEPS = 100  # environment steps from which features can be measured
_MOST_STEPS = 2_500  # environment steps in which features are measured
_LEAST_SHARE = 1e-3  # of the features' median standard deviation: what hardly moves is not blown up
_LEAST = 1e-6  # where the median is that of features which rest
_MARK = "siftrl_started_quietly"  # an attribute of the model, which is saved with it
_BLOCK = 500  # rows, or features, that are looked at in one piece


def gains_and_centres(model: OffPolicyAlgorithm, read: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the links of each feature are to be multiplied by, and where they are to give nothing.

    Args:
        model: In whose replay features are measured; normalised, where its environments are.
        read: int64 ``(n,)``: features.
        rows: int64: of the replay; from fewer than 100 transitions nothing is measured.

    Returns:
        float64 ``(n_features,)`` each: 0.3 over the standard deviation, and the mean; 1 and 0 of what is not among ``read``
        or was not measured. The gain of what hardly moves is 1, too.
    """
    n_features = model.observation_space.shape[0]
    gains, centres = np.ones(n_features), np.zeros(n_features)
    if len(rows) * model.n_envs < FEWEST_STEPS:
        return gains, centres
    blocks = (_seen(model, block)[:, read] for block in np.split(rows, range(_BLOCK, len(rows), _BLOCK)))
    seen = np.concatenate(list(blocks))
    std = np.concatenate([part.std(0, dtype=np.float64) for part in np.array_split(seen, 1 + len(read) // _BLOCK, axis=1)])
    moves = std > max(_LEAST_SHARE * np.median(std), _LEAST)
    gains[read[moves]] = _GAIN / std[moves]
    centres[read] = seen.mean(0, dtype=np.float64)
    return gains, centres


def _seen(model: OffPolicyAlgorithm, rows: np.ndarray) -> np.ndarray:
    """The observations of some rows of the replay, as the networks read them."""
    seen, normalise = observed(model.replay_buffer, rows)[0], model.get_vec_normalize_env()
    return seen if normalise is None else normalise.normalize_obs(seen)  # the replay holds what is not normalised yet


def newest_steps(model: OffPolicyAlgorithm) -> np.ndarray:
    """Where the replay has the newest environment steps in which features are measured: int64 rows."""
    return newest_rows(model.replay_buffer, max(_MOST_STEPS // model.n_envs, 1))


class QuietStart(BaseCallback):
    """Scale the first layers of SAC or TD3, stock SB3's or ours, for standardised observations, times 0.3.

    Once, when the random steps of ``learning_starts`` are over and before the first update: each feature's weights are
    divided by its standard deviation so far and multiplied by 0.3, and the biases take off its mean; what hardly moves keeps
    its weights. Actions, which the critics read too, stay as they are. A model that was trained before is left alone. What
    :class:`~siftrl.agents.sift.Sift` and :class:`~siftrl.agents.oracle.Oracle` link starts like that by itself.

    Args:
        verbose: See SB3.

    Raises:
        ValueError: When training starts, if observations are not vectors that the first layers read as they are, if fewer
            than 100 steps are random or kept, too few to measure anything, or if the replay cannot be looked into.

    Source:
        Ours. That the inputs' scale decides how quickly a network learns: LeCun et al., Efficient BackProp (1998).

    Example:
        >>> from stable_baselines3 import SAC
        >>> model = SAC("MlpPolicy", "HalfCheetah-v5", learning_starts=200, seed=0)
        >>> loud = model.actor.latent_pi[0].weight.detach().clone()
        >>> _ = model.learn(200, callback=QuietStart())
        >>> share = (model.actor.latent_pi[0].weight / loud)[0]  # of what each feature's weights were
        >>> bool(share[4] > 1), bool(share[16] < 0.1)  # an angle of tenths, a speed of ten
        (True, True)
    """

    def __init__(self, verbose: int = 0) -> None:
        super().__init__(verbose)
        self._taken_up: OffPolicyAlgorithm | None = None

    def _init_callback(self) -> None:
        if self._taken_up is self.model:
            return
        self._is_over = self.model._n_updates > 0 or getattr(self.model, _MARK, False)
        if not self._is_over:
            self._require_something_to_measure()
        self._taken_up = self.model

    def _require_something_to_measure(self) -> None:
        model, buffer = self.model, self.model.replay_buffer
        require_plain_vectors(model, "to start quietly")
        require_own_rows(buffer)
        sizes = {"learning_starts": model.learning_starts, "buffer_size": buffer.buffer_size * model.n_envs}
        for name, size in sizes.items():
            if size < FEWEST_STEPS:
                raise ValueError(f"{name}={size} must be at least {FEWEST_STEPS} environment steps to start quietly")

    def get_state(self) -> dict[str, Any]:
        """Whether networks have started, as a plain value."""
        return {"is_over": self._is_over}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started."""
        self._is_over = state["is_over"]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self._is_over or self.num_timesteps < self.model.learning_starts:
            return
        self._is_over = True
        setattr(self.model, _MARK, True)
        everything = np.arange(self.model.observation_space.shape[0])
        gains, centres = gains_and_centres(self.model, everything, newest_steps(self.model))
        of_targets = target_networks(self.model)
        for name, network in networks(self.model).items():
            targets = [first_layer(of_targets[name])] if name in of_targets else []
            standardise(first_layer(network), gains, centres, targets=targets)

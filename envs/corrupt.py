"""Let the sensors of a task fail, in training or when a policy is tried."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from ..names import known
from .corruptions import CORRUPTIONS, Reading, level_of
from .spaces import flat_box

FEATURES = ("all", "real", "noise")

_STREAM_TAG = 0xC0227  # keeps these random numbers apart from the task's and the noise's, which come from the same seed


class CorruptFeatures(gym.Wrapper, RecordConstructorArgs):
    """Corrupt the observations of a task, in units of each feature's own standard deviation.

    The task, its rewards and the noise of :class:`NoiseFeatures` go on as they are: only what is seen of them changes.
    Several corruptions are several wrappers, the innermost first, with draws of their own. What a corruption remembers, and
    whatever it draws for an episode, ends with the episode.

    The observation space becomes unbounded, for sensors that fail keep to no bounds, and that of whole numbers float32.

    Args:
        env: an environment that observes a vector of numbers, noise and permutation included.
        corruption: a name in :data:`~siftrl.envs.corruptions.CORRUPTIONS`, which says what each does.
        severity: 1 to 5.
        level: how strong, in the corruption's own unit, instead of a severity.
        features: which are corrupted: ``"all"``, ``"real"`` or ``"noise"`` (of :class:`NoiseFeatures`).
        mean: of each feature where it stands, float (n_features,), whatever the order; ``None``: estimated from all
            observations since the last seeded reset or change of the features' order. The first of them then has no
            standard deviation to be corrupted in.
        std: of each feature, given if the mean is.
        corruption_seed: of what is drawn, together with the count of episodes since the last seeded reset. ``None``: the
            seed of the last ``reset(seed=...)``, or fresh entropy where there was none.

    Raises:
        TypeError: no Box observations.
        ValueError: an argument out of its range, several axes of observations, or noise features that are not there.

    Source:
        Hendrycks & Dietterich, Benchmarking neural network robustness to common corruptions and perturbations (ICLR 2019):
        corruptions in five severities; here those of sensors instead of images.

    Example:
        >>> env = CorruptFeatures(gym.make("Pendulum-v1"), "bias", level=2.0, mean=np.zeros(3), std=[0.1, 0.1, 1.0])
        >>> clean, _ = gym.make("Pendulum-v1").reset(seed=0)
        >>> observation, _ = env.reset(seed=0)
        >>> np.abs(observation - clean).round(3)
        array([0.2, 0.2, 2. ], dtype=float32)
    """

    def __init__(
        self,
        env: gym.Env,
        corruption: str,
        severity: int = 3,
        *,
        level: float | None = None,
        features: str = "all",
        mean: np.ndarray | None = None,
        std: np.ndarray | None = None,
        corruption_seed: int | None = None,
    ):
        space = flat_box(env, "CorruptFeatures")
        self.level = level_of(corruption, severity) if level is None else _checked_level(corruption, level)
        known(features, FEATURES, "features")
        if features != "all" and not (env.has_wrapper_attr("noise_source") and env.get_wrapper_attr("noise_source").n_noise):
            raise ValueError(f"features must be 'all' where an environment has no noise features, not {features!r}.")
        if corruption_seed is not None and corruption_seed < 0:
            raise ValueError(f"corruption_seed must not be negative, not {corruption_seed!r}.")
        mean, std = _checked_moments(mean, std, space.shape)
        RecordConstructorArgs.__init__(
            self,
            corruption=corruption,
            severity=int(severity),
            level=None if level is None else float(level),
            features=features,
            mean=None if mean is None else mean.tolist(),
            std=None if std is None else std.tolist(),
            corruption_seed=None if corruption_seed is None else int(corruption_seed),
        )
        gym.Wrapper.__init__(self, env)
        dtype = space.dtype if space.dtype.kind == "f" else np.float32
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, space.shape, dtype)
        self.features = features
        outer = "corruption_depth"
        self.corruption_depth = env.get_wrapper_attr(outer) + 1 if env.has_wrapper_attr(outer) else 0
        self._corruption = CORRUPTIONS[corruption]
        self._given = None if mean is None else (mean, std)
        self._seed = self._entropy = corruption_seed
        self._episode = -1
        self._rng = np.random.default_rng(0)
        self._memory: dict[str, Any] = {}
        self._moments = _no_moments(space.shape)
        self._permutation = 0
        self._corrupted = np.ones(space.shape, bool)

    @property
    def corrupts_noise(self) -> bool:
        """Whether noise features are seen otherwise than their source gives them, so that a replay must store them."""
        if not self.env.has_wrapper_attr("noise_source"):
            return False  # noise that is added to what is seen here is seen as it comes
        adds_to_real = self.env.get_wrapper_attr("noise_source").adds_to_real
        return self.features != "real" or adds_to_real or self.env.get_wrapper_attr("corrupts_noise")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Reset the environment and forget the episode before; a seed starts count of episodes and running moments anew."""
        observation, info = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self._episode = -1
            self._entropy = seed if self._seed is None else self._seed
        elif self._entropy is None:
            self._entropy = np.random.SeedSequence().entropy
        self._episode += 1
        streams = np.random.SeedSequence(self._entropy, spawn_key=(_STREAM_TAG, self.corruption_depth, self._episode))
        self._rng = np.random.default_rng(streams)
        self._memory = {}
        permutation = info.get("permutation", 0)
        if seed is not None or permutation != self._permutation:
            self._permutation, self._moments = permutation, _no_moments(observation.shape)
        self._choose()
        return self._apply(observation), info

    def step(self, action: Any) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict]:
        """Step the environment and corrupt what it observes."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._apply(observation), reward, terminated, truncated, info

    def get_wrapper_state(self) -> dict[str, Any]:
        """This wrapper's own state, without the task's: what its draws come from, its memory, and the running moments."""
        return {
            "entropy": self._entropy,
            "episode": self._episode,
            "generator": self._rng.bit_generator.state,
            "memory": dict(self._memory),
            "moments": {name: np.copy(value) for name, value in self._moments.items()},
            "permutation": self._permutation,
            "corrupted": self._corrupted.copy(),
        }

    def set_wrapper_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_wrapper_state`: what is seen next is what would have been seen there."""
        self._entropy, self._episode = state["entropy"], state["episode"]
        self._rng = np.random.default_rng(0)
        self._rng.bit_generator.state = state["generator"]
        self._memory = dict(state["memory"])
        self._moments = {name: np.copy(value) for name, value in state["moments"].items()}
        self._permutation, self._corrupted = state["permutation"], np.copy(state["corrupted"])

    def _choose(self) -> None:
        """Mark the features to corrupt, where they stand now."""
        if self.features == "all":
            return
        is_real = np.zeros(self.observation_space.shape, bool)
        is_real[self.env.get_wrapper_attr("relevant_features")] = True
        self._corrupted = is_real if self.features == "real" else ~is_real

    def _apply(self, observation: np.ndarray) -> np.ndarray:
        mean, std = self._mean_and_std(observation)
        chosen = self._corrupted
        reading = Reading(
            observation[chosen].astype(np.float64), mean[chosen], std[chosen], self.level, self._rng, self._memory
        )
        corrupted = observation.astype(self.observation_space.dtype)
        corrupted[chosen] = self._corruption.apply(reading)
        return corrupted

    def _mean_and_std(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._given is not None:
            return self._given
        # Welford's: exact for features far from zero.
        moments = self._moments
        count = moments["count"] + 1
        deviation = observation - moments["mean"]
        mean = moments["mean"] + deviation / count
        squares = moments["squares"] + deviation * (observation - mean)
        self._moments = {"count": count, "mean": mean, "squares": squares}
        return mean, np.sqrt(squares / count)


def _no_moments(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {"count": np.zeros((), np.int64), "mean": np.zeros(shape), "squares": np.zeros(shape)}


def _checked_level(name: str, level: float) -> float:
    corruption = CORRUPTIONS[known(name, CORRUPTIONS, "corruption")]
    if not 0 <= level <= corruption.most or level == np.inf or (corruption.whole and level != int(level)):
        kind = "a whole number" if corruption.whole else "a number"
        most = "0 or more" if corruption.most == np.inf else f"from 0 to {corruption.most}"
        raise ValueError(f"level of {name} must be {kind} {most} ({corruption.unit}), not {level!r}.")
    return float(level)


def _checked_moments(mean: Any, std: Any, shape: tuple[int, ...]) -> tuple[np.ndarray | None, np.ndarray | None]:
    if mean is None and std is None:
        return None, None
    for name, value in (("mean", mean), ("std", std)):
        if value is None or np.shape(value) != shape or not np.isfinite(value).all():
            raise ValueError(
                f"mean and std must both be finite numbers of shape {shape}, or both None; {name} is "
                f"{'None' if value is None else f'of shape {np.shape(value)}'}."
            )
    mean, std = np.array(mean, np.float64), np.array(std, np.float64)
    if (std < 0).any():
        raise ValueError(f"std must not be negative, not {std.min()!r}.")
    return mean, std

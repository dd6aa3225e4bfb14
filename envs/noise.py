"""The extremely noisy environment: a task's real features with many noise features behind them."""

from __future__ import annotations

import math
import os
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from ..names import known
from .histogram import FeatureHistogram
from .noise_source import NoiseSource
from .noise_tables import KINDS
from .recording import Recording
from .spaces import flat_box

_STREAM_TAG = 0x401CE  # keeps the noise's random numbers apart from the task's, which come from the same seed

_MOST_FEATURES = 10_000_000
_RECORDS = {"histogram": FeatureHistogram, "recording": Recording}


def total_features(n_real: int, noise_fraction: float) -> int:
    """Count real features and noise together: ceil(n_real / (1 − noise_fraction)), exactly.

    Args:
        n_real: real features, at least 1.
        noise_fraction: in [0, 1), taken as written: 0.9 is nine tenths, not the nearest binary number. (In floating
            point the same formula gives 171 instead of 170 for 17 features at 0.9.)

    Raises:
        ValueError: n_real below 1, or noise_fraction outside [0, 1) or so close to 1 that an observation takes more than
            40 MB.

    Source:
        Grooten et al. 2023, §3 (the formula, not its rounding error).

    Example:
        >>> [total_features(17, fraction) for fraction in (0, 0.8, 0.9, 0.95, 0.98, 0.99)]
        [17, 85, 170, 340, 850, 1700]
    """
    if n_real < 1:
        raise ValueError(f"n_real must be at least 1, got {n_real!r}")
    try:
        fraction = Fraction(Decimal(str(noise_fraction)))
    except (InvalidOperation, ValueError, OverflowError):
        fraction = Fraction(-1)
    if not 0 <= fraction < 1:
        raise ValueError(f"noise_fraction must be a number from 0 up to but not including 1, got {noise_fraction!r}")
    n_features = math.ceil(n_real / (1 - fraction))
    if n_features > _MOST_FEATURES:
        raise ValueError(
            f"noise_fraction={noise_fraction!r} would make {n_features:,} features of {n_real}, more than {_MOST_FEATURES:,}"
        )
    return n_features


class NoiseFeatures(gym.Wrapper, RecordConstructorArgs):
    """Append noise features to the observations of any task that observes a vector of numbers.

    Observations are float32 vectors: the real features first, then the noise. The task, its random numbers included,
    is untouched. ``info["noise_key"]`` (uint64 (2,)) holds the observation's key ``(stream, t)``, from which
    ``noise_source`` gives the noise again; of ``"copies"``, from the key and the real features. Each episode has its own
    stream; t is 0 at the reset and counts the environment steps. So within an episode an observation's key is its
    successor's with t − 1.

    Args:
        env: the task.
        noise_fraction: share of noise among all features, in [0, 1); see :func:`total_features`.
        distribution: ``"normal"``, ``"uniform"``, ``"imitate"``, ``"autoregressive"``, ``"brownian"``, ``"shadow"`` or
            ``"copies"``; see :class:`NoiseSource`.
        std: standard deviation of the noise; of ``"imitate"`` and ``"shadow"`` what it is multiplied with, of
            ``"copies"`` that of what they are off by, in standard deviations of the real feature.
        histogram: an ``.npz`` file for ``"imitate"`` and ``"copies"``; see :meth:`FeatureHistogram.load`. ``None``:
            10 000 random steps of a copy of the task.
        noise_seed: what the noise comes from, together with the count of episodes since the last seeded reset.
            Environments that share a noise_seed share their noise. ``None``: the seed of the last ``reset(seed=...)``,
            or fresh entropy where there was none.
        live_noise: only this many noise features vary, the others stay 0; ``None``: all vary.
        correlation: of ``"autoregressive"`` noise with what it was a step before.
        recording: an ``.npz`` file for ``"shadow"``, such as of a trained agent; see :func:`~siftrl.envs.recording.watch`.
            ``None``: 20 000 random steps of a copy of the task, which take from one second (Pendulum-v1, HalfCheetah-v5)
            to ten (Humanoid-v5), once in a process.

    Raises:
        TypeError: no Box observations.
        ValueError: an argument out of its range, several axes of observations, noise upon noise, or a task that cannot
            be copied.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering), §3. The published code draws the noise anew in every forward
        pass of every network; here it belongs to the observation.

    Example:
        >>> env = NoiseFeatures(gym.make("Pendulum-v1"), noise_fraction=0.9)
        >>> observation, info = env.reset(seed=0)
        >>> observation.shape, observation.dtype, env.relevant_features
        ((30,), dtype('float32'), array([0, 1, 2]))
        >>> noise = np.empty((1, 27), np.float32)
        >>> env.noise_source.fill(info["noise_key"][None], noise)
        >>> bool((observation[3:] == noise[0]).all())
        True
    """

    corrupts_noise = False  # it is seen as its source gives it; see CorruptFeatures

    def __init__(
        self,
        env: gym.Env,
        noise_fraction: float,
        distribution: str = "normal",
        std: float = 1.0,
        histogram: str | os.PathLike[str] | None = None,
        noise_seed: int | None = None,
        live_noise: int | None = None,
        correlation: float = 0.95,
        recording: str | os.PathLike[str] | None = None,
    ):
        space = flat_box(env, "NoiseFeatures")
        if env.has_wrapper_attr("noise_source"):
            raise ValueError(f"env must not have noise features yet, got {env}: wrap the task itself")
        n_real = space.shape[0]
        n_noise = total_features(n_real, noise_fraction) - n_real
        noise_fraction, std, correlation = float(str(noise_fraction)), float(std), float(correlation)
        histogram, recording = (None if file is None else os.fspath(file) for file in (histogram, recording))
        noise_seed, live_noise = (None if n is None else int(n) for n in (noise_seed, live_noise))
        if noise_seed is not None and noise_seed < 0:
            raise ValueError(f"noise_seed must not be negative, got {noise_seed!r}")

        RecordConstructorArgs.__init__(
            self,
            noise_fraction=noise_fraction,
            distribution=distribution,
            std=std,
            histogram=histogram,
            noise_seed=noise_seed,
            live_noise=live_noise,
            correlation=correlation,
            recording=recording,
        )
        gym.Wrapper.__init__(self, env)
        self.noise_fraction = noise_fraction
        self.noise_source = NoiseSource(
            n_real,
            n_noise,
            distribution,
            std,
            _of_the_task(env, distribution, "histogram", histogram),
            live_noise,
            correlation,
            _of_the_task(env, distribution, "recording", recording),
        )
        self.observation_space = _extended(space, self.noise_source)
        self._noise_seed = noise_seed
        self._entropy = noise_seed
        self._episode = -1
        self._key = np.zeros(2, np.uint64)

    @property
    def n_real_features(self) -> int:
        """How many features come from the task."""
        return self.noise_source.n_real

    @property
    def relevant_features(self) -> np.ndarray:
        """Where the real features stand, int64 (n_real,): for diagnosis, never for the agent."""
        return np.arange(self.n_real_features)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Reset the task and begin a new stream of noise; a seed starts the count of streams anew."""
        observation, info = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self._episode = -1
            self._entropy = seed if self._noise_seed is None else self._noise_seed
        elif self._entropy is None:
            self._entropy = np.random.SeedSequence().entropy
        self._episode += 1
        streams = np.random.SeedSequence(self._entropy, spawn_key=(_STREAM_TAG, self._episode))
        self._key = np.array([streams.generate_state(1, np.uint64)[0], 0], np.uint64)
        return self._with_noise(observation), {**info, "noise_key": self._key.copy()}

    def step(self, action: Any) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict]:
        """Step the task and append the noise of this time step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._key[1] += np.uint64(1)
        return self._with_noise(observation), reward, terminated, truncated, {**info, "noise_key": self._key.copy()}

    def get_wrapper_state(self) -> dict[str, Any]:
        """This wrapper's own state, without the task's: what the noise comes from, the count of episodes, and the key."""
        return {"entropy": self._entropy, "episode": self._episode, "key": self._key.copy()}

    def set_wrapper_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_wrapper_state`: the next noise is what it would have been there.

        Raises:
            ValueError: a key that is none.
        """
        key = np.array(state["key"])
        if key.dtype != np.uint64 or key.shape != (2,):
            raise ValueError(f"key must be uint64 of shape (2,), got {key.dtype} of shape {key.shape}")
        self._entropy, self._episode, self._key = state["entropy"], state["episode"], key

    def _with_noise(self, observation: np.ndarray) -> np.ndarray:
        source = self.noise_source
        whole = np.empty(source.n_features, np.float32)
        whole[: source.n_real] = observation
        source.fill(self._key[None], whole[None, source.n_real :], whole[None, : source.n_real])
        return whole


def _of_the_task(env: gym.Env, distribution: str, name: str, file: str | None) -> FeatureHistogram | Recording | None:
    """What the distribution must know of the task: loaded from the file, or recorded from a copy of the task."""
    if name not in KINDS[known(distribution, KINDS, "distribution")].needs:
        if file is not None:
            users = " or ".join(repr(kind) for kind in KINDS if name in KINDS[kind].needs)
            raise ValueError(f"{name} must be None unless distribution is {users}, got {file!r} for {distribution!r}")
        return None
    if file is not None:
        return _RECORDS[name].load(file)
    if env.spec is None:
        raise ValueError(f"{name} must name a file where the task cannot be copied: {env} was not made by gymnasium.make")
    return _RECORDS[name].record(env.spec)


def _extended(space: gym.spaces.Box, source: NoiseSource) -> gym.spaces.Box:
    """Return the task's bounds followed by the noise's, in float32."""
    with np.errstate(over="ignore"):  # bounds beyond float32 become infinite
        low, high = (
            np.concatenate((real.astype(np.float32), np.full(source.n_noise, noise, np.float32)))
            for real, noise in zip((space.low, space.high), source.bounds, strict=True)
        )
    return gym.spaces.Box(low, high, dtype=np.float32)

"""Reorder the features of an observation: once, or again every N environment steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from .spaces import flat_box

_RANKED = 20  # 20! < 2^62: enough orders to never run out


@dataclass(frozen=True)
class Permutations:
    """An endless series of feature orders, the k-th a pure function of (seed, k).

    No order comes twice among the first min(n_features, 20)! ones, and never the same twice in a row.

    Args:
        seed: of the series.
        n_features: features to reorder, at least 2.
        identity_first: whether order 0 leaves everything in its place, instead of being random like the others.

    Raises:
        ValueError: a negative seed, or fewer than 2 features.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering), the transfer setting: the first order is the task's own, none
        comes back.

    Example:
        >>> permutations = Permutations(seed=3, n_features=5, identity_first=True)
        >>> permutations.order(0), permutations.order(1)
        (array([0, 1, 2, 3, 4]), array([4, 2, 0, 1, 3]))
        >>> permutations.order(1)[permutations.positions(1)]
        array([0, 1, 2, 3, 4])
    """

    seed: int
    n_features: int
    identity_first: bool

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"permutation_seed must not be negative, got {self.seed!r}")
        if self.n_features < 2:
            raise ValueError(f"permuting needs at least 2 features, got {self.n_features!r}")

    def order(self, k: int) -> np.ndarray:
        """Return the k-th order, int64 (n_features,), read-only: the permuted observation is ``observation[order(k)]``.

        Raises:
            ValueError: a negative k.
        """
        return _order_and_positions(self, k)[0]

    def positions(self, k: int) -> np.ndarray:
        """Return where each feature stands under the k-th order, the inverse of :meth:`order`, int64, read-only.

        Raises:
            ValueError: a negative k.
        """
        return _order_and_positions(self, k)[1]


@lru_cache(maxsize=16)
def _order_and_positions(permutations: Permutations, k: int) -> tuple[np.ndarray, np.ndarray]:
    if k < 0:
        raise ValueError(f"permutation must not be negative, got {k!r}")
    n = permutations.n_features
    order = np.arange(n)
    if k > 0 or not permutations.identity_first:
        np.random.default_rng([permutations.seed, k]).shuffle(order)
        # A shuffle alone might repeat. The mutual order of the first features is therefore taken from a walk through
        # all of theirs.
        ranked = min(n, _RANKED)
        order[order < ranked] = _arrangement(_rank(permutations, k, math.factorial(ranked)), ranked)
    positions = np.argsort(order)
    order.flags.writeable = positions.flags.writeable = False
    return order, positions


def _rank(permutations: Permutations, k: int, count: int) -> int:
    """Return the k-th of count ranks, in an order that depends on the seed and meets each rank once."""
    rng = np.random.default_rng([permutations.seed])
    first = int(rng.integers(count))
    stride = int(rng.integers(1, count))
    while math.gcd(stride, count) != 1:
        stride = int(rng.integers(1, count))
    rank = (first + k * stride) % count
    if permutations.identity_first and rank in (0, first):  # these two change places: rank 0, the identity, comes first
        rank = first - rank
    return rank


def _arrangement(rank: int, n: int) -> list[int]:
    """Return the arrangement of 0 … n − 1 with this place in the dictionary (Lehmer code)."""
    left, arrangement = list(range(n)), []
    for size in range(n, 0, -1):
        place, rank = divmod(rank, math.factorial(size - 1))
        arrangement.append(left.pop(place))
    return arrangement


class PermuteFeatures(gym.Wrapper, RecordConstructorArgs):
    """Reorder the features of the observations.

    ``info["permutation"]`` holds the number k of the order that stands. With ``permute_every=None`` one random order,
    number 0, stands for good. With ``permute_every=N`` number 0 is the task's own order, and a reset after n steps of
    this environment brings number n // N. :meth:`set_permutation` takes the choice over: after it, the environment's
    own count of steps is off.

    Every feature gets the lowest and the highest bound of all of them, so that the observation space does not depend on
    k.

    Args:
        env: an environment that observes a vector of numbers.
        permutation_seed: of the orders; environments with the same seed and number of features share them.
        permute_every: environment steps from one order to the next, taken over at the next reset.

    Raises:
        TypeError: no Box observations.
        ValueError: an argument out of its range, several axes of observations, or a single feature.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering), the transfer setting (``adjust_env_period``).

    Example:
        >>> env = PermuteFeatures(gym.make("CartPole-v1"), permutation_seed=3)
        >>> plain, _ = gym.make("CartPole-v1").reset(seed=0)
        >>> observation, info = env.reset(seed=0)
        >>> info["permutation"], bool((observation[env.relevant_features] == plain).all())
        (0, True)
    """

    def __init__(self, env: gym.Env, permutation_seed: int = 0, permute_every: int | None = None):
        space = flat_box(env, "PermuteFeatures")
        if env.has_wrapper_attr("permutations"):
            raise ValueError(f"env must not be permuted yet, got {env}")
        if permute_every is not None and permute_every < 1:
            raise ValueError(f"permute_every must be at least 1 environment step, got {permute_every!r}")
        permutation_seed = int(permutation_seed)
        permute_every = None if permute_every is None else int(permute_every)
        RecordConstructorArgs.__init__(self, permutation_seed=permutation_seed, permute_every=permute_every)
        gym.Wrapper.__init__(self, env)
        self.permutations = Permutations(permutation_seed, space.shape[0], identity_first=permute_every is not None)
        if space.low.min() < space.low.max() or space.high.min() < space.high.max():
            space = gym.spaces.Box(space.low.min(), space.high.max(), space.shape, space.dtype)
        self.observation_space = space
        self._permute_every = permute_every
        self._steps = 0
        self._permutation = 0
        self._chosen: int | None = None

    @property
    def permutation(self) -> int:
        """The number k of the order that stands; setting it is :meth:`set_permutation`."""
        return self._permutation

    @permutation.setter
    def permutation(self, k: int) -> None:
        self.set_permutation(k)

    def set_permutation(self, k: int) -> None:
        """Choose the order from the next reset on, until another is chosen.

        Args:
            k: number of the order, at least 0.

        Raises:
            ValueError: a negative k.
        """
        if k < 0:
            raise ValueError(f"permutation must not be negative, got {k!r}")
        self._chosen = int(k)

    @property
    def relevant_features(self) -> np.ndarray:
        """Where the real features stand now, int64: for diagnosis, never for the agent."""
        positions = self.permutations.positions(self._permutation)
        if self.env.has_wrapper_attr("relevant_features"):
            return positions[self.env.get_wrapper_attr("relevant_features")]
        return positions.copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Reset the environment and let the order stand that is due; a seed does not reset the count of steps."""
        if self._chosen is not None:
            self._permutation = self._chosen
        elif self._permute_every is not None:
            self._permutation = self._steps // self._permute_every
        observation, info = self.env.reset(seed=seed, options=options)
        return self._permuted(observation), {**info, "permutation": self._permutation}

    def step(self, action: Any) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict]:
        """Step the environment and reorder what it observes."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        return self._permuted(observation), reward, terminated, truncated, {**info, "permutation": self._permutation}

    def get_wrapper_state(self) -> dict[str, Any]:
        """This wrapper's own state, without the task's: the count of steps, the order that stands, the chosen one."""
        return {"steps": self._steps, "permutation": self._permutation, "chosen": self._chosen}

    def set_wrapper_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_wrapper_state`; the order that stood there stands at once."""
        self._steps, self._permutation, self._chosen = state["steps"], state["permutation"], state["chosen"]

    def _permuted(self, observation: np.ndarray) -> np.ndarray:
        return observation[self.permutations.order(self._permutation)]

"""Trying an agent: its return where all is well, and where something goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from ..training.agent import saved_agent, weights_only_agent
from ..training.device import resolve_device
from ..training.disturbance import Disturbance, ObservedMoments, disturbed_env
from ..training.environments import evaluation_seed, make_vec_env
from ..training.evaluation import Episodes, evaluate
from .subjects import Subject

_AT_ONCE = 10  # environments that an agent acts in together


class Trial:
    """An agent that is tried again and again, always in the same episodes.

    Args:
        subject: the agent.
        episodes: how many.
        seed: of the episodes, as that of ``evaluate.py``; but they are played beside each other, so they are others.
        features: which sensors fail: ``"all"``, ``"real"`` or ``"noise"``.
        device: as SB3 takes it, or ``"auto"``.
        weights_only: take nothing but weights and options from the zip.

    Raises:
        ValueError: for an agent that is not whole, and a device that is not there.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        episodes: int,
        seed: int,
        features: str = "all",
        device: str = "auto",
        weights_only: bool = False,
    ) -> None:
        self._ene_kwargs = subject.config.ene_kwargs()
        self._permutation = subject.provenance.permutation
        self._episodes, self._seed, self._features = episodes, evaluation_seed(seed), features
        self._env = make_vec_env(self._ene_kwargs, n_envs=self._n_envs, seed=self._seed)
        if self._env.has_attr("permutations"):
            self._env.env_method("set_permutation", self._permutation)
        load = (subject.path, subject.provenance) if weights_only else (subject.path,)
        self._agent: Any = (weights_only_agent if weights_only else saved_agent)(*load, self._env, resolve_device(device))
        self._moments: ObservedMoments | None = None

    def clean(self) -> Episodes:
        """Play where all is well."""
        self._moments = ObservedMoments(self._env.observation_space.shape[0])
        return self._play(self._env, self._moments)

    def disturbed(self, disturbance: Disturbance) -> Episodes:
        """Play where something goes wrong, in units of the features as this agent meets them where all is well.

        Raises:
            ValueError: for a disturbance that this task or this agent cannot have.
        """
        if self._moments is None:
            self.clean()
        env = disturbed_env(
            self._ene_kwargs,
            [disturbance],
            agent=self._agent,
            moments=self._moments,
            seed=self._seed,
            features=self._features,
            permutation=self._permutation,
            n_envs=self._n_envs,
        )
        try:
            return self._play(env)
        finally:
            env.close()

    @property
    def _n_envs(self) -> int:
        return min(self._episodes, _AT_ONCE)

    def _play(self, env: VecEnv, callback: Any = None) -> Episodes:
        return evaluate(self._agent, env, episodes=self._episodes, seed=self._seed, callback=callback)


class _NoAgent:
    """What SB3's ``evaluate_policy`` asks of an agent, without one."""

    def __init__(self, env: VecEnv, seed: int, is_still: bool) -> None:
        self._space, self._n, self._is_still = env.action_space, env.num_envs, is_still
        self._space.seed(seed)

    def predict(self, *_args: Any, **_kwargs: Any) -> tuple[np.ndarray, None]:
        """Actions for all environments, ``(n_envs, *action_shape)``: zero, or drawn at random; and no state."""
        if self._is_still:
            return np.zeros((self._n, *self._space.shape), self._space.dtype).clip(self._space.low, self._space.high), None
        return np.array([self._space.sample() for _ in range(self._n)]), None


def return_without_agent(ene_kwargs: dict[str, Any], *, episodes: int, seed: int, is_still: bool) -> Episodes:
    """Play with random actions, or with none: all zero.

    Args:
        ene_kwargs: arguments of :func:`siftrl.envs.make_ene`.
        episodes: how many.
        seed: of episodes and actions.
        is_still: whether actions are zero, instead of drawn from the action space.
    """
    n_envs = min(episodes, _AT_ONCE)
    env = make_vec_env({**ene_kwargs, "noise_fraction": 0.0}, n_envs=n_envs, seed=evaluation_seed(seed))
    try:
        nobody = _NoAgent(env, evaluation_seed(seed), is_still)
        return evaluate(nobody, env, episodes=episodes, seed=evaluation_seed(seed))
    finally:
        env.close()

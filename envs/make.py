"""Build extremely noisy environments from their task's id, and register them with Gymnasium."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from ..names import did_you_mean
from .noise import NoiseFeatures
from .permute import PermuteFeatures

_V4_TASKS = ("Ant-v4", "Humanoid-v4")  # closest to the environments of the published results


def make_ene(
    env_id: str | EnvSpec,
    noise_fraction: float = 0.9,
    *,
    noise_distribution: str = "normal",
    noise_std: float = 1.0,
    histogram: str | os.PathLike[str] | None = None,
    noise_seed: int | None = None,
    live_noise: int | None = None,
    noise_correlation: float = 0.95,
    recording: str | os.PathLike[str] | None = None,
    permute: bool = False,
    permute_every: int | None = None,
    permutation_seed: int = 0,
    **kwargs: Any,
) -> gym.Env:
    """Make a task and bury its features among noise.

    Args:
        env_id: id or spec of the task: any that observes a vector of numbers.
        noise_fraction: share of noise among all features, in [0, 1).
        noise_distribution: ``"normal"``, ``"uniform"``, ``"imitate"``, ``"autoregressive"``, ``"brownian"``,
            ``"shadow"`` or ``"copies"``; see :class:`NoiseFeatures`, also for the next six.
        noise_std: standard deviation of the noise.
        histogram: file for ``"imitate"`` and ``"copies"``.
        noise_seed: what the noise comes from; ``None``: the seed of the reset.
        live_noise: how many noise features vary; ``None``: all.
        noise_correlation: of ``"autoregressive"`` noise with what it was a step before.
        recording: file for ``"shadow"``.
        permute: whether one fixed random order of the features stands for good.
        permute_every: environment steps from one order of the features to the next; the task's own order comes first.
        permutation_seed: of the orders.
        **kwargs: what ``gymnasium.make`` takes: ``render_mode``, ``max_episode_steps``, the task's own arguments.

    Returns:
        The environment, float32 observations, whose ``spec`` rebuilds it.

    Raises:
        TypeError: a task without Box observations.
        ValueError: an unknown task, or an argument out of its range.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering).

    Example:
        >>> env = make_ene("HalfCheetah-v5", noise_fraction=0.99)
        >>> env.observation_space.shape
        (1700,)
        >>> make_ene("HalfCheeta-v5")
        Traceback (most recent call last):
            ...
        ValueError: env_id must be a registered environment, not 'HalfCheeta-v5'. Did you mean HalfCheetah-v5?
    """
    if permute and permute_every is not None:
        raise ValueError(
            f"permute=True (one order for good) excludes permute_every={permute_every!r} (a new order now and then)"
        )
    env = _make_task(env_id, kwargs)
    env = NoiseFeatures(
        env,
        noise_fraction,
        noise_distribution,
        noise_std,
        histogram,
        noise_seed,
        live_noise,
        noise_correlation,
        recording,
    )
    if permute or permute_every is not None:
        env = PermuteFeatures(env, permutation_seed, permute_every)
    return env


def register_envs() -> None:
    """Register ``siftrl/ENE-<Task>`` for Gymnasium's MuJoCo tasks: all of v5, and Ant and Humanoid of v4.

    ``gymnasium.make`` then takes the keyword arguments of :func:`make_ene`. A second call does nothing. A process that
    has not imported siftrl yet (a worker of a vector of environments) takes ``"siftrl:siftrl/ENE-<Task>"``.

    Example:
        >>> register_envs()
        >>> gym.make("siftrl/ENE-Hopper-v5", noise_fraction=0.8).observation_space.shape
        (55,)
    """
    tasks = [spec for spec in gym.registry.values() if str(spec.entry_point).startswith("gymnasium.envs.mujoco.")]
    for task in tasks:
        ene_id = f"siftrl/ENE-{task.id}"
        if (task.version == 5 or task.id in _V4_TASKS) and ene_id not in gym.registry:
            gym.register(
                ene_id,
                entry_point="siftrl.envs.make:make_registered",
                reward_threshold=task.reward_threshold,
                max_episode_steps=task.max_episode_steps,
                kwargs={"task": task.id},
            )


def make_registered(task: str, **kwargs: Any) -> gym.Env:
    """Make the environment behind a registered id, without the checks and the time limit that ``gymnasium.make`` adds."""
    bare = replace(gym.spec(task), max_episode_steps=None, order_enforce=False, disable_env_checker=True)
    return make_ene(bare, **kwargs)


def _make_task(env_id: str | EnvSpec, kwargs: dict[str, Any]) -> gym.Env:
    try:
        return gym.make(env_id, **kwargs)
    except gym.error.DependencyNotInstalled:
        raise
    except (gym.error.Error, ImportError) as error:
        if isinstance(error, ImportError) and isinstance(env_id, str) and ":" in env_id:
            hint = did_you_mean(env_id, gym.registry)
            raise ValueError(f"env_id must name a module that can be imported, not {env_id!r}: {error}.{hint}") from error
        others = [other for other in gym.registry if other != env_id]
        hint = did_you_mean(env_id, others) or " gymnasium.pprint_registry() lists them."
        raise ValueError(f"env_id must be a registered environment, not {env_id!r}.{hint}") from error

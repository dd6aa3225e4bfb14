"""The environments of a run: training and evaluation, built alike, seeded apart, permuted together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from ..envs import make_ene
from ..envs.mujoco_warnings import hush_deprecations

_EVALUATION_SEEDS = 1_000_000


def evaluation_seed(seed: int) -> int:
    """The seed of evaluation for a run's ``seed``: no training environment, of which there are fewer, has it."""
    return seed + _EVALUATION_SEEDS


def make_vec_env(
    ene_kwargs: dict[str, Any],
    *,
    n_envs: int = 1,
    seed: int,
    monitor_folder: Path | None = None,
    append: bool = False,
    wrap: Callable[[gym.Env], gym.Env] | None = None,
) -> VecEnv:
    """Environments in SB3's vectorised form, seeded ``seed``, ``seed + 1``, …; their resets so seeded too.

    Args:
        ene_kwargs: arguments of :func:`siftrl.envs.make_ene`.
        n_envs: how many.
        seed: of the first one.
        monitor_folder: where ``<number>.monitor.csv`` files with return and length of each episode go, if anywhere.
        append: go on writing the files that are there.
        wrap: what else to put around each environment, within its monitor.

    Raises:
        ValueError: for a task that does not exist or cannot be buried in noise.
    """

    def maker(rank: int) -> Callable[[], gym.Env]:
        def make() -> gym.Env:
            env = make_ene(**ene_kwargs)
            env.action_space.seed(seed + rank)
            env = env if wrap is None else wrap(env)
            file = None if monitor_folder is None else str(monitor_folder / str(rank))
            return Monitor(env, file, override_existing=not append)

        return make

    try:
        hush_deprecations()
        envs = DummyVecEnv([maker(rank) for rank in range(n_envs)])
    except ValueError:
        raise
    except Exception as error:
        # Any task may be named here, and each fails in its own way where it lacks a package or a renderer.
        raise ValueError(f"cannot make the environment {ene_kwargs['env_id']}: {error}") from error
    envs.seed(seed)
    return envs


def check_continuous(env: VecEnv, env_id: str, algo: str) -> None:
    """Check that ``algo`` can act in ``env``.

    Raises:
        ValueError: where actions are not continuous and bounded.
    """
    space = env.action_space
    if not isinstance(space, gym.spaces.Box):
        raise ValueError(f"{algo.upper()} needs continuous actions (a Box), but the actions of {env_id} are {space}.")
    if not space.is_bounded():
        raise ValueError(f"{algo.upper()} needs bounded actions, but those of {env_id} are {space}.")


def relevant_features(env: VecEnv) -> Any:
    """Where the real features stand now, int64 (n_real,); ``None`` for an environment without noise."""
    return env.get_attr("relevant_features", 0)[0] if env.has_attr("relevant_features") else None

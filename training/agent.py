"""Agents: a new one from a configuration, a saved one to continue or to evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
from stable_baselines3.common.vec_env import VecEnv

from ..agents import SAC, TD3
from ..agents.presets import build_kwargs
from .archive import inspect_model, read_provenance
from .checkpoint import restore_replay
from .config import RunConfig
from .origin import Origin

_ALGORITHMS = {"sac": SAC, "td3": TD3}
# Sets the random numbers after a resumption apart from all others of the run.
_RESUMED = 0x5E5
_SB3_LEARNING_STARTS = 100


def agent_arguments(config: RunConfig, env: VecEnv) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy's and the algorithm's arguments that ``config`` resolves to in ``env``.

    Raises:
        ValueError: for a recipe or a distribution that does not exist, and for a density that cannot be had.
    """

    def build(planned_updates: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return build_kwargs(
            config.recipe,
            config.algo,
            config.hparams,
            density=config.density,
            input_density=config.input_density,
            distribution=config.distribution,
            planned_updates=planned_updates,
            n_actions=env.action_space.shape[0],
        )

    # The preset says how many steps pass before the first update; how many updates follow decides its schedules.
    learning_starts = build(config.n_timesteps)[1].get("learning_starts", _SB3_LEARNING_STARTS)
    policy_kwargs, algorithm_kwargs = build(max(config.n_timesteps - learning_starts, 1))
    algorithm_kwargs["buffer_size"] = config.buffer_size
    algorithm_kwargs["replay_buffer_kwargs"] = {"replay_noise": config.replay_noise, "on_permute": config.on_permute}
    if config.n_envs > 1:
        # As many updates as environment steps, so that the number of environments does not change the budget.
        algorithm_kwargs["gradient_steps"] = -1
    return policy_kwargs, algorithm_kwargs


def new_agent(
    config: RunConfig, env: VecEnv, device: str, policy_kwargs: dict[str, Any], algorithm_kwargs: dict[str, Any]
) -> Any:
    """An untrained agent for ``env``.

    Raises:
        ValueError: for densities that a layer cannot have.
    """
    algorithm = _ALGORITHMS[config.algo]
    return algorithm(
        "SparseMlpPolicy", env, policy_kwargs=policy_kwargs, seed=config.seed, device=device, **algorithm_kwargs
    )


def continued_agent(origin: Origin, env: VecEnv, device: str) -> Any:
    """The agent of ``origin``, in ``env``, with its replay where that was saved.

    Raises:
        ValueError: where the archive holds something else than it should.
    """
    config, done = origin.provenance.config, origin.provenance.num_timesteps
    agent = _load(_ALGORITHMS[config.algo], origin.path, origin.model(), env=env, device=device)
    if origin.has_replay:
        restore_replay(agent, origin.path)
    # With the run's own seed the environments would play their first episodes, and their noise, all over again.
    seed = int(np.random.SeedSequence((config.seed, done, _RESUMED)).generate_state(1)[0] >> 1)
    agent.set_random_seed(seed)
    return agent


def saved_agent(path: Path, env: VecEnv, device: str) -> Any:
    """The agent saved at ``path``, to act in ``env``.

    Raises:
        ValueError: where ``path`` holds no agent, or one that reads another number of features than ``env`` gives.
    """
    saved = inspect_model(path)
    offered = env.observation_space.shape[0]
    if saved.n_features not in (None, offered):
        raise ValueError(f"the agent reads {saved.n_features:,} features, but this environment has {offered:,}.")
    if read_provenance(path) is None:
        algorithm = getattr(stable_baselines3, saved.algorithm.upper())
    else:
        algorithm = _ALGORITHMS[saved.algorithm]
    return _load(
        algorithm,
        path,
        path,
        env=env,
        device=device,
        # Other noise has other bounds; the policy reads the numbers all the same.
        custom_objects={"observation_space": env.observation_space},
        # Acting needs no memory of the past: a replay of full size could be larger than this machine.
        buffer_size=1,
    )


def _load(algorithm: Any, path: Path, file: Any, **kwargs: Any) -> Any:
    try:
        return algorithm.load(file, **kwargs)
    except Exception as error:
        # Unpickling foreign content raises anything; the user needs to know which file, and the reason in brief.
        raise ValueError(f"cannot load the model {path}: {type(error).__name__}: {error}") from error

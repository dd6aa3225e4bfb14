"""Agents: a new one from a configuration, a saved one to continue or to evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
from stable_baselines3.common.save_util import load_from_zip_file, recursive_setattr
from stable_baselines3.common.vec_env import VecEnv

from ..agents import SAC, TD3
from ..agents.presets import build_kwargs
from ..agents.quiet_start import FEWEST_STEPS
from .archive import Provenance, inspect_model, read_provenance
from .checkpoint import Checkpoint, model_of, restore_replay
from .config import RunConfig
from .environments import check_continuous
from .memory import check_network_fits
from .origin import Origin

_ALGORITHMS = {"sac": SAC, "td3": TD3}
# Sets the random numbers of a continued run apart from all others.
_CONTINUED = 0x5E5
_SB3_LEARNING_STARTS = 100
_QUIET_LEARNING_STARTS = 1_000  # features are measured by then


def agent_arguments(config: RunConfig, env: VecEnv, planned_timesteps: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy's and the algorithm's arguments that ``config`` resolves to in ``env``.

    Args:
        config: the run's options.
        env: its environments.
        planned_timesteps: environment steps that schedules are made for.

    Raises:
        ValueError: for a recipe or a distribution that does not exist, and for a density that cannot be had.
    """

    if config.quiet_start and learning_starts(config) < FEWEST_STEPS:
        raise ValueError(f"quiet-start needs learning-starts of {FEWEST_STEPS} or more, got {learning_starts(config)}.")
    # How many steps pass before the first update, and so how many updates follow, decides the preset's schedules.
    planned_updates = max(planned_timesteps - learning_starts(config), 1)
    policy_kwargs, algorithm_kwargs = _preset(config, planned_updates=planned_updates, n_actions=env.action_space.shape[0])
    algorithm_kwargs.update(_own(config))
    if config.weight_decay is not None:
        policy_kwargs["optimizer_kwargs"] = {"weight_decay": config.weight_decay}
    algorithm_kwargs["buffer_size"] = config.buffer_size
    algorithm_kwargs["replay_buffer_kwargs"] = {"replay_noise": config.replay_noise, "on_permute": config.on_permute}
    if config.n_envs > 1:
        # As many updates as environment steps, so that the number of environments does not change the budget.
        algorithm_kwargs["gradient_steps"] = -1
    return policy_kwargs, algorithm_kwargs


def learning_starts(config: RunConfig) -> int:
    """Environment steps with random actions before the first update: the run's own number, or its preset's.

    Raises:
        ValueError: for a recipe or a distribution that does not exist, and for a density that cannot be had.

    Example:
        >>> learning_starts(RunConfig(recipe="anf")), learning_starts(RunConfig(recipe="anf", hparams="paper"))
        (100, 25000)
    """
    return {**_preset(config)[1], **_own(config)}.get("learning_starts", _SB3_LEARNING_STARTS)


def _preset(config: RunConfig, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    policy_kwargs, algorithm_kwargs = build_kwargs(
        config.recipe,
        config.algo,
        config.hparams,
        density=config.density,
        input_density=config.input_density,
        distribution=config.distribution,
        actor_density=config.actor_density,
        critic_density=config.critic_density,
        epsilon=config.epsilon(),
        width=config.width,
        schedule=_given(period_updates=config.period_updates, fraction=config.drop_fraction),
        **kwargs,
    )
    if config.quiet_start:
        algorithm_kwargs.setdefault("learning_starts", _QUIET_LEARNING_STARTS)
    return policy_kwargs, algorithm_kwargs


def _own(config: RunConfig) -> dict[str, Any]:
    return _given(learning_rate=config.learning_rate, batch_size=config.batch_size, learning_starts=config.learning_starts)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def new_agent(
    config: RunConfig, env: VecEnv, device: str, policy_kwargs: dict[str, Any], algorithm_kwargs: dict[str, Any]
) -> Any:
    """An untrained agent for ``env``.

    Raises:
        ValueError: for densities that a layer cannot have, and for networks that do not fit into memory.
    """
    algorithm = _ALGORITHMS[config.algo]
    check_network_fits(env.observation_space.shape[0], config.width)
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
    agent.set_random_seed(continued_seed(config.seed, done))
    return agent


def continued_seed(seed: int, num_timesteps: int) -> int:
    """A seed for what a run cannot take up where it stopped after ``num_timesteps`` environment steps.

    With the run's own ``seed`` the environments would play their first episodes, and their noise, all over again.
    """
    return int(np.random.SeedSequence((seed, num_timesteps, _CONTINUED)).generate_state(1)[0] >> 1)


def restore_agent(agent: Any, checkpoint: Checkpoint) -> None:
    """Give a new agent the networks, the optimisers, the count of steps and the replay of ``checkpoint``.

    Raises:
        ValueError: where they are those of another agent.
    """
    _load_parameters(agent, checkpoint.path, model_of(checkpoint.path))
    restore_replay(agent, checkpoint.path)
    agent.num_timesteps = checkpoint.provenance.num_timesteps


def weights_only_agent(path: Path, provenance: Provenance, env: VecEnv, device: str) -> Any:
    """The agent saved at ``path``, to act in ``env``: built anew from its options, with the saved weights.

    Nothing in the file is unpickled, so that no code of it can run.

    Raises:
        ValueError: where the weights are not those of such an agent.
    """
    _check_features(path, env)
    config = provenance.config
    check_continuous(env, env.get_attr("spec", 0)[0].id, config.algo)
    policy_kwargs, algorithm_kwargs = agent_arguments(config, env, provenance.planned_timesteps or config.n_timesteps)
    # Acting needs no memory of the past: a replay of full size could be larger than this machine.
    agent = new_agent(config, env, device, policy_kwargs, {**algorithm_kwargs, "buffer_size": 1})
    _load_parameters(agent, path, path)
    return agent


def _load_parameters(agent: Any, path: Path, file: Any) -> None:
    try:
        _, parameters, variables = load_from_zip_file(file, load_data=False, device=agent.device)
        agent.set_parameters(parameters, device=agent.device)
        for name in agent._get_torch_save_params()[1]:
            recursive_setattr(agent, f"{name}.data", variables[name].data)
    except Exception as error:
        raise ValueError(f"cannot load the weights of {path}: {_in_brief(error)}") from error
    _require_finite(agent, path)


def _in_brief(error: Exception) -> str:
    # Foreign content raises anything, torch with lists over many lines; the user needs the kind and the first reason.
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _require_finite(agent: Any, path: Path) -> None:
    for name, weight in agent.policy.named_parameters():
        if not bool(weight.isfinite().all()):
            raise ValueError(f"the weights {name} of {path} are not all finite numbers: that training had diverged.")


def _check_features(path: Path, env: VecEnv) -> str:
    """The algorithm saved at ``path``, which must read as many features as ``env`` has."""
    saved = inspect_model(path)
    offered = env.observation_space.shape[0]
    if saved.n_features not in (None, offered):
        raise ValueError(f"the agent reads {saved.n_features:,} features, but this environment has {offered:,}.")
    return saved.algorithm


def saved_agent(path: Path, env: VecEnv, device: str) -> Any:
    """The agent saved at ``path``, to act in ``env``.

    Raises:
        ValueError: where ``path`` holds no agent, or one that reads another number of features than ``env`` gives.
    """
    name = _check_features(path, env)
    algorithm = getattr(stable_baselines3, name.upper()) if read_provenance(path) is None else _ALGORITHMS[name]
    return _load(
        algorithm,
        path,
        path,
        env=env,
        device=device,
        # Other noise has other bounds; the policy reads the numbers all the same.
        custom_objects={"observation_space": env.observation_space},
        buffer_size=1,  # see weights_only_agent
    )


def _load(algorithm: Any, path: Path, file: Any, **kwargs: Any) -> Any:
    try:
        agent = algorithm.load(file, **kwargs)
    except Exception as error:
        raise ValueError(f"cannot load the model {path}: {_in_brief(error)}") from error
    _require_finite(agent, path)
    return agent

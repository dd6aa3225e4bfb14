"""The state of an environment: the task's, its random numbers', and that of every wrapper around it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from stable_baselines3.common.monitor import Monitor

from ..envs import CorruptFeatures, NoiseFeatures, PermuteFeatures

# What changes in a wrapper from step to step. The checker looks at the first reset and step only and changes nothing.
_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    TimeLimit: ("_elapsed_steps",),
    OrderEnforcing: ("_has_reset",),
    PassiveEnvChecker: (),
    Monitor: (
        "rewards",
        "needs_reset",
        "episode_returns",
        "episode_lengths",
        "episode_times",
        "total_steps",
        "current_reset_info",
    ),
}
_OURS = (NoiseFeatures, PermuteFeatures, CorruptFeatures)  # which tell their state themselves
_CLASSIC_CONTROL = "gymnasium.envs.classic_control."


def environment_state(env: gym.Env) -> dict[str, Any] | None:
    """All that decides what ``env`` does next, as plain values and arrays (see ``snapshot.py``).

    Args:
        env: a MuJoCo or classic-control task of Gymnasium, in the wrappers of ``gymnasium.make``,
            :func:`siftrl.envs.make_ene` and SB3's monitor, and :class:`siftrl.envs.CorruptFeatures`.

    Returns:
        The state, or ``None`` for other tasks and wrappers, which may hide anything.
    """
    wrappers = list(_wrappers(env))
    if not all(type(wrapper) in {*_ATTRIBUTES, *_OURS} for wrapper in wrappers):
        return None
    task = env.unwrapped
    physics = _mujoco_state(task) if _is_mujoco(task) else None
    if physics is None and not type(task).__module__.startswith(_CLASSIC_CONTROL):
        return None
    state = {
        "wrappers": [_wrapper_state(wrapper) for wrapper in wrappers],
        "attributes": {name: value for name, value in vars(task).items() if _is_plain(value)},
        "mujoco": physics,
        "generator": task.np_random.bit_generator.state,
    }
    return deepcopy(state)


def set_environment_state(env: gym.Env, state: dict[str, Any]) -> None:
    """Bring ``env``, which is built as the saved one was, into ``state``.

    From there on it answers equal actions with equal observations, rewards and resets, bit for bit.

    Raises:
        ValueError: where it is the state of another task.
    """
    env.reset()
    for wrapper, saved in zip(_wrappers(env), state["wrappers"], strict=True):
        _set_wrapper_state(wrapper, saved)
    task = env.unwrapped
    unknown = state["attributes"].keys() - vars(task).keys()
    if unknown:
        raise ValueError(f"the task has no {', '.join(sorted(unknown))}")
    vars(task).update(state["attributes"])
    if state["mujoco"] is not None:
        _set_mujoco_state(task, state["mujoco"])
    task.np_random.bit_generator.state = state["generator"]


def _wrappers(env: gym.Env) -> Iterator[gym.Wrapper]:
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def _wrapper_state(wrapper: gym.Wrapper) -> dict[str, Any]:
    if isinstance(wrapper, _OURS):
        return wrapper.get_wrapper_state()
    state = {name: getattr(wrapper, name) for name in _ATTRIBUTES[type(wrapper)]}
    if isinstance(wrapper, Monitor):
        state["seconds"] = time.time() - wrapper.t_start
    return state


def _set_wrapper_state(wrapper: gym.Wrapper, state: dict[str, Any]) -> None:
    if isinstance(wrapper, _OURS):
        wrapper.set_wrapper_state(state)
        return
    for name in _ATTRIBUTES[type(wrapper)]:
        setattr(wrapper, name, state[name])
    if isinstance(wrapper, Monitor):
        wrapper.t_start = time.time() - state["seconds"]


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | np.ndarray | np.generic)


def _is_mujoco(task: gym.Env) -> bool:
    from gymnasium.envs.mujoco import MujocoEnv

    return isinstance(task, MujocoEnv)


def _mujoco_state(task: Any) -> dict[str, Any]:
    """MuJoCo's own serialisation, which holds the contacts too, and the few fields that it leaves out.

    Positions and velocities are not enough: forces, inertias and the solver's last solution are read before they are
    computed anew.
    """
    serialized = task.data.__getstate__()
    copy = _deserialized(serialized)
    left_out = {
        name: value
        for name, value in _fields(task.data)
        if name != "signature" and not np.array_equal(value, getattr(copy, name), equal_nan=True)
    }
    return {"serialized": np.frombuffer(serialized, np.uint8), "left_out": left_out}


def _set_mujoco_state(task: Any, state: dict[str, Any]) -> None:
    import mujoco

    # Into the data that is there, which the renderer holds too.
    mujoco.mj_copyData(task.data, task.model, _deserialized(state["serialized"].tobytes()))
    for name, value in state["left_out"].items():
        if isinstance(value, np.ndarray):
            getattr(task.data, name)[...] = value
        else:
            setattr(task.data, name, value)


def _deserialized(serialized: bytes) -> Any:
    import mujoco

    data = mujoco.MjData.__new__(mujoco.MjData)
    data.__setstate__(serialized)
    return data


def _fields(data: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(data):
        if not name.startswith("_") and isinstance(value := getattr(data, name), np.ndarray | int | float):
            yield name, value

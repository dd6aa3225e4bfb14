"""What the features of well-known tasks are called: the joints and bodies of their MuJoCo models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym

from .mujoco_warnings import hush_deprecations

_PENDULUM = ("cos(angle)", "sin(angle)", "angular velocity")


def _along(quantity: str) -> tuple[str, ...]:
    return tuple(f"{quantity} {axis}" for axis in "xyz")


# By type of a joint (free, ball, slide, hinge): what its positions, velocities and actuator forces are.
_ORIENTATION = tuple(f"orientation {part}" for part in "wxyz")
_POSITIONS = ((*_along("position"), *_ORIENTATION), _ORIENTATION, ("position",), ("angle",))
_VELOCITIES = (
    (*_along("velocity"), *_along("angular velocity")),
    _along("angular velocity"),
    ("velocity",),
    ("angular velocity",),
)
_FORCES = (
    (*_along("actuator force"), *_along("actuator torque")),
    _along("actuator torque"),
    ("actuator force",),
    ("actuator torque",),
)

# Of a body: its inertia about the centre of mass of its tree, and what MuJoCo calls spatial vectors, rotation first.
_INERTIA = (
    *(f"inertia {pair}" for pair in ("xx", "yy", "zz", "xy", "xz", "yz")),
    *_along("mass times offset"),
    "mass",
)
_MOTION = (*_along("angular velocity"), *_along("velocity"))
_CONTACT = (*_along("contact torque"), *_along("contact force"))


def feature_names(env_id: str, **kwargs: Any) -> tuple[str, ...] | None:
    """The names of a task's own features, in the order of its observation.

    Known are Gymnasium's MuJoCo tasks of v5, Ant and Humanoid of v4, and Pendulum-v1. No other task is made to ask it: an id
    can have any package imported.

    Args:
        env_id: The task's id.
        **kwargs: The task's own arguments, as ``gymnasium.make`` takes them: some change what is observed.

    Returns:
        A name for each feature, such as ``"bthigh angle"``; None for a task that is not known.

    Source:
        The tables of observations in Gymnasium's documentation of each task; names are those of the model's XML file.

    Example:
        >>> feature_names("InvertedPendulum-v5")
        ('slider position', 'hinge angle', 'slider velocity', 'hinge angular velocity')
        >>> feature_names("CartPole-v1") is None
        True
    """
    if env_id == "Pendulum-v1":
        return _PENDULUM
    if env_id not in _BUILDERS:
        return None
    hush_deprecations()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Gymnasium's, of v4
        env = gym.make(env_id, **kwargs)
    try:
        return tuple(_BUILDERS[env_id](env.unwrapped))
    finally:
        env.close()


def _of_joints(model: Any, parts: tuple[tuple[str, ...], ...]) -> list[str]:
    """A name for each coordinate of each joint; ``parts`` are those of a joint, by its type."""
    joints = [(model.joint(index).name or f"joint {index}", int(model.jnt_type[index])) for index in range(model.njnt)]
    return [f"{joint} {part}" for joint, kind in joints for part in parts[kind]]


def _of_bodies(model: Any, parts: tuple[str, ...]) -> list[str]:
    return [f"{_body(model, index)} {part}" for index in range(model.nbody) for part in parts]


def _body(model: Any, index: int) -> str:
    """A body's name; the Ant's shins have none."""
    return model.body(index).name or f"part below {_body(model, int(model.body_parentid[index]))}"


def _blocks(model: Any, widths: dict[str, int]) -> Iterator[str]:
    """The usual observation: blocks of the simulation's state, of each the last so many entries.

    The first ones, which many tasks leave out, are where the robot stands, the root's forces, and the world's own row.
    """
    blocks = {
        "qpos": _of_joints(model, _POSITIONS),
        "qvel": _of_joints(model, _VELOCITIES),
        "cinert": _of_bodies(model, _INERTIA),
        "cvel": _of_bodies(model, _MOTION),
        "qfrc_actuator": _of_joints(model, _FORCES),
        "cfrc_ext": _of_bodies(model, _CONTACT),
    }
    for block, names in blocks.items():
        yield from names[len(names) - widths.get(block, 0) :]


def _usual(task: Any) -> Iterator[str]:
    return _blocks(task.model, task.observation_structure)


def _ant_v4(task: Any) -> Iterator[str]:
    contact = 6 * task.model.nbody if task._use_contact_forces else 0
    return _blocks(task.model, {**_v4_coordinates(task), "cfrc_ext": contact})


def _humanoid_v4(task: Any) -> Iterator[str]:
    model = task.model
    of_bodies = {"cinert": 10 * model.nbody, "cvel": 6 * model.nbody, "cfrc_ext": 6 * model.nbody}
    return _blocks(model, {**_v4_coordinates(task), **of_bodies, "qfrc_actuator": model.nv})


def _v4_coordinates(task: Any) -> dict[str, int]:
    skipped = 2 if task._exclude_current_positions_from_observation else 0
    return {"qpos": task.model.nq - skipped, "qvel": task.model.nv}


def _double_pendulum(task: Any) -> Iterator[str]:
    cart, *angles = _of_joints(task.model, _POSITIONS)
    yield cart
    yield from (f"{function}({angle})" for function in ("sin", "cos") for angle in angles)
    yield from _of_joints(task.model, _VELOCITIES)
    yield f"{task.model.joint(0).name} constraint force"


def _pusher(task: Any) -> Iterator[str]:
    yield from _of_joints(task.model, _POSITIONS)[:7]
    yield from _of_joints(task.model, _VELOCITIES)[:7]
    yield from (f"{body} {place}" for body in ("tips_arm", "object", "goal") for place in _along("position"))


def _reacher(task: Any) -> Iterator[str]:
    positions = _of_joints(task.model, _POSITIONS)
    yield from (f"{function}({angle})" for function in ("cos", "sin") for angle in positions[:2])
    yield from positions[2:]
    yield from _of_joints(task.model, _VELOCITIES)[:2]
    yield from ("fingertip to target x", "fingertip to target y")


_USUAL = ("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedPendulum", "Swimmer", "Walker2d")
_BUILDERS: dict[str, Callable[[Any], Iterator[str]]] = {
    **{f"{task}-v5": _usual for task in _USUAL},
    "InvertedDoublePendulum-v5": _double_pendulum,
    "Pusher-v5": _pusher,
    "Reacher-v5": _reacher,
    "Ant-v4": _ant_v4,
    "Humanoid-v4": _humanoid_v4,
}

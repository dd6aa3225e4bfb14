"""Writing an actor to a file, once the file has been seen to act as the policy does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from ..training.atomic import atomic_write
from .actor import Actor, actor_of
from .formats import FORMATS, format_of

_N_OBSERVATIONS = 256


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: Where.
        nbytes: Size of the file.
        actor: What is in it.
        act: The file as a function from observations, float32 ``(batch, n_features)``, to actions.
        difference: The largest difference from the policy's actions that was seen, in halves of the actions' range.
    """

    path: Path
    nbytes: int
    actor: Actor
    act: Callable[[np.ndarray], np.ndarray]
    difference: float


def export_actor(
    model: BaseAlgorithm,
    path: str | os.PathLike,
    format: str | None = None,
    about: dict[str, Any] | None = None,
    tolerance: float = 1e-5,
) -> Exported:
    """Write the actor of a SAC or TD3 model to ``path``, atomically, and only if it then acts as the policy does.

    Args:
        model: Of SiftRL or of stock SB3.
        path: The file.
        format: "npz", "onnx", "torchscript" or "pt2". None: by the path's suffix.
        about: Where the actor comes from, in values that JSON knows; it goes into the file.
        tolerance: How far the file's actions may be from the policy's, in halves of the actions' range.

    Raises:
        ValueError: For an actor or a format that cannot be written, and if the actions differ.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> from siftrl.agents import SAC
        >>> from siftrl.export.runner import Actor
        >>> model = SAC("SparseMlpPolicy", "Pendulum-v1", policy_kwargs=dict(recipe="set"), buffer_size=1)
        >>> path = Path(tempfile.mkdtemp()) / "pendulum.npz"
        >>> export_actor(model, path).difference < 1e-5
        True
        >>> Actor(path)([1.0, 0.0, 0.0]).shape
        (1,)
    """
    path = Path(path)
    actor = actor_of(model, about)
    name = format_of(format, path)
    module = FORMATS[name].loaded()
    content = module.encode(actor)
    act = module.runtime(content)
    difference = largest_difference(model, act)
    if not difference <= tolerance:
        raise ValueError(
            f"not written: the actions of format {name} would differ from the policy's by {difference:.1e} of half their "
            f"range, where {tolerance:g} is allowed."
        )
    with atomic_write(path) as file:
        file.write(content)
    return Exported(path, len(content), actor, act, difference)


def largest_difference(model: BaseAlgorithm, act: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest difference of ``act`` from ``model.predict`` on 256 random observations, in halves of the range."""
    observations = random_observations(model.observation_space.shape[0], _N_OBSERVATIONS)
    expected, _ = model.predict(observations, deterministic=True)
    half_range = (model.action_space.high - model.action_space.low) / 2
    return float(np.max(np.abs(act(observations) - expected) / half_range))


def random_observations(n_features: int, batch: int) -> np.ndarray:
    """Standard normal observations, float32 ``(batch, n_features)``, the same at every call."""
    return np.random.default_rng(0).standard_normal((batch, n_features), np.float32)

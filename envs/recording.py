"""Recordings of a task: what it shows while somebody acts in it, for noise that looks like the task."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from .spaces import flat_box

_N_STEPS = 20_000
# With an agent's own seed, an agent that explores would act as in the recording, and see its own future there.
_SEED = 0x5AD0E5


@dataclass(frozen=True)
class Recording:
    """The observations of a task, one after the other, the first of each episode among them.

    A recording is what it was made from: copies and pickles hold no observations. They are made when they are first
    asked for, once in a process, and are the same each time.

    Args:
        task: the task's spec as JSON, acted in at random; ``None`` for a file.
        file: an ``.npz`` file with an array ``observations`` (steps, features), as :func:`watch` gives it.

    Example:
        >>> recording = Recording.record("Pendulum-v1")
        >>> recording.observations.shape
        (20000, 3)
    """

    task: str | None = None
    file: str | None = None

    @classmethod
    def record(cls, task: str | EnvSpec) -> Recording:
        """The recording of 20 000 random steps in a task, given by its id or spec, with its real features alone."""
        return cls(task=spec_json(task))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """The recording in a file."""
        return cls(file=os.fspath(path))

    @property
    def observations(self) -> np.ndarray:
        """Float32 (steps, features), read-only.

        Raises:
            TypeError: the task has no Box observations.
            ValueError: observations with several axes, or a file that is missing, unreadable, or holds something else.
        """
        return _watched(self.task) if self.file is None else _loaded(self.file)

    @property
    def n_features(self) -> int:
        """How many features were recorded."""
        return self.observations.shape[1]


def watch(
    task: str | EnvSpec, n_steps: int, policy: Callable[[np.ndarray], Any] | None = None, seed: int = _SEED
) -> np.ndarray:
    """Record a seeded copy of a task.

    Args:
        task: its id or spec, with its real features alone.
        n_steps: observations to record.
        policy: gives the action for an observation; ``None``: random actions.
        seed: of the copy and of random actions.

    Returns:
        Float32 (n_steps, features), the first observation of each episode among them.

    Raises:
        TypeError: the task has no Box observations.
        ValueError: observations with several axes.

    Example:
        >>> swinging = watch("Pendulum-v1", 500, policy=lambda observation: [2.0 * np.sign(observation[2])])
        >>> swinging.shape  # np.savez("swinging.npz", observations=swinging) is a file for Recording
        (500, 3)
    """
    shown = (observation.copy() for observation, _ in play(spec_json(task), seed, policy))
    return np.array(list(islice(shown, n_steps)), np.float32)


def spec_json(task: str | EnvSpec) -> str:
    """The spec of a task that a copy is made from, as JSON: with its time limit, and without rendering."""
    spec = gym.spec(task) if isinstance(task, str) else task
    if spec.max_episode_steps is None and spec.id in gym.registry:
        spec = replace(spec, max_episode_steps=gym.spec(spec.id).max_episode_steps)
    kwargs = {name: value for name, value in spec.kwargs.items() if name != "render_mode"}
    return replace(spec, kwargs=kwargs).to_json()


def play(task: str, seed: int, policy: Callable[[np.ndarray], Any] | None = None) -> Iterator[tuple[np.ndarray, bool]]:
    """Act in a copy of a task, without end: each observation, and whether it is the first of its episode.

    Args:
        task: from :func:`spec_json`.
        seed: of the copy and of random actions.
        policy: gives the action for an observation; ``None``: random actions.
    """
    env = gym.make(EnvSpec.from_json(task))
    try:
        flat_box(env, "a recording")
        env.action_space.seed(seed)
        observation, _ = env.reset(seed=seed)
        yield observation, True
        while True:
            action = env.action_space.sample() if policy is None else policy(observation)
            observation, _, terminated, truncated, _ = env.step(action)
            yield observation, False
            if terminated or truncated:
                observation, _ = env.reset()
                yield observation, True
    finally:
        env.close()


@lru_cache(maxsize=4)
def _watched(task: str) -> np.ndarray:
    return _read_only(watch(EnvSpec.from_json(task), _N_STEPS))


@lru_cache(maxsize=4)
def _loaded(file: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            observations = np.asarray(arrays["observations"], np.float32)
    except (OSError, KeyError, TypeError, AttributeError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"recording must be an .npz file with an array 'observations', got {file!r} ({error})") from error
    if observations.ndim != 2 or not observations.size or not np.isfinite(observations).all():
        raise ValueError(
            f"recording {file!r} must hold finite observations of shape (steps, features), got {observations.shape}"
        )
    return _read_only(observations)


def _read_only(observations: np.ndarray) -> np.ndarray:
    observations.flags.writeable = False
    return observations

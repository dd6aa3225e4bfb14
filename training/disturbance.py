"""Disturbances: what can go wrong between a task and an agent that is tried, by name and severity, and how it is done.

They are of three kinds. Sensors fail: the corruptions of :mod:`siftrl.envs.corruptions`. An adversary shifts what the policy
sees: ``fgsm``. The noise features are others than in training: ``noise-std``, ``noise-distribution``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..envs import CORRUPTIONS, CorruptFeatures
from ..envs.corrupt import FEATURES
from ..envs.corruptions import SEVERITIES
from ..names import known

if TYPE_CHECKING:
    from collections.abc import Sequence

    import gymnasium as gym
    from stable_baselines3.common.vec_env import VecEnv


class Kind(NamedTuple):
    """What a disturbance does, and how strong its severities are."""

    summary: str
    unit: str
    levels: tuple[float, ...]


ATTACKS = {
    "fgsm": Kind(
        "each feature shifted to where the action changes most", "standard deviations", CORRUPTIONS["gaussian"].levels
    )
}
OTHER_NOISE = {
    "noise-std": Kind("noise features louder than in training", "times as loud", (1.5, 2, 4, 8, 16)),
    "noise-distribution": Kind(
        "uniform noise features instead of others, normal ones instead of uniform", "times as loud", (1, 2, 4, 8, 16)
    ),
}

#: All disturbances, by the names that people type.
DISTURBANCES: dict[str, Kind] = {
    **{name: Kind(corruption.summary, corruption.unit, corruption.levels) for name, corruption in CORRUPTIONS.items()},
    **ATTACKS,
    **OTHER_NOISE,
}


@dataclass(frozen=True)
class Disturbance:
    """A disturbance at a severity from 1 to 5.

    Raises:
        ValueError: an unknown name, with the closest one, or a severity that is none.

    Example:
        >>> Disturbance("gaussian", 3).level, str(Disturbance("delay", 2))
        (0.2, 'delay:2')
    """

    name: str
    severity: int

    def __post_init__(self) -> None:
        known(self.name, DISTURBANCES, "corrupt")
        if self.severity not in SEVERITIES:
            raise ValueError(f"corrupt {self.name} must have a severity from 1 to 5, not {self.severity!r}.")

    @property
    def level(self) -> float:
        """How strong, in the disturbance's own unit."""
        return DISTURBANCES[self.name].levels[self.severity - 1]

    @property
    def in_words(self) -> str:
        """Its level too: ``gaussian:3 (0.2 standard deviations)``."""
        return f"{self} ({self.level:g} {DISTURBANCES[self.name].unit})"

    def __str__(self) -> str:
        return f"{self.name}:{self.severity}"


def parse_disturbances(text: str | None) -> tuple[Disturbance, ...]:
    """Read ``NAME:SEVERITY``, or several with commas between them, which are applied in this order; ``None`` means none.

    Raises:
        ValueError: what is no disturbance, naming the closest one, or has no severity.

    Example:
        >>> [str(disturbance) for disturbance in parse_disturbances("gaussian:3, delay:1")]
        ['gaussian:3', 'delay:1']
        >>> parse_disturbances("gausian:3")
        Traceback (most recent call last):
            ...
        ValueError: corrupt must be one of gaussian, impulse, ..., noise-distribution, not 'gausian'. Did you mean gaussian?
    """
    disturbances: list[Disturbance] = []
    for part in () if text is None else text.split(","):
        name, _, severity = part.strip().partition(":")
        known(name, DISTURBANCES, "corrupt")
        if not severity.isdecimal():
            raise ValueError(f"corrupt {name} must have a severity from 1 to 5, as in {name}:3, not {part.strip()!r}.")
        disturbances.append(Disturbance(name, int(severity)))
    return tuple(disturbances)


class ObservedMoments:
    """A callback for SB3's ``evaluate_policy`` that keeps mean and standard deviation of each feature that was acted upon.

    Args:
        n_features: how many there are.
    """

    def __init__(self, n_features: int) -> None:
        from stable_baselines3.common.running_mean_std import RunningMeanStd

        self._running = RunningMeanStd(epsilon=0.0, shape=(n_features,))

    def __call__(self, locals_: dict[str, Any], _globals: dict[str, Any]) -> None:
        """Take the observation of the environment whose turn it is."""
        self._running.update(locals_["observations"][locals_["i"]][None])

    @property
    def mean(self) -> np.ndarray:
        """Of each feature, float64 (n_features,)."""
        return self._running.mean

    @property
    def std(self) -> np.ndarray:
        """Of each feature, float64 (n_features,)."""
        return np.sqrt(self._running.var)


def check_disturbances(ene_kwargs: dict[str, Any], disturbances: Sequence[Disturbance], features: str) -> None:
    """Check that an environment can have them.

    Args:
        ene_kwargs: arguments of :func:`siftrl.envs.make_ene`.
        disturbances: what is to go wrong.
        features: ``"all"``, ``"real"`` or ``"noise"``: which sensors are to fail.

    Raises:
        ValueError: where it lacks the noise features for that.
    """
    known(features, FEATURES, "corrupt-features")
    if ene_kwargs["noise_fraction"]:
        return
    env_id = ene_kwargs["env_id"]
    if other := [str(one) for one in disturbances if one.name in OTHER_NOISE]:
        raise ValueError(f"corrupt {other[0]} needs noise features, and {env_id} has none here.")
    if features != "all":
        raise ValueError(f"corrupt-features must be all, not {features}: {env_id} has no noise features here.")


def disturbed_env(
    ene_kwargs: dict[str, Any],
    disturbances: Sequence[Disturbance],
    *,
    agent: Any,
    moments: ObservedMoments,
    seed: int,
    features: str = "all",
    permutation: int | None = None,
    n_envs: int = 1,
) -> VecEnv:
    """Make environments in which things go wrong, for ``agent`` to be tried in.

    Other noise comes first, then sensors fail in the order given, and an adversary has the last word. Monitors count the
    task's own rewards.

    Args:
        ene_kwargs: arguments of :func:`siftrl.envs.make_ene` of the undisturbed environment.
        disturbances: what goes wrong.
        agent: whom an adversary is against; an SB3 algorithm.
        moments: of the features in the undisturbed environment, as this agent meets them.
        seed: of the environments and of what is drawn.
        features: ``"all"``, ``"real"`` or ``"noise"``: which sensors fail, or are shifted.
        permutation: number of the feature order; ``None``: the environment's own.
        n_envs: how many environments.

    Raises:
        ValueError: for disturbances that these environments or this agent cannot have.
    """
    from .environments import make_vec_env, relevant_features

    check_disturbances(ene_kwargs, disturbances, features)

    def wrap(env: gym.Env) -> gym.Env:
        for one in disturbances:
            if one.name in CORRUPTIONS:
                env = CorruptFeatures(env, one.name, level=one.level, features=features, mean=moments.mean, std=moments.std)
        return env

    env = make_vec_env(_with_other_noise(ene_kwargs, disturbances), n_envs=n_envs, seed=seed, wrap=wrap)
    if permutation is not None and env.has_attr("permutations"):
        env.env_method("set_permutation", permutation)
    for one in disturbances:
        if one.name in ATTACKS:
            from ..agents.fgsm import FastGradientSign

            env.reset()  # for the order of the features
            std = moments.std.copy()
            if features != "all":
                is_real = np.isin(np.arange(len(std)), relevant_features(env))
                std[is_real != (features == "real")] = 0
            env = FastGradientSign(env, agent.policy, one.level, std, seed)
            env.seed(seed)
    return env


def _with_other_noise(ene_kwargs: dict[str, Any], disturbances: Sequence[Disturbance]) -> dict[str, Any]:
    changed = dict(ene_kwargs)
    for one in disturbances:
        if one.name in OTHER_NOISE:
            changed["noise_std"] = changed.get("noise_std", 1.0) * one.level
        if one.name == "noise-distribution":
            was_uniform = changed.get("noise_distribution") == "uniform"
            changed["noise_distribution"] = "normal" if was_uniform else "uniform"
    return changed

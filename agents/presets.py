"""Presets: named agents, each a recipe with the hyper-parameters it was published with, and what else its method does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise

from ..names import known
from ..sparse.recipes import RECIPES, Recipe, resolve
from .delayed_returns import DelayedReturns
from .dynamic_capacity import DynamicCapacity
from .feature_reader import FeatureReader
from .oracle import Oracle
from .quiet_start import QuietStart
from .sift import Sift

HPARAMS = ("sb3", "paper")
ALGORITHMS = ("sac", "td3")

# Share of the planned updates after which a drop fraction or density that falls has reached its end (Graesser et al. 2022,
# section 3).
STOP_SHARE = 0.8

# TD3's actor takes a step in every second update.
_UPDATES_PER_STEP = {"sac": {"actor": 1, "critic": 1}, "td3": {"actor": 2, "critic": 1}}


@dataclass(frozen=True)
class Published:
    """The published setting of a preset for one algorithm; what it leaves out is SB3's default.

    Attributes:
        algorithm: Keywords of SB3's constructor.
        weight_decay: Of Adam, added to the gradient.
        scale_to_fan_in: Whether sparse neurons start with weights scaled to their real fan-in.
        schedule: Fields of the recipe's schedule to replace.
    """

    algorithm: Mapping[str, Any]
    weight_decay: float
    scale_to_fan_in: bool = False
    schedule: Mapping[str, Any] = field(default_factory=dict)


def _no_callbacks(planned_steps: int) -> list[BaseCallback]:
    return []


@dataclass(frozen=True)
class Preset:
    """A named agent: the recipe of the same name, what else belongs to its method, and what was published with it.

    Attributes:
        summary: One line for ``--help``.
        sac: Published setting for SAC.
        td3: Published setting for TD3.
        deviation: What of the published setting is not taken, beyond what the recipe says.
        budget: Densities of single networks, keywords of the policy; the user's own go before them.
        algorithm: Keywords of SB3's constructor that belong to the method, with any hyper-parameters.
        callbacks: What acts while the agent trains, for so many planned environment steps.
    """

    summary: str
    sac: Published
    td3: Published
    deviation: str
    budget: Mapping[str, float] = field(default_factory=dict)
    algorithm: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Callable[[int], list[BaseCallback]] = _no_callbacks


_TD3 = Published({"learning_rate": 1e-3, "batch_size": 100, "learning_starts": 25_000}, weight_decay=2e-4)
_ANF_SAC = Published({**_TD3.algorithm, "ent_coef": 0.2}, weight_decay=2e-4)


def _graesser(weight_decay: float, scale_to_fan_in: bool = True, schedule_of: str | None = None) -> Published:
    """SAC of Graesser et al. (ICML 2022), tables 2 and 8; their ``L2(x)`` is a weight decay of 2x in Adam's gradient.

    Args:
        weight_decay: Of Adam.
        scale_to_fan_in: See :class:`Published`.
        schedule_of: The recipe whose schedule is theirs for the method, where that is another one.
    """
    theirs = RECIPES[schedule_of]().schedule if schedule_of else None
    schedule = {field: getattr(theirs, field) for field in ("period_updates", "fraction", "decay")} if theirs else {}
    return Published({"learning_starts": 10_000}, weight_decay, scale_to_fan_in, schedule)


_GRAESSER_DEVIATION = "SAC as Graesser et al. 2022, without their reward scale of 0.1; TD3 as ds"
_IMAGES_DEVIATION = "published for images alone: " + _GRAESSER_DEVIATION
_ANF_DEVIATION = "SAC's weights start as nn.Linear's, not Xavier; a batch may hold a transition twice"


def _anf(summary: str) -> Preset:
    return Preset(summary, sac=_ANF_SAC, td3=_TD3, deviation=_ANF_DEVIATION)


def _rlx2_callbacks(planned_steps: int) -> list[BaseCallback]:
    # Theirs begin after 300 000 of 3 000 000 steps; in a short run they would never.
    return [DelayedReturns(after_steps=planned_steps // 10), DynamicCapacity()]


def _reads_features(reader: Callable[[], FeatureReader], summary: str) -> Preset:
    return Preset(
        summary,
        sac=_ANF_SAC,
        td3=_TD3,
        deviation="the published setting is that of anf, so that the two compare",
        algorithm={"learning_starts": 1_000},
        callbacks=lambda planned_steps: [reader()],
    )


def _as_graesser(summary: str, sac: Published, deviation: str = _GRAESSER_DEVIATION) -> Preset:
    return Preset(summary, sac=sac, td3=_TD3, deviation=deviation)


PRESETS: dict[str, Preset] = {
    "anf": _anf("sparse input layer (20 %) that filters noise; Grooten et al. 2023"),
    "anf-gradient": _anf("anf, grown by the gradient averaged over 100 updates"),
    "anf-features": _anf("anf, dropping all links of the weakest features at once"),
    "anf-shared": _anf("anf, the actor growing where the critics listen, and the other way round"),
    "anf-falling": _anf("anf, its input density falling to 2 %"),
    "ds": Preset(
        "both hidden layers sparse, Erdős-Rényi; Sokar et al. 2022",
        sac=Published({"ent_coef": 0.2, "learning_starts": 25_000}, weight_decay=0.0, schedule={"fraction": 0.1}),
        td3=_TD3,
        deviation="SAC: targets are Polyak averages, not copies every 1 000 updates",
    ),
    "set": _as_graesser(
        "all layers sparse (ERK 20 %), grown at random; Mocanu et al. 2018", _graesser(2e-4, schedule_of="graesser-set")
    ),
    "rigl": _as_graesser(
        "all layers sparse (ERK 20 %), grown by gradient; Evci et al. 2020", _graesser(2e-6, schedule_of="graesser-rigl")
    ),
    "static": _as_graesser(
        "all layers sparse (ERK 20 %), links never change; Liu et al. 2022", _graesser(2e-4, scale_to_fan_in=False)
    ),
    "snfs": _as_graesser("grown by momentum (ERK 20 %); Dettmers & Zettlemoyer 2019", _graesser(2e-6), _IMAGES_DEVIATION),
    "itop": _as_graesser("grown where no link ever was (ERK 20 %); Liu et al. 2021", _graesser(2e-4), _IMAGES_DEVIATION),
    "srigl": _as_graesser("rigl with a constant fan-in (ERK 10 %); Lasby et al. 2024", _graesser(2e-6), _IMAGES_DEVIATION),
    "gmp": _as_graesser("pruned from dense to 10 %; Zhu & Gupta 2017", _graesser(2e-4), _IMAGES_DEVIATION),
    "granet": _as_graesser(
        "pruned from 50 % to 10 %, grown by gradient; Liu et al. 2021", _graesser(2e-4), _IMAGES_DEVIATION
    ),
    "graesser-set": _as_graesser("set as tuned for SAC (ERK 10 %); Graesser et al. 2022", _graesser(2e-4)),
    "graesser-rigl": _as_graesser("rigl as tuned for SAC (ERK 10 %); Graesser et al. 2022", _graesser(2e-6)),
    "graesser-static": _as_graesser(
        "static as tuned for SAC (ERK 10 %); Graesser et al. 2022", _graesser(2e-4, scale_to_fan_in=False)
    ),
    "graesser-prune": _as_graesser("pruned from dense to 10 % (ERK); Graesser et al. 2022", _graesser(2e-4)),
    "rlx2": Preset(
        "rigl for RL (ER 10 %, critics 15 %), late 3-step returns, a replay that shrinks; Tan et al. 2023",
        sac=Published({"learning_starts": 25_000}, weight_decay=0.0),
        td3=Published({"learning_rate": 3e-4, "batch_size": 256, "learning_starts": 25_000}, weight_decay=0.0),
        deviation="densities are TD3's on HalfCheetah; rewirings end at 80 % of the updates, and TD3's actor has as many as "
        "its critics; 3-step returns begin after a tenth of the steps; SAC explores by drawing actions, has SB3's bounds "
        "of log_std, and its replay holds a million transitions and stops shrinking at 100 000, as TD3's",
        budget={"critic_density": 0.15},
        algorithm={"n_steps": 3},
        callbacks=_rlx2_callbacks,
    ),
    "sift": _reads_features(Sift, "reads the features alone that answer to its own exploration; ours"),
    "sift-anew": _reads_features(
        partial(Sift, recognise=False), "sift, starting anew where sensors have moved, without looking for them; ours"
    ),
    "oracle": _reads_features(Oracle, "is told which features are real: the upper bound of any filter"),
    "dense": Preset(
        "the dense baseline: SB3's networks",
        sac=_ANF_SAC,
        td3=_TD3,
        deviation="the published setting is that of anf, so that the two compare",
    ),
}


def build_kwargs(
    preset: str,
    algo: str,
    hparams: str = "sb3",
    *,
    density: float | None = None,
    input_density: float | None = None,
    distribution: str | None = None,
    actor_density: float | None = None,
    critic_density: float | None = None,
    epsilon: Mapping[str, float] | None = None,
    width: int = 256,
    planned_updates: int | None = None,
    n_actions: int | None = None,
    schedule: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A preset as keywords for ``siftrl.agents.SAC`` or ``TD3``.

    Args:
        preset: A name in :data:`PRESETS`.
        algo: "sac" or "td3".
        hparams: "sb3" for SB3's hyper-parameters, "paper" for the published ones.
        density: See :func:`siftrl.sparse.recipes.resolve`.
        input_density: See there.
        distribution: See there.
        actor_density: As ``density``, for the actor alone.
        critic_density: As ``density``, for the critics alone.
        epsilon: See there.
        width: Units of each of the two hidden layers.
        planned_updates: Updates that the run will do. A drop fraction or a density that falls reaches its end at 80 % of
            them; what is constant goes on, as published. A density that falls cannot do without.
        n_actions: Numbers in an action. TD3 explores with normal noise of 0.1 on each (in units of half the action's range),
            which SB3 leaves to the user; needed for TD3.
        schedule: Fields of the recipe's schedule to replace; ``period_updates`` counts updates of the critics.

    Returns:
        ``policy_kwargs``, and the other keywords of the algorithm.

    Raises:
        ValueError: If a name is unknown, with the closest valid one; the density cannot be had; or a schedule is given to a
            recipe that never rewires.

    Example:
        >>> policy_kwargs, algorithm_kwargs = build_kwargs("anf", "sac", "paper", input_density=0.05)
        >>> algorithm_kwargs["learning_rate"], policy_kwargs["input_density"]
        (0.001, 0.05)
    """
    known(preset, PRESETS, "recipe")
    known(algo, ALGORITHMS, "algo")
    known(hparams, HPARAMS, "hparams")
    policy_kwargs: dict[str, Any] = {
        "recipe": preset if epsilon is None else resolve(preset, epsilon=epsilon),
        "density": density,
        "input_density": input_density,
        "distribution": distribution,
        "net_arch": [width, width],
    }
    if density is None and input_density is None and epsilon is None:
        policy_kwargs.update(PRESETS[preset].budget)
    own = {"actor": actor_density, "critic": critic_density}
    policy_kwargs.update({f"{network}_density": value for network, value in own.items() if value is not None})
    algorithm_kwargs = dict(PRESETS[preset].algorithm)
    schedule = dict(schedule or {})
    if hparams == "paper":
        published: Published = getattr(PRESETS[preset], algo)
        policy_kwargs["optimizer_kwargs"] = {"weight_decay": published.weight_decay}
        policy_kwargs["scale_to_fan_in"] = published.scale_to_fan_in
        algorithm_kwargs = {**published.algorithm, **algorithm_kwargs}
        schedule = {**published.schedule, **schedule}
    shares = {"input_density": input_density, "distribution": distribution, "epsilon": epsilon}
    recipes = {
        network: resolve(preset, density=density if value is None else value, **shares, **schedule)
        for network, value in own.items()
    }
    if recipes["actor"].rewires:
        policy_kwargs["recipe_kwargs"] = {
            network: {**schedule, **_in_steps(recipes[network], updates, planned_updates)}
            for network, updates in _UPDATES_PER_STEP[algo].items()
        }
    if algo == "td3" and n_actions is not None:
        algorithm_kwargs["action_noise"] = NormalActionNoise(np.zeros(n_actions), np.full(n_actions, 0.1))
    return policy_kwargs, algorithm_kwargs


def build_callbacks(preset: str, planned_steps: int, *, quiet_start: bool = False) -> list[BaseCallback]:
    """What acts while an agent of a preset trains, for ``learn(callback=...)``; for most presets nothing does.

    Args:
        preset: A name in :data:`PRESETS`.
        planned_steps: Environment steps that the run will do.
        quiet_start: Whether networks start as for standardised observations, quietly, as those that choose what they read
            do anyway.

    Raises:
        ValueError: If the name is unknown, with the closest valid one.

    Example:
        >>> [type(callback).__name__ for callback in build_callbacks("rlx2", planned_steps=1_000_000)]
        ['DelayedReturns', 'DynamicCapacity']
    """
    callbacks = PRESETS[known(preset, PRESETS, "recipe")].callbacks(planned_steps)
    if quiet_start and not any(isinstance(callback, FeatureReader) for callback in callbacks):
        callbacks.append(QuietStart())
    return callbacks


def _in_steps(recipe: Recipe, updates_per_step: int, planned_updates: int | None) -> dict[str, int]:
    """A schedule that counts updates, in the optimiser steps of a network that takes one in several updates."""
    schedule = recipe.schedule
    steps = {"period_updates": max(1, schedule.period_updates // updates_per_step)}
    if (schedule.decay != "constant" or recipe.falls) and planned_updates is not None:
        steps["stop_updates"] = max(1, int(STOP_SHARE * planned_updates) // updates_per_step)
    return steps

"""How much features matter, in what the agent earns: the ground that cheaper rankings of features can be compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

REPLACEMENTS = ("mean", "shuffle")


def returns_without(
    model: BaseAlgorithm,
    make_env: Callable[[], gym.Env],
    removed: np.ndarray,
    observations: np.ndarray,
    *,
    replacement: str = "shuffle",
    episodes: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """What an agent earns if some features tell it nothing, for several choices of them.

    All choices play the same episodes, side by side, with the actions that the agent takes when it is not to explore.

    Args:
        model: Any model of SB3 for vectors of numbers.
        make_env: Makes the environment; called once for each choice.
        removed: bool ``(k, n_features)``: in each row the features that tell nothing.
        observations: ``(n, n_features)``: what the agent observes when nothing is removed.
        replacement: What stands in for a removed feature: its ``"mean"`` in these observations, or, in each step, its value
            in one of them drawn at random (``"shuffle"``), which also keeps its distribution. Features that are removed
            together come from the same one.
        episodes: To play with each choice.
        seed: Of the episodes, and of the draws.

    Returns:
        Undiscounted returns, float64 ``(k, episodes)``.

    Raises:
        ValueError: If shapes do not fit, or the replacement is unknown.

    Source:
        Breiman, Random Forests (Machine Learning 2001), section 10, for the shuffled values.
    """
    removed, observations = np.asarray(removed, bool), np.asarray(observations, np.float32)
    n_features = model.observation_space.shape[0]
    for name, array in (("removed", removed), ("observations", observations)):
        if array.ndim != 2 or array.shape[1] != n_features or not len(array):
            raise ValueError(f"{name} must have rows of {n_features} features, got shape {array.shape}")
    if replacement not in REPLACEMENTS:
        raise ValueError(f"replacement must be one of {', '.join(REPLACEMENTS)}, got {replacement!r}")
    envs = [make_env() for _ in removed]
    rng, mean = np.random.default_rng(seed), observations.mean(axis=0)
    returns = np.zeros((len(removed), episodes))
    for episode in range(episodes):
        seen = np.stack([env.reset(seed=seed + episode)[0] for env in envs]).astype(np.float32)
        playing = np.arange(len(envs))
        while playing.size:
            instead = mean if replacement == "mean" else observations[rng.integers(len(observations))]
            actions, _ = model.predict(np.where(removed[playing], instead, seen[playing]), deterministic=True)
            ended = np.zeros(len(playing), bool)
            for place, (env, action) in enumerate(zip(playing, actions, strict=True)):
                seen[env], reward, terminated, truncated, _ = envs[env].step(action)
                returns[env, episode] += reward
                ended[place] = terminated or truncated
            playing = playing[~ended]
    for env in envs:
        env.close()
    return returns


def permutation_importance(
    model: BaseAlgorithm,
    make_env: Callable[[], gym.Env],
    observations: np.ndarray,
    *,
    episodes: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """How much less an agent earns without each feature, one at a time.

    Args:
        model: See :func:`returns_without`.
        make_env: See there.
        observations: See there; the removed feature takes the value it has in one of them.
        episodes: To play without each feature, and with all.
        seed: Of the episodes.

    Returns:
        Mean loss of return, float64 ``(n_features,)``; the larger, the more the feature matters to this agent. Two features
        that tell the same may both seem not to matter.

    Source:
        Breiman, Random Forests (Machine Learning 2001), section 10. There, accuracy falls; here, what the agent earns.
    """
    n_features = model.observation_space.shape[0]
    removed = np.vstack([np.zeros((1, n_features), bool), np.eye(n_features, dtype=bool)])
    returns = returns_without(model, make_env, removed, observations, episodes=episodes, seed=seed).mean(axis=1)
    return returns[0] - returns[1:]


def removal_curve(
    model: BaseAlgorithm,
    make_env: Callable[[], gym.Env],
    scores: np.ndarray,
    counts: Sequence[int],
    observations: np.ndarray,
    *,
    most_first: bool = False,
    episodes: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """What an agent earns as more and more features tell it nothing, in the order of a ranking.

    If the ranking is good, removing the least important features first costs nothing for long, and removing the most
    important ones costs all at once.

    Args:
        model: See :func:`returns_without`.
        make_env: See there.
        scores: ``(n_features,)``: the higher, the more important; ties in the order of the features.
        counts: How many features are removed, at each point of the curve.
        observations: See there; removed features stand at their mean.
        most_first: Remove the most important ones first instead of the least.
        episodes: To play at each point.
        seed: Of the episodes.

    Returns:
        Mean return, float64 ``(len(counts),)``.

    Source:
        The check of rankings by Atashgahi et al., Quick and Robust Feature Selection (Machine Learning 2022) on Madelon, for
        an agent and its return instead of a classifier.
    """
    order = np.argsort(-scores if most_first else scores, kind="stable")
    removed = np.argsort(order)[None] < np.asarray(counts)[:, None]
    returns = returns_without(model, make_env, removed, observations, replacement="mean", episodes=episodes, seed=seed)
    return returns.mean(axis=1)

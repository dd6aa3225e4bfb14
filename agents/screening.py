"""Which features matter, by experiment: those that respond to random actions, and those that foretell how they do."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from .dependence import Causes, basis, discovered, least, without

_CLIP = 4.0  # standard deviations: a test of means must not hang on a few impacts
_N_STRONGEST = 16  # accepted features through which the response to an action may pass
_N_TRIMS = 4
_BLOCK = 4_096  # features that are examined at a time, to keep memory small
_MANY_EPISODES = 20
_MEMORY = 0.9  # of an impulse, what is left a step later
_SMALL = 1e-6  # of a feature's variance: what is left of one that others determine


class Experience(NamedTuple):
    """Transitions in the order in which they were made, to be examined.

    Attributes:
        observations: float32 ``(n, n_features)``.
        next_observations: float32 ``(n, n_features)``, the last ones of an episode where it ended.
        impulses: float32 ``(n, n_actions)``: the random part of each action, drawn independently of all else, with mean 0.
        rewards: float32 ``(n,)``.
        n_envs: Environments whose transitions take turns.
        episodes: int64 ``(n,)``: which transitions belong to the same episode of the same environment. None: all do.
    """

    observations: np.ndarray
    next_observations: np.ndarray
    impulses: np.ndarray
    rewards: np.ndarray
    n_envs: int = 1
    episodes: np.ndarray | None = None


class Finding(NamedTuple):
    """What an examination of features finds.

    Attributes:
        accepted: bool ``(n_features,)``: those that matter, at the false discovery rate asked for.
        p_values: float64 ``(n_features,)``: how likely noise would look as relevant, each on its own.
        responsive: bool ``(n_features,)``: those of the accepted ones that answered to actions themselves.
    """

    accepted: np.ndarray
    p_values: np.ndarray
    responsive: np.ndarray


def screen(
    experience: Experience,
    known: np.ndarray | None = None,
    false_discovery_rate: float = 0.001,
    max_rounds: int = 8,
    *,
    responsive: np.ndarray | None = None,
) -> Finding:
    """Find the features that belong to the task among those that do not.

    An agent that explores makes an experiment: the random part of an action is drawn independently of everything, so
    whatever changes with it is changed by it. In rounds, a feature is accepted

    * if its next value depends on the impulse, alone or times an accepted feature, beyond what its own value and those of
      the accepted features foretell; or
    * if the size of its change does, or depends on a product of what the impulses of the last steps add up to: an angle's
      cosine goes up or down with the same speed, and a speed is what impulses have left; or
    * if its value helps to foretell the reward, or the next values of accepted features that answered to actions themselves:
      whatever was accepted for its own forecasts would bring in all that resembles it.

    The first two tests are valid for any noise that actions do not reach, however it is distributed and correlated, copies
    of the task that someone else controls included: they assume little but that the impulses are random. The third one finds
    what cannot be controlled and still matters, such as a goal. It assumes that errors of a linear forecast over one step
    are uncorrelated over time, and its share of the error rate is half. What episodes have on average does not count for it
    where they are fewer than 20: whatever moves slowly differs from one to the next, and so does most else. Features that do
    none of it in the course of these transitions are not found. Values and changes count up to 4 standard deviations from
    the mean.

    Args:
        experience: Transitions.
        known: bool ``(n_features,)``: features that are accepted already. None: none.
        false_discovery_rate: Expected share of noise features among the accepted ones, in (0, 1). The k-th round may spend
            ``1 / (k (k + 1))`` of it.
        max_rounds: After so many rounds nothing further is looked for.
        responsive: bool ``(n_features,)``: which of the known features have answered to actions. None: all.

    Returns:
        What was found; p-values are those of the last round, for the known features too.

    Raises:
        ValueError: If there are fewer than 8 transitions or not as many of each environment, or the rate or
            ``max_rounds`` is out of range.

    Source:
        The idea of an intervention with a test for each feature: Liu, Cheng & Bogdan, Interventional Boundary Discovery
        (2026). Error rate: Benjamini & Hochberg (1995). Ours are the rounds, the interactions with accepted features, the
        forecasts, the sizes of changes, and that exploration itself serves as the intervention: no further steps are taken.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> impulses = rng.uniform(-1, 1, (500, 1))
        >>> speed, noise = np.cumsum(impulses, 0)[:, [0]], rng.standard_normal((501, 40))
        >>> observations = np.hstack([np.vstack([[[0.0]], speed]), noise])
        >>> screen(Experience(observations[:-1], observations[1:], impulses, np.zeros(500))).accepted.nonzero()[0]
        array([0])
    """
    n, n_features = experience.observations.shape
    if n < 8:
        raise ValueError(f"experience must hold at least 8 transitions, got {n}")
    if not 0 < false_discovery_rate < 1:
        raise ValueError(f"false_discovery_rate must be between 0 and 1, got {false_discovery_rate}")
    if max_rounds < 1:
        raise ValueError(f"max_rounds must be at least 1, got {max_rounds}")
    if n % experience.n_envs:
        raise ValueError(
            f"experience must hold as many transitions of each of its {experience.n_envs} environments, got {n}"
        )
    here, there = _standardised(experience)
    impulses, rewards = _scaled(experience.impulses), _scaled(experience.rewards[:, None])
    size = _scaled(np.square(there - here))
    momenta = _products(_momenta(impulses, experience.n_envs))
    levels = _levels(experience.episodes, n)
    accepted = np.zeros(n_features, bool) if known is None else known
    responsive = accepted if responsive is None else responsive & accepted
    response = np.zeros(n_features)
    response[accepted] = _response(here[:, accepted], there[:, accepted], impulses)
    for number in range(1, max_rounds + 1):
        strongest = np.flatnonzero(accepted)[np.argsort(-response[accepted], kind="stable")[:_N_STRONGEST]]
        causes = np.hstack([impulses, *(_scaled(impulses * here[:, [feature]]) for feature in strongest)])
        forecast = basis(np.hstack([here[:, accepted], causes]))
        context, steady = basis(here[:, accepted]), basis(np.hstack([here[:, accepted], levels]))
        grounds = _Grounds(
            context=context,
            steady=steady,
            impulses=Causes(impulses, context),
            causes=Causes(causes, context),
            strengths=Causes(np.hstack([causes, _scaled(np.square(impulses))]), context),
            momenta=Causes(momenta, context),
            surprise=Causes(without(forecast, np.hstack([rewards, there[:, responsive]])), steady),
            rate=false_discovery_rate,
        )
        blocks = (slice(start, start + _BLOCK) for start in range(0, n_features, _BLOCK))
        examined = [_examined(grounds, *(part[..., block] for part in (here, there, size, accepted))) for block in blocks]
        response, responding, foretelling = (np.concatenate(part) for part in zip(*examined, strict=True))
        p_values = least(responding, foretelling)
        found = discovered(p_values, false_discovery_rate / (number * (number + 1)))
        answering = found & (responding <= foretelling)
        if not (found & ~accepted).any() and not (answering & ~responsive).any():
            break
        accepted, responsive = accepted | found, responsive | answering
    return Finding(accepted, p_values, responsive)


class _Grounds(NamedTuple):
    """What features are tested against in a round, and the false discovery rate.

    Attributes:
        context: An orthonormal basis of a constant and the accepted features, ``(n, rank)``.
        steady: The same, with a constant for each of few episodes.
        impulses: Of this step.
        causes: Those, alone and times accepted features.
        strengths: Those, and the squares of the impulses: what the size of a change may depend on.
        momenta: Products of what the impulses of the last steps add up to.
        surprise: What is left of a forecast of reward and responsive features by the accepted features and the causes.
        rate: False discovery rate.
    """

    context: np.ndarray
    steady: np.ndarray
    impulses: Causes
    causes: Causes
    strengths: Causes
    momenta: Causes
    surprise: Causes
    rate: float


def _examined(
    grounds: _Grounds, here: np.ndarray, there: np.ndarray, size: np.ndarray, accepted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How strongly some features respond to the impulses; p-values of their responding, and of their foretelling."""
    context = grounds.context
    own, after = without(context, here), without(context, there)
    change = without(context, _scaled(after - own * _slope(own, after, accepted), least_std=math.sqrt(_SMALL)))
    size = without(context, size)
    response, direct = grounds.impulses.test(change)
    _, mediated = grounds.causes.test(change)
    _, in_size = grounds.strengths.test(size)
    carried = grounds.momenta.test_over_time(size, grounds.rate)
    foretelling = grounds.surprise.test_over_time(without(grounds.steady, here), grounds.rate)
    return response, least(direct, mediated, in_size, carried), foretelling


def _response(here: np.ndarray, there: np.ndarray, impulses: np.ndarray) -> np.ndarray:
    """How strongly accepted features respond to the impulses, given each other."""
    context = basis(here)
    change = without(context, _scaled(without(context, there), least_std=math.sqrt(_SMALL)))
    return Causes(impulses, context).test(change)[0]


def _momenta(impulses: np.ndarray, n_envs: int) -> np.ndarray:
    """What impulses have left after each step, where a tenth fades from step to step; of each environment by itself."""
    momenta = impulses.reshape(-1, n_envs, impulses.shape[1]).astype(np.float64)
    for before, now in itertools.pairwise(momenta):
        now += _MEMORY * before
    return momenta.reshape(impulses.shape)


def _levels(episodes: np.ndarray | None, n: int) -> np.ndarray:
    """Which transitions are those of each episode but the last, float32; no columns for many episodes, or one."""
    names = np.zeros(1) if episodes is None else np.unique(episodes)
    if not 1 < len(names) < _MANY_EPISODES:
        return np.empty((n, 0), np.float32)
    return (episodes[:, None] == names[:-1]).astype(np.float32)


def _products(columns: np.ndarray) -> np.ndarray:
    """All products of two columns, squares too, scaled."""
    first, second = np.triu_indices(columns.shape[1])
    return _scaled(columns[:, first] * columns[:, second])


def _standardised(experience: Experience) -> tuple[np.ndarray, np.ndarray]:
    """Observations and their successors, in standard deviations from the observations' mean."""
    observations = np.asarray(experience.observations, np.float32)
    mean, std = _centre_and_scale(observations)
    following = np.asarray(experience.next_observations, np.float32)
    return _clipped((observations - mean) / std), _clipped((following - mean) / std)


def _scaled(values: np.ndarray, least_std: float = 1e-9) -> np.ndarray:
    values = np.asarray(values, np.float32)
    mean, std = _centre_and_scale(values, least_std)
    return _clipped((values - mean) / std)


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -_CLIP, _CLIP)


def _centre_and_scale(values: np.ndarray, least_std: float = 1e-9) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column without its outliers; 1 for what hardly moves."""
    mean, std = values.mean(0), values.std(0)
    to_trim = (values.max(0) > mean + _CLIP * std) | (values.min(0) < mean - _CLIP * std)
    some = values[:, to_trim]
    for _ in range(_N_TRIMS):
        clipped = np.clip(some, (mean - _CLIP * std)[to_trim], (mean + _CLIP * std)[to_trim])
        mean[to_trim], std[to_trim] = clipped.mean(0), clipped.std(0)
    return mean, np.where(std > least_std, std, 1.0)


def _slope(own: np.ndarray, after: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """How far each feature's own value foretells its next one; of accepted ones the context has taken that in."""
    variance = np.square(own).mean(0)
    slope = (own * after).mean(0) / np.maximum(variance, _SMALL)
    return np.where(accepted | (variance < _SMALL), 0.0, slope)

"""Which features matter, by experiment: those that respond to random actions, and those that foretell how they do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

_CLIP = 4.0  # standard deviations: a test of means must not hang on a few impacts
_N_STRONGEST = 16  # accepted features through which the response to an action may pass
_N_SHIFTS = 64
_N_TRIMS = 4
_SMALL = 1e-6  # of a feature's variance: what is left of one that others determine


class Experience(NamedTuple):
    """Transitions in the order in which they were made, to be examined.

    Attributes:
        observations: float32 ``(n, n_features)``.
        next_observations: float32 ``(n, n_features)``, the last ones of an episode where it ended.
        impulses: float32 ``(n, n_actions)``: the random part of each action, drawn independently of all else, with mean 0.
        rewards: float32 ``(n,)``.
    """

    observations: np.ndarray
    next_observations: np.ndarray
    impulses: np.ndarray
    rewards: np.ndarray


class Finding(NamedTuple):
    """What an examination of features finds.

    Attributes:
        accepted: bool ``(n_features,)``: those that matter, at the false discovery rate asked for.
        p_values: float64 ``(n_features,)``: how likely noise would look as relevant, each on its own.
    """

    accepted: np.ndarray
    p_values: np.ndarray


def screen(
    experience: Experience, known: np.ndarray | None = None, false_discovery_rate: float = 0.001, max_rounds: int = 8
) -> Finding:
    """Find the features that belong to the task among those that do not.

    An agent that explores makes an experiment: the random part of an action is drawn independently of everything, so
    whatever changes with it is changed by it. In rounds, a feature is accepted

    * if its next value depends on the impulse, alone or times an accepted feature, beyond what its own value and those of
      the accepted features foretell; or
    * if its value helps to foretell the reward, or the next values of accepted features.

    The first test is valid for any noise that actions do not reach, however it is distributed and correlated, copies of the
    task that someone else controls included: it assumes nothing but that the impulses are random. The second one finds what
    cannot be controlled and still matters, such as a goal. It assumes that errors of a linear forecast over one step are
    uncorrelated over time, and its share of the error rate is half. Features that do neither in the course of these
    transitions are not found. Values count up to 4 standard deviations from the mean.

    Args:
        experience: Transitions.
        known: bool ``(n_features,)``: features that are accepted already. None: none.
        false_discovery_rate: Expected share of noise features among the accepted ones, in (0, 1).
        max_rounds: After so many rounds nothing further is looked for.

    Returns:
        What was found; p-values are those of the last round, for the known features too.

    Raises:
        ValueError: If there are fewer than 8 transitions, or the rate is out of range.

    Source:
        The idea of an intervention with a test for each feature: Liu, Cheng & Bogdan, Interventional Boundary Discovery
        (2026). Error rate: Benjamini & Hochberg (1995). Ours are the rounds, the interactions with accepted features, the
        forecasts, and that exploration itself serves as the intervention: no further steps are taken.

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
    here, there = _standardised(experience)
    impulses, rewards = _scaled(experience.impulses), _scaled(experience.rewards[:, None])
    accepted = np.zeros(n_features, bool) if known is None else known
    responsive, response = accepted, np.zeros(n_features)
    for _ in range(max_rounds):
        strongest = np.flatnonzero(accepted)[np.argsort(-response[accepted], kind="stable")[:_N_STRONGEST]]
        products = [impulses * here[:, [feature]] for feature in strongest]
        causes = np.hstack([impulses, *products])
        context = _basis(here[:, accepted])
        own, after = _without(context, here), _without(context, there)
        change = after - own * _slope(own, after, accepted)
        # What is left of a forecast by the accepted features and the impulses.
        surprise = _without(_basis(np.hstack([here[:, accepted], causes])), np.hstack([rewards, there[:, responsive]]))
        response, direct = _dependence(change, impulses, context)
        _, mediated = _dependence(change, causes, context)
        foretelling = _foretelling(own, surprise, context, false_discovery_rate)
        responding = (2 * np.minimum(direct, mediated)).clip(max=1.0)
        p_values = (2 * np.minimum(responding, foretelling)).clip(max=1.0)
        found = _discovered(p_values, false_discovery_rate) & ~accepted
        if not found.any():
            break
        accepted, responsive = accepted | found, responsive | (found & (responding <= foretelling))
    return Finding(accepted, p_values)


def _standardised(experience: Experience) -> tuple[np.ndarray, np.ndarray]:
    """Observations and their successors, in standard deviations from the observations' mean."""
    observations = np.asarray(experience.observations, np.float32)
    mean, std = _centre_and_scale(observations)
    following = np.asarray(experience.next_observations, np.float32)
    return _clipped((observations - mean) / std), _clipped((following - mean) / std)


def _scaled(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    mean, std = _centre_and_scale(values)
    return _clipped((values - mean) / std)


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -_CLIP, _CLIP)


def _centre_and_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column without its outliers; 1 for what never moves."""
    mean, std = values.mean(0), values.std(0)
    for _ in range(_N_TRIMS):
        clipped = np.clip(values, mean - _CLIP * std, mean + _CLIP * std)
        mean, std = clipped.mean(0), clipped.std(0)
    return mean, np.where(std > 1e-9, std, 1.0)


def _basis(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a constant and these columns: ``(n, rank)``."""
    whole = np.hstack([np.ones((len(columns), 1), np.float32), columns])
    basis, sizes, _ = np.linalg.svd(whole, full_matrices=False)
    return basis[:, sizes > 1e-4 * sizes[0]]


def _without(basis: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What a basis leaves of columns."""
    return columns - basis @ (basis.T @ columns)


def _slope(own: np.ndarray, after: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """How far each feature's own value foretells its next one; of accepted ones the context has taken that in."""
    variance = np.square(own).mean(0)
    slope = (own * after).mean(0) / np.maximum(variance, _SMALL)
    return np.where(accepted | (variance < _SMALL), 0.0, slope)


def _foretelling(own: np.ndarray, surprise: np.ndarray, context: np.ndarray, rate: float) -> np.ndarray:
    """P-values of each feature's dependence on what comes next, where both may be correlated over time.

    For those that look significant the statistic is compared with its mean over shifts in time that leave no true
    dependence: that many times fewer independent transitions there are.
    """
    statistic, p_values = _dependence(own, surprise, context)
    candidates = np.flatnonzero(p_values <= rate)
    if candidates.size:
        n = len(own)
        shifts = np.linspace(n // 10, n - n // 10, _N_SHIFTS, dtype=int)
        by_chance = np.mean(
            [_dependence(own[:, candidates], np.roll(surprise, shift, 0), context)[0] for shift in shifts], axis=0
        )
        degrees = surprise.shape[1]
        # With a margin for what the mean of so many shifts may be wrong by.
        inflation = np.maximum(by_chance * (1.0 + 2.0 * np.sqrt(2.0 / (degrees * _N_SHIFTS))), 1.0)
        rest = np.maximum(n / inflation - degrees - context.shape[1] - 1, 1.0)
        p_values[candidates] = stats.f.sf(statistic[candidates] / inflation, degrees, rest)
    return p_values


def _dependence(effects: np.ndarray, causes: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F statistics and p-values of each effect's regression on all causes, both given the context."""
    n = len(effects)
    basis = _without(context, causes)
    basis, sizes, _ = np.linalg.svd(basis, full_matrices=False)
    basis = basis[:, sizes > 1e-4 * np.sqrt(n)]
    degrees, rest = basis.shape[1], n - basis.shape[1] - context.shape[1] - 1
    variance = np.square(effects).sum(0)
    if degrees == 0 or rest < 1:
        return np.zeros(effects.shape[1]), np.ones(effects.shape[1])
    explained = np.square(basis.T @ effects).sum(0)
    left = np.maximum(variance - explained, _SMALL * n)
    statistic = np.where(variance < _SMALL * n, 0.0, (explained / degrees) / (left / rest))
    return statistic, stats.f.sf(statistic, degrees, rest)


def _discovered(p_values: np.ndarray, rate: float) -> np.ndarray:
    """Which are significant at this false discovery rate (Benjamini & Hochberg 1995)."""
    order = np.argsort(p_values, kind="stable")
    below = np.flatnonzero(p_values[order] <= rate * np.arange(1, len(order) + 1) / len(order))
    discovered = np.zeros(len(order), bool)
    if below.size:
        discovered[order[: below[-1] + 1]] = True
    return discovered

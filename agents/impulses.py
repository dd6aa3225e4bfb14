"""The random part of what an exploring agent does: drawn independently of everything, and so an experiment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.noise import ActionNoise, VectorizedActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class RememberedNoise(VectorizedActionNoise):
    """Action noise, of each environment its own, that remembers what it gave last; saved and copied as what it was."""

    def __init__(self, usual: ActionNoise, n_envs: int) -> None:
        super().__init__(getattr(usual, "base_noise", usual), n_envs)
        self.usual = usual
        self.noises = usual.noises if isinstance(usual, VectorizedActionNoise) else [usual]

    def __call__(self) -> np.ndarray:
        self.last = super().__call__()
        return self.last

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self.usual,)


def _same(noise: ActionNoise) -> ActionNoise:
    return noise


def remember_draws(model: OffPolicyAlgorithm) -> None:
    """Have SAC or TD3 keep what :func:`impulses` reads, until :func:`forget_draws`; SB3 must have made it ready to train.

    Raises:
        ValueError: If SAC explores otherwise than by drawing each action.
    """
    if getattr(model, "use_sde", False):
        raise ValueError("use_sde must be False for an agent that sifts, which reads the draws of single actions")
    if model.action_noise is not None and not isinstance(model.action_noise, RememberedNoise):
        model.action_noise = RememberedNoise(model.action_noise, model.n_envs)


def forget_draws(model: OffPolicyAlgorithm) -> None:
    """Give the model its own action noise back."""
    if isinstance(model.action_noise, RememberedNoise):
        model.action_noise = model.action_noise.usual


def impulses(model: OffPolicyAlgorithm, actions: np.ndarray, is_warm_up: bool) -> np.ndarray:
    """The random part of actions that SAC or TD3, stock SB3's or ours, has just drawn.

    Args:
        model: Which drew them, with its policy as it then was, and after :func:`remember_draws`.
        actions: float32 ``(n_envs, n_actions)``, each in [-1, 1], as they go into the replay.
        is_warm_up: Whether they were drawn uniformly, before the policy has a say.

    Returns:
        float32 ``(n_envs, n_actions)``: in the warm-up the actions; then SAC's standard normal draws, or TD3's exploration
        noise before bounds cut it off, which would leave the more of it the less the policy means to do; 0 without any.

    Raises:
        ValueError: If the policy has acted since.
    """
    if is_warm_up:
        return actions.astype(np.float32)
    distribution = getattr(model.actor, "action_dist", None)
    if not isinstance(distribution, SquashedDiagGaussianDistribution):
        none = np.zeros_like(actions, np.float32)
        return none if model.action_noise is None else model.action_noise.last.reshape(actions.shape).astype(np.float32)
    normal, drawn = distribution.distribution, distribution.gaussian_actions
    expected = th.tanh(drawn).detach().cpu().numpy()
    if expected.shape == actions.shape and model.action_noise is not None:
        expected = np.clip(expected + model.action_noise.last.reshape(actions.shape), -1, 1)
    if expected.shape != actions.shape or not np.allclose(expected, actions, atol=1e-4):
        raise ValueError("callback must have an agent that sifts before what lets its policy act, such as an evaluation")
    with th.no_grad():
        return ((drawn - normal.mean) / normal.stddev).cpu().numpy()

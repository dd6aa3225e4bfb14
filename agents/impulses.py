"""The random part of what an exploring agent does: drawn independently of everything, and so an experiment."""

from __future__ import annotations

import numpy as np
import torch as th
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


def impulses(model: OffPolicyAlgorithm, actions: np.ndarray, is_warm_up: bool) -> np.ndarray:
    """The random part of actions that SAC or TD3, stock SB3's or ours, has just drawn.

    Args:
        model: Which drew them, with its policy as it then was.
        actions: float32 ``(n_envs, n_actions)``, each in [-1, 1], as they go into the replay.
        is_warm_up: Whether they were drawn uniformly, before the policy has a say.

    Returns:
        float32 ``(n_envs, n_actions)``: in the warm-up the actions; then SAC's standard normal draws, and what TD3's
        exploration noise left of itself within the bounds.

    Raises:
        ValueError: If SAC explores otherwise than by drawing each action.
    """
    if is_warm_up:
        return actions.astype(np.float32)
    distribution = getattr(model.actor, "action_dist", None)
    if distribution is None:
        observations = th.as_tensor(model._last_obs, device=model.device)
        with th.no_grad():
            return (actions - model.actor(observations).cpu().numpy()).astype(np.float32)
    if type(distribution) is not SquashedDiagGaussianDistribution:
        raise ValueError("use_sde must be False for an agent that sifts, which reads the draws of single actions")
    normal = distribution.distribution
    with th.no_grad():
        return ((distribution.gaussian_actions - normal.mean) / normal.stddev).cpu().numpy()

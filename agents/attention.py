"""What an actor attends to at an observation: how far each feature could move its actions."""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

_NUMBERS = 2**24  # of the features of a batch


def attention(model: BaseAlgorithm, observations: np.ndarray) -> np.ndarray:
    """How far the actions move with each feature, at each of these observations.

    That is the derivative of the action that the actor takes when it is not to explore, without its sign, averaged over the
    actions, times the feature's standard deviation over the observations: by how much of half their range the actions would
    move if the feature, and it alone, moved by a standard deviation. A feature without links has 0; so has one that never
    moves.

    Args:
        model: A SAC or TD3 model, sparse or dense.
        observations: float32 ``(n, n_features)``, such as those of an episode.

    Returns:
        float32 ``(n, n_features)``.

    Raises:
        ValueError: For a model of another algorithm.

    Source:
        Simonyan et al., Deep Inside Convolutional Networks (2014), section 3. Deviation: times the standard deviation, as
        features have units of their own.

    Example:
        >>> from stable_baselines3 import TD3
        >>> from siftrl.agents import SparseTD3Policy
        >>> model = TD3(SparseTD3Policy, "Pendulum-v1", buffer_size=1, device="cpu")
        >>> attention(model, np.float32([[1, 0, 0], [1, 0, 2]]))[:, :2]
        array([[0., 0.],
               [0., 0.]], dtype=float32)
    """
    require_actor(model)
    observations = np.asarray(observations, np.float32)  # tasks without wrappers give float64
    std = observations.std(axis=0)
    rows = max(1, _NUMBERS // observations.shape[1])
    batches = [observations[start : start + rows] for start in range(0, len(observations), rows)]
    return np.concatenate([_mean_slope(model.actor, batch, model.device) for batch in batches]) * std


def require_actor(model: BaseAlgorithm) -> None:
    """Check that a model has an actor whose attention can be had.

    Raises:
        ValueError: For a model of another algorithm than SAC and TD3.
    """
    if getattr(model, "actor", None) is None:
        raise ValueError(f"attention is that of the actors of SAC and TD3, not of {type(model).__name__}.")


def _mean_slope(actor: torch.nn.Module, observations: np.ndarray, device: torch.device) -> np.ndarray:
    x = torch.from_numpy(observations).to(device).requires_grad_()
    with torch.enable_grad():
        actions = actor._predict(x, deterministic=True)
        slopes = [torch.autograd.grad(action.sum(), x, retain_graph=True)[0].abs() for action in actions.unbind(dim=1)]
    return (sum(slopes) / len(slopes)).cpu().numpy()

"""What the updates of SAC and TD3 share that is quicker than Stable-Baselines3's: same mathematics, same random draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from ..sparse.linear import SparseLinear, dense_product
from .replay import NoiseReplayBuffer


def sample(buffer: ReplayBuffer, batch_size: int, env: VecNormalize | None) -> ReplayBufferSamples:
    """A batch as ``buffer.sample`` gives it, feature-major in memory where the buffer can build it so.

    Args:
        buffer: Any replay buffer.
        batch_size: Transitions.
        env: The normalisation of observations and rewards, if there is one.
    """
    if isinstance(buffer, NoiseReplayBuffer) and env is None:
        return buffer.sample_columns(batch_size)
    return buffer.sample(batch_size, env=env)


def q_values(critic: ContinuousCritic, observations: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, ...]:
    """``critic(observations, actions)`` without the copy that joins the two.

    Args:
        critic: SB3's, dense or sparse.
        observations: ``(batch, n_features)``.
        actions: ``(batch, n_actions)``.

    Returns:
        ``(batch, 1)`` of each critic.
    """
    return tuple(_q_value(critic, q_network, observations, actions) for q_network in critic.q_networks)


def q1_value(critic: ContinuousCritic, observations: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """The first critic's ``(batch, 1)`` alone."""
    return _q_value(critic, critic.q_networks[0], observations, actions)


def _q_value(critic: ContinuousCritic, q_network: nn.Sequential, observations: th.Tensor, actions: th.Tensor) -> th.Tensor:
    if type(critic.features_extractor) is not FlattenExtractor:
        with th.set_grad_enabled(th.is_grad_enabled() and not critic.share_features_extractor):
            observations = critic.extract_features(observations, critic.features_extractor)
    first, *rest = q_network
    if isinstance(first, SparseLinear):
        hidden = first(observations, actions)
    else:
        hidden = dense_product(first.weight, first.bias, observations, actions)
    for module in rest:
        hidden = module(hidden)
    return hidden


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without computing those of its own weights."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


@th.no_grad()
def polyak_update(parameters: Iterable[th.Tensor], targets: Iterable[th.Tensor], tau: float) -> None:
    """Move target parameters a share ``tau`` of the way to the online ones, all in two calls."""
    parameters, targets = list(parameters), list(targets)
    if targets:
        th._foreach_mul_(targets, 1 - tau)
        th._foreach_add_(targets, parameters, alpha=tau)


def with_fused_adam(policy_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Policy arguments with torch's fused Adam, a step in one pass, unless they choose an optimiser themselves."""
    optimizer_kwargs = policy_kwargs.get("optimizer_kwargs") or {}
    chosen = "optimizer_class" in policy_kwargs or optimizer_kwargs.keys() & {"fused", "foreach", "capturable"}
    return policy_kwargs if chosen else {**policy_kwargs, "optimizer_kwargs": {**optimizer_kwargs, "fused": True}}

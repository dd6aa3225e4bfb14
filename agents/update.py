"""What the updates of SAC and TD3 share that is quicker than Stable-Baselines3's: same mathematics, same random draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from stable_baselines3.sac.policies import Actor as SACActor
from stable_baselines3.td3.policies import Actor as TD3Actor
from torch import nn

from ..sparse.shared_batch import SharedBatch
from .replay import NoiseReplayBuffer

Actor = SACActor | TD3Actor


def sample(buffer: ReplayBuffer, batch_size: int, env: VecNormalize | None) -> ReplayBufferSamples:
    """A batch as ``buffer.sample`` gives it, with observations that networks can share.

    Args:
        buffer: Any replay buffer.
        batch_size: Transitions.
        env: The normalisation of observations and rewards, if there is one.

    Returns:
        SB3's samples; both observations are a :class:`~siftrl.sparse.shared_batch.SharedBatch`.
    """
    if isinstance(buffer, NoiseReplayBuffer) and env is None:
        return buffer.sample_shared(batch_size)
    batch = buffer.sample(batch_size, env=env)
    return batch._replace(
        observations=SharedBatch(batch.observations), next_observations=SharedBatch(batch.next_observations)
    )


class Reading:
    """What an agent's networks make of a batch of observations, which they read together.

    Args:
        observations: ``(batch, n_features)``.
        actor: SB3's, dense or sparse.
        critic: SB3's, dense or sparse.
    """

    def __init__(self, observations: SharedBatch, actor: Actor, critic: ContinuousCritic) -> None:
        self._observations, self._actor, self._critic = observations, actor, critic
        self._actor_shares = self._share([_trunk(actor)], actor)
        self._critic_shares = self._share(critic.q_networks, critic)

    def _share(self, networks: Iterable[nn.Sequential], model: Actor | ContinuousCritic) -> bool:
        """Announce the networks' first layers, if all of them read the observation as it is, and through links."""
        networks = list(networks)
        if not (reads_plainly(model) and all(type(network) is nn.Sequential and len(network) for network in networks)):
            return False
        layers = [network[0] for network in networks]
        shares = all(self._observations.suits(layer) for layer in layers)
        if shares:
            self._observations.announce(layers)
        return shares

    def action_log_prob(self) -> tuple[th.Tensor, th.Tensor]:
        """Actions ``(batch, n_actions)`` drawn by SAC's actor, and the logarithm of their density ``(batch, 1)``.

        Source:
            Haarnoja et al., Soft Actor-Critic Algorithms and Applications (2018), appendix C.
        """
        actor = self._actor
        distribution = actor.action_dist
        if type(distribution) is not SquashedDiagGaussianDistribution:
            actions, log_prob = actor.action_log_prob(self._observations.rows())
            return actions, log_prob.reshape(-1, 1)
        hidden = self._run_actor()
        return squashed(actor.mu(hidden), actor.log_std(hidden), distribution.epsilon)[:2]

    def actions(self) -> th.Tensor:
        """The actions of TD3's actor, ``(batch, n_actions)``."""
        return self._run_actor()

    def learn_critics(self, actions: th.Tensor, target: th.Tensor, weight: float) -> th.Tensor:
        """The critics' loss, ``weight`` times the sum of their mean square errors; its gradients replace those in ``.grad``.

        Args:
            actions: ``(batch, n_actions)``.
            target: ``(batch, 1)``, what each critic's value should be.
            weight: Of the loss.
        """
        loss = weight * (self.q_values(actions) - target).square().mean(dim=0).sum()
        self._critic.optimizer.zero_grad()
        loss.backward()
        return loss.detach()

    def learn_soft_actor(self, actions: th.Tensor, log_prob: th.Tensor, ent_coef: th.Tensor) -> th.Tensor:
        """The loss of SAC's actor, up the smallest of the critics' values; its gradients replace those in ``.grad``.

        Args:
            actions: As :meth:`action_log_prob` has given them.
            log_prob: As it has given that.
            ent_coef: Temperature.
        """
        with frozen(self._critic.q_networks):
            smallest = self.q_values(actions).min(dim=1, keepdim=True).values
            return self._learn_actor((ent_coef * log_prob - smallest).mean())

    def learn_actor(self) -> th.Tensor:
        """The loss of TD3's actor, up the first critic's value; its gradients replace those in ``.grad``."""
        with frozen(self._critic.q_networks):
            return self._learn_actor(-self.q_values(self.actions(), n_critics=1).mean())

    def _learn_actor(self, loss: th.Tensor) -> th.Tensor:
        self._actor.optimizer.zero_grad()
        loss.backward()
        return loss.detach()

    def _run_actor(self) -> th.Tensor:
        trunk = _trunk(self._actor)
        if not self._actor_shares:
            return trunk(self._actor.extract_features(self._observations.rows(), self._actor.features_extractor))
        (first,) = self._observations.multiply([trunk[0]])
        return _rest(trunk, first)

    def q_values(self, actions: th.Tensor, n_critics: int | None = None) -> th.Tensor:
        """The value of these actions by each critic, ``(batch, n_critics)``.

        Args:
            actions: ``(batch, n_actions)``.
            n_critics: How many of the critics, from the first on. None: all.
        """
        if not self._critic_shares:
            if n_critics == 1:
                return self._critic.q1_forward(self._observations.rows(), actions)
            return th.cat(self._critic(self._observations.rows(), actions)[:n_critics], dim=1)
        networks = self._critic.q_networks[:n_critics]
        firsts = self._observations.multiply([network[0] for network in networks], actions)
        return th.cat([_rest(network, first) for network, first in zip(networks, firsts, strict=True)], dim=1)


class Squashed(NamedTuple):
    """Actions drawn by SAC's actor.

    Attributes:
        actions: ``(batch, n_actions)``.
        log_prob: ``(batch, 1)``: the logarithm of their density.
        noise: ``(batch, n_actions)``: standard normal.
        std: ``(batch, n_actions)``: of the Gaussian before it is squashed.
    """

    actions: th.Tensor
    log_prob: th.Tensor
    noise: th.Tensor
    std: th.Tensor


def squashed(mean: th.Tensor, log_std: th.Tensor, epsilon: float) -> Squashed:
    """Draw from a Gaussian squashed by tanh; both arguments ``(batch, n_actions)``, epsilon guards against log(0)."""
    log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
    noise, std = th.randn(mean.shape, device=mean.device), log_std.exp()
    actions = th.tanh(th.addcmul(mean, noise, std))
    # Minus the logarithm of the Gaussian, and of what tanh does to it.
    surprise = 0.5 * noise.square() + log_std + th.log(1 - actions.square() + epsilon)
    log_prob = -surprise.sum(dim=1, keepdim=True) - 0.5 * math.log(2 * math.pi) * mean.shape[1]
    return Squashed(actions, log_prob, noise, std)


def reads_plainly(model: Actor | ContinuousCritic) -> bool:
    """Whether a model is SB3's own, and its first layers read the observation as it stands in the replay."""
    space = model.observation_space
    return (
        type(model) in (SACActor, TD3Actor, ContinuousCritic)
        and type(model.features_extractor) is FlattenExtractor
        and isinstance(space, spaces.Box)
        and len(space.shape) == 1
        and space.dtype == np.float32
    )


def _trunk(actor: Actor) -> nn.Sequential:
    return actor.latent_pi if isinstance(actor, SACActor) else actor.mu


def _rest(network: nn.Sequential, first: th.Tensor) -> th.Tensor:
    """The network's output from that of its first layer."""
    for module in list(network)[1:]:
        first = module(first)
    return first


@contextmanager
def frozen(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Let gradients pass through networks without computing those of their own weights."""
    parameters = (parameter for network in networks for parameter in network.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
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
        th._foreach_lerp_(targets, parameters, tau)


def with_fused_adam(policy_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Policy arguments with torch's fused Adam, a step in one pass, unless they choose an optimiser themselves."""
    optimizer_kwargs = policy_kwargs.get("optimizer_kwargs") or {}
    chosen = "optimizer_class" in policy_kwargs or optimizer_kwargs.keys() & {"fused", "foreach", "capturable"}
    return policy_kwargs if chosen else {**policy_kwargs, "optimizer_kwargs": {**optimizer_kwargs, "fused": True}}

"""The gradients of SAC and TD3 written out, for networks that are plain: the same as autograd's, in half the time."""

from __future__ import annotations

from typing import NamedTuple

import torch as th
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from stable_baselines3.sac.policies import Actor as SACActor
from torch import nn

from ..sparse.by_hand import Network, Pass, can_read, is_left_alone, through_links
from ..sparse.shared_batch import SharedBatch
from .update import Actor, Reading, Squashed, reads_plainly, squashed


def read(observations: SharedBatch, actor: Actor, critic: ContinuousCritic, *, keep: bool = True) -> Reading | WrittenOut:
    """What networks make of a batch of observations, with gradients written out where that can be done, else autograd's.

    Args:
        observations: ``(batch, n_features)``.
        actor: SB3's, dense or sparse.
        critic: SB3's, dense or sparse.
        keep: Whether gradients will be asked for, which read the observations again.
    """
    networks = _plain_networks(actor, critic)
    if networks is None:
        return Reading(observations, actor, critic)
    kinds = {through_links(observations, network) for network in networks.critics}
    if len(kinds) > 1 or not all(can_read(observations, network) for network in (networks.actor, *networks.critics)):
        return Reading(observations, actor, critic)
    return WrittenOut(observations, networks, keep)


class _Networks(NamedTuple):
    actor: Network
    critics: list[Network]
    epsilon: float  # of SAC's distribution


def _plain_networks(actor: Actor, critic: ContinuousCritic) -> _Networks | None:
    """The networks as chains of layers, if they are no more than that and read the observation as it stands."""
    if not (reads_plainly(actor) and reads_plainly(critic)):
        return None
    epsilon = 0.0
    if isinstance(actor, SACActor):
        trunk, modules, heads = actor.latent_pi, list(actor.latent_pi), [actor.mu, actor.log_std]
        if type(actor.action_dist) is not SquashedDiagGaussianDistribution:
            return None
        epsilon = actor.action_dist.epsilon
    else:
        trunk, (*modules, last), heads = actor.mu, actor.mu, []
        if type(last) is not nn.Tanh or not is_left_alone(last):
            return None
    chains = [trunk, *critic.q_networks]
    parts = actor, critic, actor.features_extractor, critic.features_extractor, *chains
    of_actor, of_critics = Network.of(modules, heads), [Network.of(list(network)) for network in critic.q_networks]
    if of_actor is None or None in of_critics:
        return None
    if not (all(type(chain) is nn.Sequential for chain in chains) and all(is_left_alone(part) for part in parts)):
        return None
    for networks in ([of_actor], of_critics):  # gradients of shared weights would have to be added up
        parameters = [id(parameter) for network in networks for parameter in network.parameters()]
        if len(set(parameters)) < len(parameters):
            return None
    return _Networks(of_actor, of_critics, epsilon)


class WrittenOut:
    """What an agent's networks make of a batch of observations, without autograd; the interface is that of ``Reading``.

    Args:
        observations: ``(batch, n_features)``.
        networks: Actor and critics.
        keep: See :func:`read`.
    """

    def __init__(self, observations: SharedBatch, networks: _Networks, keep: bool) -> None:
        self._observations, self._networks, self._keep = observations, networks, keep
        readers = [network for network in (networks.actor, *networks.critics) if through_links(observations, network)]
        observations.announce([network.first for network in readers])
        self._acted: tuple[Pass, Squashed] | None = None  # for the actor's gradient

    @th.no_grad()
    def action_log_prob(self) -> tuple[th.Tensor, th.Tensor]:
        """See :meth:`siftrl.agents.update.Reading.action_log_prob`."""
        of_actor = self._run_actor()
        drawn = squashed(*of_actor.outs[0], self._networks.epsilon)
        self._acted = of_actor, drawn
        return drawn.actions, drawn.log_prob

    @th.no_grad()
    def actions(self) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.actions`."""
        return self._run_actor().outs[0][0].tanh()

    @th.no_grad()
    def q_values(self, actions: th.Tensor, n_critics: int | None = None) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.q_values`."""
        return _values(self._run_critics(actions, n_critics))

    @th.no_grad()
    def learn_critics(self, actions: th.Tensor, target: th.Tensor, weight: float) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.learn_critics`."""
        of_critics = self._run_critics(actions)
        errors = _values(of_critics) - target
        of_critics.learn([[grad] for grad in (2 * weight / len(target) * errors).split(1, dim=1)])
        return weight * errors.square().mean(dim=0).sum()

    @th.no_grad()
    def learn_soft_actor(self, actions: th.Tensor, log_prob: th.Tensor, ent_coef: th.Tensor) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.learn_soft_actor`."""
        of_actor, drawn = self._acted
        smallest, of_actions = self._climb(actions)
        share, squares, log_std = ent_coef / len(actions), actions.square(), of_actor.outs[0][1]
        of_actions += 2 * share * actions / (1 - squares + self._networks.epsilon)
        of_mean = of_actions * (1 - squares)
        is_within = (log_std >= LOG_STD_MIN) & (log_std <= LOG_STD_MAX)
        of_actor.learn([[of_mean, (of_mean * drawn.noise * drawn.std - share) * is_within]])
        return (ent_coef * log_prob - smallest).mean()

    @th.no_grad()
    def learn_actor(self) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.learn_actor`."""
        of_actor = self._run_actor()
        actions = of_actor.outs[0][0].tanh()
        values, of_actions = self._climb(actions, n_critics=1)
        of_actor.learn([[of_actions * (1 - actions.square())]])
        return -values.mean()

    def _climb(self, actions: th.Tensor, n_critics: int | None = None) -> tuple[th.Tensor, th.Tensor]:
        """The smallest of the critics' values, ``(batch, 1)``, and the gradient of minus its mean by the actions."""
        of_critics = self._run_critics(actions, n_critics)
        values = _values(of_critics)
        smallest, which = values.min(dim=1, keepdim=True)
        of_values = th.zeros_like(values).scatter_(1, which, -1 / len(actions))
        return smallest, of_critics.gradient_of_more([[grad] for grad in of_values.split(1, dim=1)])

    def _run_actor(self) -> Pass:
        return Pass(self._observations, [self._networks.actor], keep=self._keep)

    def _run_critics(self, actions: th.Tensor, n_critics: int | None = None) -> Pass:
        return Pass(self._observations, self._networks.critics[:n_critics], actions, keep=self._keep)


def _values(of_critics: Pass) -> th.Tensor:
    return th.cat([outs[0] for outs in of_critics.outs], dim=1)

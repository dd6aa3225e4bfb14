"""The gradients of SAC and TD3 written out, for networks that are plain: the same as autograd's, in half the time."""

from __future__ import annotations

from typing import NamedTuple

import torch as th
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from stable_baselines3.sac.policies import Actor as SACActor
from torch import nn

from ..sparse.by_hand import Network, Run, backward, can_read, forward, through_links
from ..sparse.shared_batch import SharedBatch
from .update import Actor, Reading, Squashed, reads_plainly, squashed


def read(observations: SharedBatch, actor: Actor, critic: ContinuousCritic) -> Reading | WrittenOut:
    """What networks make of a batch of observations, with gradients written out where that can be done, else autograd's.

    Args:
        observations: ``(batch, n_features)``.
        actor: SB3's, dense or sparse.
        critic: SB3's, dense or sparse.
    """
    networks = _plain_networks(actor, critic)
    if networks is None or not all(can_read(observations, network) for network in (networks.actor, *networks.critics)):
        return Reading(observations, actor, critic)
    return WrittenOut(observations, networks)


class _Networks(NamedTuple):
    actor: Network
    critics: list[Network]
    epsilon: float  # of SAC's distribution


def _plain_networks(actor: Actor, critic: ContinuousCritic) -> _Networks | None:
    """The networks as chains of layers, if they are no more than that and read the observation as it stands."""
    if not (reads_plainly(actor) and reads_plainly(critic)):
        return None
    if isinstance(actor, SACActor):
        distribution = actor.action_dist
        if type(distribution) is not SquashedDiagGaussianDistribution:
            return None
        of_actor, epsilon = Network.of(actor.latent_pi, [actor.mu, actor.log_std]), distribution.epsilon
    else:
        of_actor, epsilon = (Network.of(actor.mu[:-1]) if type(actor.mu[-1]) is nn.Tanh else None), 0.0
    critics = [Network.of(network) for network in critic.q_networks]
    if of_actor is None or None in critics:
        return None
    return _Networks(of_actor, critics, epsilon)


class WrittenOut:
    """What an agent's networks make of a batch of observations, without autograd; the interface is that of ``Reading``.

    Args:
        observations: ``(batch, n_features)``.
        networks: Actor and critics.
    """

    def __init__(self, observations: SharedBatch, networks: _Networks) -> None:
        self._observations, self._networks = observations, networks
        readers = [network for network in (networks.actor, *networks.critics) if through_links(observations, network)]
        observations.announce([network.first for network in readers])
        self._acted: tuple[Run, Squashed] | None = None  # for the actor's gradient

    @th.no_grad()
    def action_log_prob(self) -> tuple[th.Tensor, th.Tensor]:
        """See :meth:`siftrl.agents.update.Reading.action_log_prob`."""
        (run,) = forward(self._observations, [self._networks.actor])
        drawn = squashed(*run.outs, self._networks.epsilon)
        self._acted = run, drawn
        return drawn.actions, drawn.log_prob

    @th.no_grad()
    def actions(self) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.actions`."""
        (run,) = forward(self._observations, [self._networks.actor])
        return run.outs[0].tanh()

    @th.no_grad()
    def q_values(self, actions: th.Tensor, n_critics: int | None = None) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.q_values`."""
        return _values(forward(self._observations, self._networks.critics[:n_critics], actions))

    @th.no_grad()
    def learn_critics(self, actions: th.Tensor, target: th.Tensor, weight: float) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.learn_critics`."""
        critics = self._networks.critics
        runs = forward(self._observations, critics, actions)
        errors = _values(runs) - target
        grads = [[grad] for grad in (2 * weight / len(target) * errors).split(1, dim=1)]
        backward(self._observations, critics, runs, grads, actions)
        return weight * errors.square().mean(dim=0).sum()

    @th.no_grad()
    def learn_soft_actor(self, actions: th.Tensor, log_prob: th.Tensor, ent_coef: th.Tensor) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.learn_soft_actor`."""
        run, drawn = self._acted
        smallest, of_actions = self._climb(actions, self._networks.critics)
        share = ent_coef / len(actions)
        squares = actions.square()
        of_actions += 2 * share * actions / (1 - squares + self._networks.epsilon)
        of_mean = of_actions * (1 - squares)
        within = (run.outs[1] >= LOG_STD_MIN) & (run.outs[1] <= LOG_STD_MAX)
        of_log_std = (of_mean * drawn.noise * drawn.std - share) * within
        backward(self._observations, [self._networks.actor], [run], [[of_mean, of_log_std]])
        return (ent_coef * log_prob - smallest).mean()

    @th.no_grad()
    def learn_actor(self) -> th.Tensor:
        """See :meth:`siftrl.agents.update.Reading.learn_actor`."""
        (run,) = forward(self._observations, [self._networks.actor])
        actions = run.outs[0].tanh()
        values, of_actions = self._climb(actions, self._networks.critics[:1])
        backward(self._observations, [self._networks.actor], [run], [[of_actions * (1 - actions.square())]])
        return -values.mean()

    def _climb(self, actions: th.Tensor, critics: list[Network]) -> tuple[th.Tensor, th.Tensor]:
        """The smallest of the critics' values, ``(batch, 1)``, and the gradient of minus its mean by the actions."""
        runs = forward(self._observations, critics, actions)
        values = _values(runs)
        smallest, which = values.min(dim=1, keepdim=True)
        of_values = th.zeros_like(values).scatter_(1, which, -1 / len(actions))
        grads = [[grad] for grad in of_values.split(1, dim=1)]
        return smallest, backward(self._observations, critics, runs, grads, actions, learn=False)


def _values(runs: list[Run]) -> th.Tensor:
    return th.cat([run.outs[0] for run in runs], dim=1)

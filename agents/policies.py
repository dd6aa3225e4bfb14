"""Sparse policies for stock Stable-Baselines3: SB3's own networks, with their linear layers made sparse."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.policies import BasePolicy, ContinuousCritic
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from ..sparse.convert import layer_specs, sparse_layers, sparsify
from ..sparse.diagnostics import linear_layers
from ..sparse.evolution import Evolution
from ..sparse.linear import SparseLinear
from ..sparse.recipes import Recipe, resolve

NETWORKS = ("actor", "critic")
_READERS = {"sift": "Sift()", "sift-anew": "Sift(recognise=False)", "oracle": "Oracle()"}  # callbacks that choose the links


class SparseActorCriticPolicy(BasePolicy):
    """What the sparse SAC and TD3 policies share: it goes before SB3's policy in the bases.

    SB3 builds the networks, with its own draws, and they are converted before their optimisers exist. With ``recipe=None``
    and ``density=1`` nothing is converted: that is SB3's policy, and trains to the same bits. Layers that are allotted
    density 1 stay ``nn.Linear``. A features extractor is left as it is.

    Rewiring happens in the optimisers' step hooks, so stock SB3's training loop needs no change; target networks follow.
    Topology, schedule steps and seed are in the policy's ``state_dict``.

    Args:
        *args: As SB3's policy.
        recipe: A name in :data:`siftrl.sparse.recipes.RECIPES`, "anf" unless told otherwise; a
            :class:`~siftrl.sparse.Recipe`; None (dense, or static with a ``density`` below 1); or a mapping with the keys
            "actor" and "critic". With "sift" and "oracle" a callback chooses the links: :class:`~siftrl.agents.Sift`,
            :class:`~siftrl.agents.Oracle`.
        density: Global density of each network, in (0, 1]; replaces the recipe's. None: the recipe's.
        input_density: Density of the layers that read the observation; see :func:`siftrl.sparse.recipes.resolve`.
        distribution: How ``density`` is shared out: a name in :data:`siftrl.sparse.density.DISTRIBUTIONS`.
        actor_density: As ``density``, for the actor alone.
        actor_input_density: As ``input_density``, for the actor alone.
        actor_distribution: As ``distribution``, for the actor alone.
        critic_density: As ``density``, for the critics alone.
        critic_input_density: As ``input_density``, for the critics alone.
        critic_distribution: As ``distribution``, for the critics alone.
        recipe_kwargs: Fields of :class:`siftrl.sparse.schedules.Schedule` to replace, such as ``period_updates``; or a
            mapping with the keys "actor" and "critic" of such.
        scale_to_fan_in: Start sparse neurons with weights scaled to their real fan-in (see ``SparseLinear``).
        **kwargs: As SB3's policy.

    Attributes:
        recipes: The resolved recipe of each network, or None where the network is SB3's.
        evolutions: The :class:`~siftrl.sparse.Evolution` of each network that rewires.
        has_reader: Whether a :class:`~siftrl.agents.feature_reader.FeatureReader` chooses what the first layers read.

    Raises:
        ValueError: If a name is unknown or a density cannot be had.
    """

    actor: BasePolicy
    critic: ContinuousCritic

    def __init__(
        self,
        *args: Any,
        recipe: str | Recipe | Mapping[str, str | Recipe | None] | None = "anf",
        density: float | None = None,
        input_density: float | None = None,
        distribution: str | None = None,
        actor_density: float | None = None,
        actor_input_density: float | None = None,
        actor_distribution: str | None = None,
        critic_density: float | None = None,
        critic_input_density: float | None = None,
        critic_distribution: str | None = None,
        recipe_kwargs: Mapping[str, Any] | None = None,
        scale_to_fan_in: bool = True,
        **kwargs: Any,
    ) -> None:
        self.sparse_kwargs = {
            "recipe": recipe,
            "density": density,
            "input_density": input_density,
            "distribution": distribution,
            "actor_density": actor_density,
            "actor_input_density": actor_input_density,
            "actor_distribution": actor_distribution,
            "critic_density": critic_density,
            "critic_input_density": critic_input_density,
            "critic_distribution": critic_distribution,
            "recipe_kwargs": recipe_kwargs,
            "scale_to_fan_in": scale_to_fan_in,
        }
        self.recipes = {network: _network_recipe(network, self.sparse_kwargs) for network in NETWORKS}
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        inputs = {network: _ends(getattr(self, network))[0] for network in NETWORKS}
        for network, other in zip(NETWORKS, reversed(NETWORKS), strict=True):
            online, target = getattr(self, network), getattr(self, f"{network}_target", None)
            linears = _linears(online)
            layers = {path: layer for path, layer in linears.items() if isinstance(layer, SparseLinear)}
            if not (self.recipes[network].rewires and layers):
                continue
            readers = [getattr(self, other).get_submodule(path) for path in inputs[other]]
            evolution = Evolution(
                layers,
                online.optimizer,
                self.recipes[network],
                targets=[] if target is None else [sparse_layers(target)],
                specs=layer_specs(linears, *_ends(online)),
                networks=[f"{name}." for name in _critics(online)] or [""],
                evidence=dict.fromkeys(inputs[network], readers),
                name=network,
            )
            self.add_module(f"{network}_evolution", evolution)
        self.has_reader = False
        if isinstance(self.sparse_kwargs["recipe"], str) and self.sparse_kwargs["recipe"] in _READERS:
            self._remind_of_the_reader(self.sparse_kwargs["recipe"])

    def _remind_of_the_reader(self, recipe: str) -> None:
        """Warn at the first step if nobody chooses the links of the first layers, which the recipe alone leaves as drawn."""

        def remind(*_: Any) -> None:
            hook.remove()
            if not self.has_reader:
                warnings.warn(
                    f"recipe {recipe!r} leaves the first layers' links as they are unless a callback chooses what they "
                    f"read: learn(..., callback={_READERS[recipe]})",
                    stacklevel=2,
                )

        hook = self.critic.optimizer.register_step_pre_hook(remind)

    @property
    def evolutions(self) -> dict[str, Evolution]:
        """The evolution of each network that rewires, by "actor" and "critic"."""
        attached = {network: getattr(self, f"{network}_evolution", None) for network in NETWORKS}
        return {network: evolution for network, evolution in attached.items() if evolution is not None}

    def set_training_mode(self, mode: bool) -> None:
        """As SB3's, which walks through all modules at every step, also where nothing changes."""
        if mode != self.training:
            super().set_training_mode(mode)

    def make_actor(self, *args: Any, **kwargs: Any) -> BasePolicy:
        """SB3's actor, converted."""
        return self._convert("actor", super().make_actor(*args, **kwargs))

    def make_critic(self, *args: Any, **kwargs: Any) -> ContinuousCritic:
        """SB3's critics, converted."""
        return self._convert("critic", super().make_critic(*args, **kwargs))

    def _convert(self, name: str, network: nn.Module) -> nn.Module:
        # A network and its target have the same name, hence the same links; their weights are copied by SB3.
        inputs, outputs = _ends(network)
        return sparsify(
            network,
            self.recipes[name].density,
            layers=list(_linears(network)),
            inputs=inputs,
            outputs=outputs,
            scale_to_fan_in=self.sparse_kwargs["scale_to_fan_in"],
            name=name,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), **self.sparse_kwargs}


class SparseSACPolicy(SparseActorCriticPolicy, SACPolicy):
    """SB3's SAC policy with sparse actor and critics.

    Example:
        >>> from stable_baselines3 import SAC
        >>> model = SAC(SparseSACPolicy, "Pendulum-v1", policy_kwargs=dict(recipe="set", density=0.1))
        >>> model.actor.latent_pi[2]
        SparseLinear(in_features=256, out_features=256, density=0.08243, n_links=5402, bias=True)
    """

    __doc__ += "\n" + SparseActorCriticPolicy.__doc__.partition("\n\n")[2]


class SparseTD3Policy(SparseActorCriticPolicy, TD3Policy):
    """SB3's TD3 policy with sparse actor and critics.

    The networks have two layers of 256 units, as the sparse-training papers have it, where SB3 takes 400 and 300; with
    ``recipe=None`` and ``density=1`` give ``net_arch`` to have SB3's.

    The actor of TD3 takes a step in every second update only: its schedule counts its own steps.
    """

    def __init__(self, *args: Any, net_arch: list[int] | dict[str, list[int]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, net_arch=[256, 256] if net_arch is None else net_arch, **kwargs)

    __doc__ += "\n" + SparseActorCriticPolicy.__doc__.partition("\n\n")[2]


def _network_recipe(network: str, wishes: Mapping[str, Any]) -> Recipe:
    """One network's recipe from the policy's arguments: those with the network's prefix win over the common ones."""
    recipe = _of_network(network, wishes["recipe"], "recipe")
    budget = {
        key: wishes[f"{network}_{key}"] if wishes[f"{network}_{key}"] is not None else wishes[key]
        for key in ("density", "input_density", "distribution")
    }
    schedule = _of_network(network, wishes["recipe_kwargs"] or {}, "recipe_kwargs")
    return resolve("dense" if recipe is None else recipe, **budget, **schedule)


def _of_network(network: str, value: Any, argument: str) -> Any:
    if not isinstance(value, Mapping) or not set(value) & set(NETWORKS):
        return value
    if set(value) != set(NETWORKS):
        raise ValueError(f"{argument} by network needs the keys 'actor' and 'critic', got {sorted(value)}")
    return value[network]


def _linears(network: nn.Module) -> dict[str, nn.Linear | SparseLinear]:
    """The linear layers behind the features extractor, by qualified name."""
    return {path: layer for path, layer in linear_layers(network).items() if not path.startswith("features_extractor")}


def _critics(network: nn.Module) -> list[str]:
    """Names of the critics in a network."""
    return [name for name, _ in network.named_children() if name.startswith("qf")]


def _ends(network: nn.Module) -> tuple[list[str], list[str]]:
    """Names of the linear layers that read the observation, and of those that give the output."""
    linears = list(_linears(network))
    trunks = _critics(network) or [name for name, _ in network.named_children() if name == "latent_pi"] or ["mu"]
    chains = [[path for path in linears if path.partition(".")[0] == trunk] for trunk in trunks]
    heads = [path for path in linears if path.partition(".")[0] not in trunks]
    inputs = [chain[0] for chain in chains if chain]
    outputs = heads or [chain[-1] for chain in chains if chain]
    return inputs or outputs, outputs

"""The networks of a SAC or TD3 model in figures: their layers, links and dead neurons."""

from __future__ import annotations

from typing import NamedTuple

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from ..sparse.diagnostics import dead_neurons, density, linear_layers, n_links


class LayerRow(NamedTuple):
    """A linear layer in figures.

    Attributes:
        network: "actor", or "qf0", "qf1", … for a critic.
        layer: Qualified name within the network.
        shape: ``(out_features, in_features)``.
        links: Weights that exist.
        density: Links over places.
    """

    network: str
    layer: str
    shape: tuple[int, int]
    links: int
    density: float


def networks(model: BaseAlgorithm) -> dict[str, nn.Module]:
    """The actor and each critic of a SAC or TD3 model: "actor", "qf0", "qf1", …"""
    critics = {f"qf{i}": q_network for i, q_network in enumerate(model.critic.q_networks)}
    return {"actor": model.actor, **critics}


def target_networks(model: BaseAlgorithm) -> dict[str, nn.Module]:
    """The target networks there are, by the names of :func:`networks`; SAC's actor has none."""
    critics = {f"qf{i}": q_network for i, q_network in enumerate(model.critic_target.q_networks)}
    return critics if getattr(model, "actor_target", None) is None else {"actor": model.actor_target, **critics}


def first_layer(network: nn.Module) -> nn.Module:
    """The layer of an actor or a critic that reads the observation."""
    return next(iter(linear_layers(network).values()))


def reads_vectors(model: BaseAlgorithm) -> bool:
    """Whether a model observes vectors, and no images, matrices or dictionaries."""
    return len(model.observation_space.shape or ()) == 1


def require_plain_vectors(model: BaseAlgorithm, purpose: str) -> None:
    """Check that the first layers of a SAC or TD3 model read vectors, as the environment gives them.

    Args:
        model: SB3's or ours.
        purpose: What that is needed for, to be told: "to start quietly".

    Raises:
        ValueError: For other observations, and where networks do not read them as they are.
    """
    if not reads_vectors(model):
        raise ValueError(f"observations must be vectors {purpose}, got {model.observation_space}")
    for network in (model.actor, model.critic):
        if type(network.features_extractor) is not FlattenExtractor:
            extractor = type(network.features_extractor).__name__
            raise ValueError(f"features_extractor_class must be FlattenExtractor {purpose}, got {extractor}")


def layer_table(model: BaseAlgorithm) -> list[LayerRow]:
    """Shape, links and density of each linear layer of a model, dense ones included."""
    return [
        LayerRow(network, path, (layer.out_features, layer.in_features), n_links(layer), density(layer))
        for network, module in networks(model).items()
        for path, layer in linear_layers(module).items()
    ]


def n_dead_neurons(network: nn.Module) -> int:
    """Hidden neurons of an actor or a critic of SB3's that have no link in or none out.

    These are chains of layers under one name, the last of which is read by as many heads as there are others.
    """
    layers = linear_layers(network)
    trunk_name = next(iter(layers)).rpartition(".")[0]
    trunk = [layer for path, layer in layers.items() if path.rpartition(".")[0] == trunk_name]
    heads = [layer for path, layer in layers.items() if path.rpartition(".")[0] != trunk_name]
    readers = [[layer] for layer in trunk[1:]] + ([heads] if heads else [])
    return sum(int(dead_neurons(layer, *reading).sum()) for layer, reading in zip(trunk, readers, strict=False))

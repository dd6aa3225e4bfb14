"""What a density rule is: called with the layers of a network, it answers with one density per layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..names import known
from .topology import Topology

ROLES = ("input", "hidden", "output")


@dataclass(frozen=True)
class LayerSpec:
    """What a density rule needs to know of a layer.

    Attributes:
        name: Qualified name, for messages and for densities given by name.
        shape: ``(out, in)``, or ``(out, in, *kernel)`` of a convolution.
        role: ``"input"``, ``"hidden"`` or ``"output"``.

    Raises:
        ValueError: If the role is unknown, or the shape has fewer than two dimensions or an empty one.
    """

    name: str
    shape: tuple[int, ...]
    role: str

    def __post_init__(self) -> None:
        known(self.role, ROLES, f"role of layer {self.name!r}")
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise ValueError(f"shape={self.shape} of layer {self.name!r} is not (out, in, ...) with positive numbers")

    @property
    def size(self) -> int:
        """Number of places for a link: the links of the dense layer."""
        return math.prod(self.shape)

    @property
    def topology_shape(self) -> tuple[int, int]:
        """Shape of the layer's topology: ``(out, places of a neuron)``."""
        return self.shape[0], math.prod(self.shape[1:])

    def is_one_of(self, keys: Collection[str]) -> bool:
        """Whether the layer's name or its role is among the keys."""
        return self.name in keys or self.role in keys

    def look_up(self, table: Mapping[str, float], default: float | None = None) -> float | None:
        """The entry of the layer's name, else that of its role, else the default."""
        return table.get(self.name, table.get(self.role, default))


class Density(ABC):
    """A rule that says how dense each layer of a network is."""

    @abstractmethod
    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        """Return the density of each layer, in (0, 1] and in the order given.

        Raises:
            ValueError: If the rule names a layer that is not there, or cannot be met.
        """

    def stays_dense(self, layers: Sequence[LayerSpec]) -> list[bool]:
        """Say which layers have all links from the first step to the last, and so are no sparse layers."""
        return [density == 1.0 for density in self(layers)]

    def draw(self, layer: LayerSpec, density: float, rng: np.random.Generator) -> Topology:
        """Draw the links of a layer to which the rule has given this density: all places are equally likely."""
        return Topology.random(layer.topology_shape, n_links(layer.shape, density), rng)


def n_links(shape: Sequence[int], density: float) -> int:
    """Return how many links a layer of this shape and density has: ``density`` times its size, rounded.

    Args:
        shape: ``(out, in)``, or ``(out, in, *kernel)``.
        density: Fraction of places that hold a link, in (0, 1].

    Raises:
        ValueError: If the density is outside (0, 1], or so low that no link would be left.

    Example:
        >>> n_links((256, 1700), 0.05)
        21760
    """
    require_density("density", density)
    size = math.prod(shape)
    links = round(density * size)
    if links < 1:
        raise ValueError(
            f"density={density} leaves a layer of shape {tuple(shape)} without a link; "
            f"one link is a density of {1 / max(size, 1):.4g}"
        )
    return links


def checked(layers: Sequence[LayerSpec], densities: list[float]) -> list[float]:
    """Pass the densities through.

    Raises:
        ValueError: If a layer would be left without a link.
    """
    for layer, density in zip(layers, densities, strict=True):
        n_links(layer.shape, density)
    return densities


def require_density(argument: str, density: float) -> None:
    """Raise ``ValueError`` unless the density is in (0, 1]."""
    if not 0 < density <= 1:
        raise ValueError(f"{argument}={density} is outside (0, 1]; a dense layer is 1, and no layer can be empty")


def require_known(argument: str, keys: Iterable[str], layers: Sequence[LayerSpec]) -> None:
    """Raise ``ValueError`` unless there are layers, and each key is a role or the name of one."""
    if not layers:
        raise ValueError("layers is empty; a density rule needs at least one layer")
    for key in keys:
        known(key, [*ROLES, *(layer.name for layer in layers)], argument)


def sorted_keys(keys: str | Iterable[str]) -> tuple[str, ...]:
    """Bring one key or several into an order of their own, so that equal rules compare equal."""
    return (keys,) if isinstance(keys, str) else tuple(sorted(set(keys)))


def sorted_pairs(table: Mapping[str, float] | Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Bring a mapping into a hashable form that does not depend on its order."""
    return tuple(sorted(dict(table).items()))

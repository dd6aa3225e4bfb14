"""Rules that change another one: the input layer apart, or as many links for every neuron."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

import numpy as np

from .density_rule import Density, LayerSpec, checked, require_density
from .global_density import Uniform
from .topology import Topology

_DENSE = Uniform(1.0)


class InputApart(Density):
    """Base of the rules whose input layers have a density of their own, while ``rest`` holds for the others alone."""

    rest: Density

    @abstractmethod
    def input_density(self, layer: LayerSpec) -> float:
        """Return the density of an input layer."""

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        others = [layer for layer in layers if layer.role != "input"]
        shares = iter(self.rest(others) if others else [])
        return checked(layers, [self.input_density(layer) if layer.role == "input" else next(shares) for layer in layers])

    def draw(self, layer: LayerSpec, density: float, rng: np.random.Generator) -> Topology:
        """Draw an input layer's links at random, and another layer's as the rule of the others does."""
        return (super() if layer.role == "input" else self.rest).draw(layer, density, rng)


@dataclass(frozen=True)
class WithInput(InputApart):
    """Input layers get a density of their own, and the other layers follow another rule among themselves.

    Attributes:
        density: Density of each input layer, in (0, 1].
        rest: The rule of the other layers.

    Raises:
        TypeError: If ``rest`` is no rule.
        ValueError: If ``density`` is outside (0, 1]; when called, as the two rules do.

    Example:
        >>> layers = [LayerSpec("0", (256, 1700), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> WithInput(0.01, Uniform(0.5))(layers)
        [0.01, 0.5]
    """

    density: float
    rest: Density

    def __post_init__(self) -> None:
        require_density("density", self.density)
        _require_rule("rest", self.rest)

    def input_density(self, layer: LayerSpec) -> float:
        """Return the density given for input layers."""
        return self.density


@dataclass(frozen=True)
class MatchedToNoise(InputApart):
    """Input layers get as many links as they would have if they were dense and read no noise.

    The noise then costs no links: ``out * (in - n_noise)`` of them, for an actor that reads the observation as for a critic
    that reads the action too.

    Attributes:
        n_noise: Noise features among those that an input layer reads: 153 of HalfCheetah's 170 at 90 % noise.
        rest: The rule of the other layers; dense unless given.

    Raises:
        TypeError: If ``rest`` is no rule or ``n_noise`` no whole number.
        ValueError: If ``n_noise`` is negative; when called, if an input layer reads no more features than that, or as
            ``rest`` does.

    Example:
        >>> actor = [LayerSpec("0", (256, 170), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> MatchedToNoise(n_noise=153)(actor)
        [0.1, 1.0]
    """

    n_noise: int
    rest: Density = _DENSE

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_noise", index(self.n_noise))
        if self.n_noise < 0:
            raise ValueError(f"n_noise={self.n_noise} is negative; it is the number of noise features, 0 or more")
        _require_rule("rest", self.rest)

    def input_density(self, layer: LayerSpec) -> float:
        """Return the share of the layer's inputs that are no noise."""
        n_in = layer.shape[1]
        if self.n_noise >= n_in:
            raise ValueError(f"n_noise={self.n_noise} must be below {n_in}, the features that layer {layer.name!r} reads")
        return (n_in - self.n_noise) / n_in


@dataclass(frozen=True)
class ConstantFanIn(Density):
    """Every neuron of a layer has as many links: another rule's density times the layer's inputs, rounded down.

    The number of links falls short of the other rule's by less than one link a neuron. A rewiring keeps the fan-in
    where its grow rule does.

    Attributes:
        rule: The rule that says the densities.

    Raises:
        TypeError: If ``rule`` is no rule.
        ValueError: When called, if a neuron would be left without a link, or as ``rule`` does.

    Source:
        Lasby et al., "Dynamic Sparse Training with Structured Sparsity" (2024), section 3.

    Example:
        >>> ConstantFanIn(Uniform(0.1))([LayerSpec("0", (256, 1705), "input")])  # 170 of 1705
        [0.09970674486803519]
    """

    rule: Density

    def __post_init__(self) -> None:
        _require_rule("rule", self.rule)

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        return [self._round_down(layer, density) for layer, density in zip(layers, self.rule(layers), strict=True)]

    def draw(self, layer: LayerSpec, density: float, rng: np.random.Generator) -> Topology:
        """Draw the links of a layer: for each neuron as many, all sets of its inputs equally likely."""
        return Topology.random_fan_in(layer.topology_shape, round(density * layer.topology_shape[1]), rng)

    @staticmethod
    def _round_down(layer: LayerSpec, density: float) -> float:
        _, n_in = layer.topology_shape
        # A product such as 0.29 * 100 lies just below the whole number that it stands for.
        fan_in = math.floor(density * n_in * (1 + 1e-12))
        if fan_in < 1:
            raise ValueError(
                f"a density of {density:.4g} leaves the neurons of layer {layer.name!r} without a link; "
                f"one link each is a density of {1 / n_in:.4g}"
            )
        return fan_in / n_in


def _require_rule(argument: str, rule: Density) -> None:
    if not isinstance(rule, Density):
        raise TypeError(f"{argument} must be a density rule such as Uniform(0.1), got {rule!r}")

"""Rules that say each layer's density: the density of the whole network is a consequence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

from .density_rule import (
    ROLES,
    Density,
    LayerSpec,
    checked,
    require_density,
    require_known,
    sorted_keys,
    sorted_pairs,
)
from .global_density import er_score


@dataclass(frozen=True)
class ErdosRenyiEpsilon(Density):
    """Erdős-Rényi with the factor given: a density of ``epsilon * (in + out) / (in * out)``, at most 1.

    A linear layer then has about ``epsilon`` links per neuron at its two ends, and the density of the whole network
    is a consequence.

    Attributes:
        epsilon: One factor for all layers, or a mapping from role or layer name (which goes first) to factor; kept as
            sorted pairs.
        keep_dense: Roles or names of the layers that stay dense.

    Raises:
        ValueError: If a factor is not positive and finite; when called, if a key is no role and no layer, a layer has
            no factor and is not kept dense, or its factor leaves it without a link.

    Source:
        Mocanu et al. (2018), equation 1 (ε); Sokar et al., "Dynamic Sparse Training for Deep Reinforcement Learning"
        (2022), section 4.4 (λ of each layer). Deviation: they draw each link with this probability; here the number of
        links is exactly its expectation, rounded.

    Example:
        >>> rule = ErdosRenyiEpsilon({"input": 7, "hidden": 64}, keep_dense="output")
        >>> actor = [LayerSpec("0", (256, 16), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> rule(actor)
        [0.46484375, 0.5]
    """

    epsilon: float | Mapping[str, float] | tuple[tuple[str, float], ...]
    keep_dense: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.epsilon, Real):
            object.__setattr__(self, "epsilon", sorted_pairs(self.epsilon))
        object.__setattr__(self, "keep_dense", sorted_keys(self.keep_dense))
        for key, epsilon in self._factors().items():
            if not 0 < epsilon < math.inf:
                raise ValueError(f"epsilon={epsilon} for {key!r} is not a positive, finite number")

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        factors = self._factors()
        require_known("epsilon", factors, layers)
        require_known("keep_dense", self.keep_dense, layers)
        return [1.0 if layer.is_one_of(self.keep_dense) else self._density(layer, factors) for layer in layers]

    def _factors(self) -> dict[str, float]:
        return dict.fromkeys(ROLES, self.epsilon) if isinstance(self.epsilon, Real) else dict(self.epsilon)

    @staticmethod
    def _density(layer: LayerSpec, factors: Mapping[str, float]) -> float:
        epsilon = layer.look_up(factors)
        if epsilon is None:
            raise ValueError(
                f"epsilon has no entry for {layer.role!r} layer {layer.name!r}; add one, or name it in keep_dense"
            )
        score = er_score(layer)
        if round(epsilon * score * layer.size) < 1:
            raise ValueError(
                f"epsilon={epsilon} leaves layer {layer.name!r} of shape {layer.shape} without a link; "
                f"one link is an epsilon of {1 / (score * layer.size):.4g}"
            )
        return min(1.0, epsilon * score)


@dataclass(frozen=True)
class InputOnly(Density):
    """Input layers get the density, all others are dense.

    Attributes:
        density: Density of each input layer, in (0, 1]; not that of the network.
        keep_dense: Roles or names of input layers that stay dense after all.

    Raises:
        ValueError: If ``density`` is outside (0, 1]; when called, if ``keep_dense`` names no role and no layer, no
            input layer is left, or one would be left without a link.

    Source:
        Grooten et al., "Automatic Noise Filtering with Dynamic Sparse Training in Deep Reinforcement Learning" (2023),
        section 4: 80 % sparse input layers, everything else dense.

    Example:
        >>> InputOnly(0.2)([LayerSpec("0", (256, 1700), "input"), LayerSpec("2", (256, 256), "hidden")])
        [0.2, 1.0]
    """

    density: float
    keep_dense: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_density("density", self.density)
        object.__setattr__(self, "keep_dense", sorted_keys(self.keep_dense))

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        require_known("keep_dense", self.keep_dense, layers)
        sparse = [layer.role == "input" and not layer.is_one_of(self.keep_dense) for layer in layers]
        if not any(sparse):
            raise ValueError(f"density={self.density} has no input layer to apply to beside keep_dense={self.keep_dense}")
        return checked(layers, [self.density if is_sparse else 1.0 for is_sparse in sparse])


@dataclass(frozen=True)
class Explicit(Density):
    """Each layer gets the density said for its name, else for its role, else ``default``.

    Attributes:
        densities: Mapping from layer name or role to density in (0, 1]; kept as sorted pairs.
        default: Density of the layers that are not named, in (0, 1].

    Raises:
        ValueError: If a density is outside (0, 1]; when called, if a key is no role and no layer, or a layer would be
            left without a link.

    Example:
        >>> rule = Explicit({"input": 0.05, "4": 0.5})
        >>> rule([LayerSpec("0", (256, 1700), "input"), LayerSpec("4", (6, 256), "output")])
        [0.05, 0.5]
    """

    densities: Mapping[str, float] | tuple[tuple[str, float], ...]
    default: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "densities", sorted_pairs(self.densities))
        require_density("default", self.default)
        for key, density in self.densities:
            require_density(f"densities[{key!r}]", density)

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        densities = dict(self.densities)
        require_known("densities", densities, layers)
        return checked(layers, [layer.look_up(densities, self.default) for layer in layers])

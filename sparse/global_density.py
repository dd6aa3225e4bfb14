"""Rules that share out one budget: the density of all layers together, and what each layer gets of it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .density_rule import Density, LayerSpec, checked, require_density, require_known, sorted_keys


@dataclass(frozen=True)
class GlobalDensity(Density):
    """Base of the rules that spread one budget: ``density`` times all places of all layers together.

    Layers with a density of their own, such as those that are kept dense, spend from the same budget, and the others share
    what is left in proportion to their scores. A layer whose share exceeds what it can hold becomes dense, and the rest is
    spread over the others again. The links of all layers, rounded for each, are the budget to within half a link a layer.

    Attributes:
        density: Links of all layers over places of all layers, in (0, 1]. Exactly 1 makes every layer dense.
        keep_dense: Roles or names of the layers that stay dense.

    Raises:
        ValueError: If ``density`` is outside (0, 1]; when called, if ``keep_dense`` names no role and no layer, or the
            budget cannot be met (the message then names the nearest possible density).

    Source:
        The loop of Evci et al., "Rigging the Lottery" (2020), section 3. Deviation: there, layers with a density of
        their own are left out of the budget; here the budget is always the density of all layers together.
    """

    density: float
    keep_dense: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_density("density", self.density)
        object.__setattr__(self, "keep_dense", sorted_keys(self.keep_dense))

    @abstractmethod
    def score(self, layer: LayerSpec) -> float:
        """Return the density of a layer relative to that of the other layers."""

    def own_densities(self, layers: Sequence[LayerSpec], density: float) -> np.ndarray:
        """Return the densities that are not a share of what is left, NaN for the layers that share it; float64."""
        return np.array([1.0 if layer.is_one_of(self.keep_dense) else np.nan for layer in layers])

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        require_known("keep_dense", self.keep_dense, layers)
        if self.density == 1:
            return [1.0] * len(layers)
        owners, own = _owners(layers, self.own_densities(layers, self.density))
        checked(owners, own)
        objection = self._objection(layers, self.density)
        if objection:
            raise ValueError(
                f"density={self.density} cannot be met: {objection}; "
                f"the nearest possible density is {self._nearest(layers):.10g}"
            )
        return self._spread(layers, self.density).tolist()

    def _spread(self, layers: Sequence[LayerSpec], density: float) -> np.ndarray:
        return self._share(layers, self.own_densities(layers, density), density)

    def _share(self, layers: Sequence[LayerSpec], own: np.ndarray, density: float) -> np.ndarray:
        """Share what a budget leaves among the layers without a density of their own (NaN), none above 1."""
        sizes = np.array([layer.size for layer in layers])
        scores = np.array([self.score(layer) for layer in layers])
        free = np.isnan(own)
        densities = np.where(free, 1.0, own)
        while free.any():
            budget = density - (densities * sizes)[~free].sum() / sizes.sum()
            # In this order a uniform score gives back exactly the density that was asked for.
            scale = budget * (sizes.sum() / (scores * sizes)[free].sum())
            highest = scores[free].max()
            if scale * highest <= 1:
                densities[free] = scale * scores[free]
                break
            free &= scores < highest
        return densities

    def _objection(self, layers: Sequence[LayerSpec], density: float) -> str:
        """Say why a budget cannot be met; empty if it can."""
        places = sum(layer.size for layer in layers)
        owners, own = _owners(layers, self.own_densities(layers, density))
        taken = sum(share * layer.size for layer, share in zip(owners, own, strict=True))
        if taken > density * places + 0.5:
            names = ", ".join(repr(layer.name) for layer in owners)
            return f"the layers with a density of their own, {names}, take {taken / places:.4g} of all places"
        if density * places < len(layers):
            return f"it is fewer than one link for each of {len(layers)} layers with {places} places"
        for layer, share in zip(layers, self._spread(layers, density), strict=True):
            if round(share * layer.size) < 1:
                return f"layer {layer.name!r} of shape {layer.shape} would be left without a link"
        if density * places > self._highest(layers) * places + 0.5:
            return f"{', '.join(repr(layer.name) for layer in owners)} would have to be denser than the rule says"
        return ""

    def _highest(self, layers: Sequence[LayerSpec]) -> float:
        """Return the density of all layers together if every layer without one of its own is dense."""
        sizes = np.array([layer.size for layer in layers])
        own = self.own_densities(layers, 1.0)
        return float((np.where(np.isnan(own), 1.0, own) * sizes).sum() / sizes.sum())

    def _nearest(self, layers: Sequence[LayerSpec]) -> float:
        """Return the possible density nearest to the one asked for, rounded to four digits if it then still is possible."""
        low, high = self.density, self._highest(layers)
        towards_the_possible = math.ceil if low < high else math.floor
        for _ in range(60 if low < high else 0):
            middle = (low + high) / 2
            low, high = (middle, high) if self._objection(layers, middle) else (low, middle)
        first_digit = math.floor(math.log10(high))
        for digits in range(4, 16):
            unit = 10.0 ** (digits - 1 - first_digit)
            nearest = towards_the_possible(high * unit) / unit
            if not self._objection(layers, nearest):
                return nearest
        return high


def _owners(layers: Sequence[LayerSpec], own: np.ndarray) -> tuple[list[LayerSpec], list[float]]:
    """The layers that have a density of their own, and those densities."""
    has_own = ~np.isnan(own)
    return [layer for layer, is_owner in zip(layers, has_own, strict=True) if is_owner], own[has_own].tolist()


@dataclass(frozen=True)
class Uniform(GlobalDensity):
    """Every layer gets the same density.

    Example:
        >>> actor = [LayerSpec("0", (256, 17), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> Uniform(0.1)(actor)
        [0.1, 0.1]
    """

    def score(self, layer: LayerSpec) -> float:
        """Return the same score for every layer."""
        return 1.0


@dataclass(frozen=True)
class UniformPlus(Uniform):
    """Uniform+: input layers dense, output layers no sparser than a floor, all others the same density.

    Attributes:
        output_floor: Lowest density of an output layer, in (0, 1].

    Raises:
        ValueError: As ``GlobalDensity``, or if ``output_floor`` is outside (0, 1].

    Source:
        Gale et al., "The State of Sparsity in Deep Neural Networks" (2019); the name is that of Liu et al., "The
        Unreasonable Effectiveness of Random Pruning" (2022). Deviation: their code divides what is left by the places of
        all layers, which lands below the budget, and has the floor only below a global density of 0.2.

    Example:
        >>> actor = [
        ...     LayerSpec("0", (256, 17), "input"),
        ...     LayerSpec("2", (256, 256), "hidden"),
        ...     LayerSpec("4", (6, 256), "output"),
        ... ]
        >>> [round(density, 4) for density in UniformPlus(0.1)(actor)]
        [1.0, 0.0379, 0.2]
    """

    output_floor: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_density("output_floor", self.output_floor)

    def own_densities(self, layers: Sequence[LayerSpec], density: float) -> np.ndarray:
        """Return those of the base, 1 for input layers, and the floor for output layers that would fall below it."""
        own = super().own_densities(layers, density)
        own[[layer.role == "input" for layer in layers]] = 1.0
        is_output = np.array([layer.role == "output" for layer in layers])
        is_below = self._share(layers, own, density) < self.output_floor
        own[np.isnan(own) & is_output & is_below] = self.output_floor
        return own


@dataclass(frozen=True)
class ER(GlobalDensity):
    """Erdős-Rényi: a layer's density is proportional to ``(out + in) / (out * in)``, so small layers stay denser.

    Source:
        Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
        network science" (2018); scaled to a global budget by Evci et al. (2020), section 3.
    """

    def score(self, layer: LayerSpec) -> float:
        """Return the Erdős-Rényi score, whatever the layer's kernel."""
        return er_score(layer)


@dataclass(frozen=True)
class ERK(GlobalDensity):
    """Erdős-Rényi-Kernel: as ``ER``, with the kernel's dimensions in the sum and the product.

    For linear layers it is the same as ``ER``.

    Source:
        Evci et al., "Rigging the Lottery: Making All Tickets Winners" (2020), section 3.

    Example:
        >>> actor = [
        ...     LayerSpec("0", (256, 17), "input"),
        ...     LayerSpec("2", (256, 256), "hidden"),
        ...     LayerSpec("4", (6, 256), "output"),
        ... ]
        >>> [round(density, 4) for density in ERK(0.1)(actor)]
        [0.448, 0.0558, 1.0]
    """

    def score(self, layer: LayerSpec) -> float:
        """Return the Erdős-Rényi score with the kernel's dimensions."""
        return sum(layer.shape) / layer.size


@dataclass(frozen=True)
class ERKPlus(ERK):
    """ERK+: output layers get a density of their own, and the others share what is left as in ``ERK``.

    Attributes:
        output_density: Density of each output layer, in (0, 1].

    Raises:
        ValueError: As ``GlobalDensity``, or if ``output_density`` is outside (0, 1], or below 1 where ``density`` is 1.

    Source:
        Liu et al., "The Unreasonable Effectiveness of Random Pruning" (2022); its output layer is dense on ImageNet.

    Example:
        >>> actor = [
        ...     LayerSpec("0", (256, 17), "input"),
        ...     LayerSpec("2", (256, 256), "hidden"),
        ...     LayerSpec("4", (6, 256), "output"),
        ... ]
        >>> [round(density, 4) for density in ERKPlus(0.1, output_density=0.5)(actor)]
        [0.5094, 0.0634, 0.5]
    """

    output_density: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_density("output_density", self.output_density)
        if self.density == 1 and self.output_density < 1:
            raise ValueError(f"output_density={self.output_density} must be 1 where density={self.density} makes all dense")

    def own_densities(self, layers: Sequence[LayerSpec], density: float) -> np.ndarray:
        """Return those of the base, and ``output_density`` for other output layers."""
        own = super().own_densities(layers, density)
        own[np.isnan(own) & [layer.role == "output" for layer in layers]] = self.output_density
        return own


@dataclass(frozen=True)
class Intermediate(GlobalDensity):
    """Between uniform and Erdős-Rényi: a layer's density is proportional to ``1 / (out * in) ** exponent``.

    Attributes:
        exponent: 0 or more; at 0 the rule is ``Uniform``.

    Raises:
        ValueError: As ``GlobalDensity``, or if ``exponent`` is negative or not finite.

    Source:
        The code of Grooten et al., "Automatic Noise Filtering with Dynamic Sparse Training in Deep Reinforcement
        Learning" (2023), which calls it "new".

    Example:
        >>> critic = [LayerSpec("0", (256, 23), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> [round(density, 4) for density in Intermediate(0.1)(critic)]
        [0.1541, 0.0951]
    """

    exponent: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.exponent < math.inf:
            raise ValueError(f"exponent={self.exponent} is not a finite number of 0 or more")

    def score(self, layer: LayerSpec) -> float:
        """Return ``1 / (out * in) ** exponent``."""
        n_out, n_in = layer.shape[:2]
        return (n_out * n_in) ** -self.exponent


def er_score(layer: LayerSpec) -> float:
    """Return the Erdős-Rényi score of a layer, ``(out + in) / (out * in)``, whatever its kernel."""
    n_out, n_in = layer.shape[:2]
    return (n_out + n_in) / (n_out * n_in)

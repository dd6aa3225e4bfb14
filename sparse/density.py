"""How many links each layer gets: one density for all, Erdős-Rényi, the input layer only, or said outright.

A rule is a small frozen dataclass: call it with the layers of a network and it answers with one density per layer.
Rules compare, hash, pickle and print, so they can stand in ``policy_kwargs``. Density is the fraction of places that
hold a link (sparsity is one minus density).
"""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

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
        if self.role not in ROLES:
            raise ValueError(f"role={self.role!r} of layer {self.name!r} is not one of {', '.join(map(repr, ROLES))}")
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise ValueError(f"shape={self.shape} of layer {self.name!r} is not (out, in, ...) with positive numbers")

    @property
    def size(self) -> int:
        """Number of places for a link: the links of the dense layer."""
        return math.prod(self.shape)


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
    _require_density("density", density)
    size = math.prod(shape)
    links = round(density * size)
    if links < 1:
        raise ValueError(
            f"density={density} leaves a layer of shape {tuple(shape)} without a link; "
            f"one link is a density of {1 / max(size, 1):.4g}"
        )
    return links


class Density(ABC):
    """A rule that says how dense each layer of a network is."""

    @abstractmethod
    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        """Return the density of each layer, in (0, 1] and in the order given.

        Raises:
            ValueError: If the rule names a layer that is not there, or cannot be met.
        """


@dataclass(frozen=True)
class GlobalDensity(Density):
    """Base of the rules that spread one budget: ``density`` times all places of all layers together.

    Layers that are kept dense spend from the same budget, so the others become sparser to meet it. A layer whose
    share exceeds what it can hold becomes dense, and the rest is spread over the others again.

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
        _require_density("density", self.density)
        object.__setattr__(self, "keep_dense", _keys(self.keep_dense))

    @abstractmethod
    def score(self, shape: tuple[int, ...]) -> float:
        """Return the density of a layer of this shape relative to that of the other layers."""

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        _require_known("keep_dense", self.keep_dense, layers)
        kept = np.array([_matches(layer, self.keep_dense) for layer in layers])
        objection = self._objection(layers, kept, self.density)
        if objection:
            nearest = _smallest_density(lambda density: not self._objection(layers, kept, density), self.density)
            raise ValueError(
                f"density={self.density} cannot be met: {objection}; the nearest possible density is {nearest:g}"
            )
        return self._spread(layers, kept, self.density)

    def _spread(self, layers: Sequence[LayerSpec], kept: np.ndarray, density: float) -> list[float]:
        """Share a budget among the layers in proportion to their scores, none above 1."""
        sizes = np.array([layer.size for layer in layers])
        scores = np.array([self.score(layer.shape) for layer in layers])
        free = ~kept if density < 1 else np.zeros_like(kept)
        scale = 0.0
        while free.any():
            budget = density - sizes[~free].sum() / sizes.sum()
            # In this order a uniform score gives back exactly the density that was asked for.
            scale = budget * (sizes.sum() / (scores * sizes)[free].sum())
            highest = scores[free].max()
            if scale * highest <= 1:
                break
            free &= scores < highest
        return np.where(free, scale * scores, 1.0).tolist()

    def _objection(self, layers: Sequence[LayerSpec], kept: np.ndarray, density: float) -> str:
        """Say why a budget cannot be met; empty if it can."""
        places = sum(layer.size for layer in layers)
        dense = sum(layer.size for layer, is_kept in zip(layers, kept, strict=True) if is_kept)
        if dense > density * places:
            names = ", ".join(map(repr, self.keep_dense))
            return f"the layers kept dense, {names}, are {dense / places:.4g} of all places"
        if density * places < len(layers):
            return f"it is fewer than one link for each of {len(layers)} layers with {places} places"
        for layer, share in zip(layers, self._spread(layers, kept, density), strict=True):
            if round(share * layer.size) < 1:
                return f"layer {layer.name!r} of shape {layer.shape} would be left without a link"
        return ""


@dataclass(frozen=True)
class Uniform(GlobalDensity):
    """Every layer gets the same density.

    Example:
        >>> actor = [LayerSpec("0", (256, 17), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> Uniform(0.1)(actor)
        [0.1, 0.1]
    """

    def score(self, shape: tuple[int, ...]) -> float:
        return 1.0


@dataclass(frozen=True)
class ER(GlobalDensity):
    """Erdős-Rényi: a layer's density is proportional to ``(out + in) / (out * in)``, so small layers stay denser.

    Source:
        Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
        network science" (2018); scaled to a global budget by Evci et al. (2020), section 3.
    """

    def score(self, shape: tuple[int, ...]) -> float:
        return _per_channel_score(shape)


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

    def score(self, shape: tuple[int, ...]) -> float:
        return sum(shape) / math.prod(shape)


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
            object.__setattr__(self, "epsilon", _pairs(self.epsilon))
        object.__setattr__(self, "keep_dense", _keys(self.keep_dense))
        for key, epsilon in self._factors().items():
            if not 0 < epsilon < math.inf:
                raise ValueError(f"epsilon={epsilon} for {key!r} is not a positive, finite number")

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        factors = self._factors()
        _require_known("epsilon", factors, layers)
        _require_known("keep_dense", self.keep_dense, layers)
        return [1.0 if _matches(layer, self.keep_dense) else self._density(layer, factors) for layer in layers]

    def _factors(self) -> dict[str, float]:
        return dict.fromkeys(ROLES, self.epsilon) if isinstance(self.epsilon, Real) else dict(self.epsilon)

    @staticmethod
    def _density(layer: LayerSpec, factors: Mapping[str, float]) -> float:
        epsilon = _look_up(layer, factors)
        if epsilon is None:
            raise ValueError(
                f"epsilon has no entry for {layer.role!r} layer {layer.name!r}; add one, or name it in keep_dense"
            )
        score = _per_channel_score(layer.shape)
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
        _require_density("density", self.density)
        object.__setattr__(self, "keep_dense", _keys(self.keep_dense))

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        _require_known("keep_dense", self.keep_dense, layers)
        sparse = [layer.role == "input" and not _matches(layer, self.keep_dense) for layer in layers]
        if not any(sparse):
            raise ValueError(f"density={self.density} has no input layer to apply to beside keep_dense={self.keep_dense}")
        return _checked(layers, [self.density if is_sparse else 1.0 for is_sparse in sparse])


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
        object.__setattr__(self, "densities", _pairs(self.densities))
        _require_density("default", self.default)
        for key, density in self.densities:
            _require_density(f"densities[{key!r}]", density)

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        densities = dict(self.densities)
        _require_known("densities", densities, layers)
        return _checked(layers, [_look_up(layer, densities, self.default) for layer in layers])


@dataclass(frozen=True)
class WithInput(Density):
    """Input layers get a density of their own, and the other layers follow another rule among themselves.

    Attributes:
        density: Density of each input layer, in (0, 1].
        rest: The rule of the other layers.

    Raises:
        ValueError: If ``density`` is outside (0, 1]; when called, as the two rules do.

    Example:
        >>> layers = [LayerSpec("0", (256, 1700), "input"), LayerSpec("2", (256, 256), "hidden")]
        >>> WithInput(0.01, Uniform(0.5))(layers)
        [0.01, 0.5]
    """

    density: float
    rest: Density

    def __post_init__(self) -> None:
        _require_density("density", self.density)

    def __call__(self, layers: Sequence[LayerSpec]) -> list[float]:
        others = [layer for layer in layers if layer.role != "input"]
        shares = iter(self.rest(others) if others else [])
        return _checked(layers, [self.density if layer.role == "input" else next(shares) for layer in layers])


DISTRIBUTIONS: dict[str, type[Density]] = {"uniform": Uniform, "er": ER, "erk": ERK, "input": InputOnly}
"""The rules that one density describes, by the name that configurations use."""


def distribution(name: str, density: float, keep_dense: Iterable[str] = ()) -> Density:
    """Build the rule of this name.

    Args:
        name: A key of ``DISTRIBUTIONS``.
        density: Density in (0, 1]: of the whole network, or of the input layers for ``"input"``.
        keep_dense: Roles or names of the layers that stay dense.

    Raises:
        ValueError: If the name is unknown or the density is outside (0, 1].

    Example:
        >>> distribution("erk", 0.1, keep_dense=["output"])
        ERK(density=0.1, keep_dense=('output',))
    """
    if name not in DISTRIBUTIONS:
        known, closest = ", ".join(map(repr, DISTRIBUTIONS)), _closest(name, DISTRIBUTIONS)
        raise ValueError(f"distribution={name!r} is not one of {known}; the closest is {closest!r}")
    return DISTRIBUTIONS[name](density, keep_dense)


def _per_channel_score(shape: Sequence[int]) -> float:
    """Return the Erdős-Rényi score ``(out + in) / (out * in)``, whatever the kernel."""
    n_out, n_in = shape[:2]
    return (n_out + n_in) / (n_out * n_in)


def _keys(keys: str | Iterable[str]) -> tuple[str, ...]:
    """Bring one key or several into an order of their own, so that equal rules compare equal."""
    return (keys,) if isinstance(keys, str) else tuple(sorted(set(keys)))


def _pairs(table: Mapping[str, float] | Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Bring a mapping into a hashable form that does not depend on its order."""
    return tuple(sorted(dict(table).items()))


def _matches(layer: LayerSpec, keys: Iterable[str]) -> bool:
    return layer.name in keys or layer.role in keys


def _look_up(layer: LayerSpec, table: Mapping[str, float], default: float | None = None) -> float | None:
    return table.get(layer.name, table.get(layer.role, default))


def _checked(layers: Sequence[LayerSpec], densities: list[float]) -> list[float]:
    """Pass the densities through if every layer keeps a link."""
    for layer, density in zip(layers, densities, strict=True):
        n_links(layer.shape, density)
    return densities


def _require_density(argument: str, density: float) -> None:
    if not 0 < density <= 1:
        raise ValueError(f"{argument}={density} is outside (0, 1]; a dense layer is 1, and no layer can be empty")


def _require_known(argument: str, keys: Iterable[str], layers: Sequence[LayerSpec]) -> None:
    if not layers:
        raise ValueError("layers is empty; a density rule needs at least one layer")
    valid = [*ROLES, *(layer.name for layer in layers)]
    for key in keys:
        if key not in valid:
            closest = _closest(key, valid)
            raise ValueError(f"{argument} names {key!r}, no role and no layer here; the closest is {closest!r}")


def _closest(name: str, valid: Iterable[str]) -> str:
    return difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0)[0]


def _smallest_density(possible: Callable[[float], bool], low: float) -> float:
    """Return the smallest possible density in (low, 1], rounded up to four digits: possible as printed."""
    high = 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if possible(middle) else (middle, high)
    digits = 3 - math.floor(math.log10(high))
    nearest = min(1.0, math.ceil(high * 10**digits) / 10**digits)
    # Half a link rounds either way, so what is printed may lie just on the wrong side.
    return nearest if possible(nearest) else nearest + 10**-digits

"""How many links each layer gets: all density rules, and those that one density describes, by name.

A rule is a small frozen dataclass: call it with the layers of a network and it answers with one density per layer.
Rules compare, hash, pickle and print, so they can stand in ``policy_kwargs``. Density is the fraction of places that
hold a link (sparsity is one minus density).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..names import known
from .composed_density import ConstantFanIn, MatchedToNoise, WithInput
from .density_rule import ROLES, Density, LayerSpec, n_links
from .global_density import ER, ERK, ERKPlus, GlobalDensity, Intermediate, Uniform, UniformPlus
from .layer_density import ErdosRenyiEpsilon, Explicit, InputOnly

__all__ = [
    "DISTRIBUTIONS",
    "ER",
    "ERK",
    "ROLES",
    "ConstantFanIn",
    "Density",
    "ERKPlus",
    "ErdosRenyiEpsilon",
    "Explicit",
    "GlobalDensity",
    "InputOnly",
    "Intermediate",
    "LayerSpec",
    "MatchedToNoise",
    "Uniform",
    "UniformPlus",
    "WithInput",
    "distribution",
    "n_links",
]


def erk_fan_in(density: float, keep_dense: Iterable[str] = ()) -> ConstantFanIn:
    """ERK's densities with a constant fan-in, as SRigL starts."""
    return ConstantFanIn(ERK(density, keep_dense))


DISTRIBUTIONS: dict[str, Callable[..., Density]] = {
    "uniform": Uniform,
    "uniform+": UniformPlus,
    "intermediate": Intermediate,
    "er": ER,
    "erk": ERK,
    "erk+": ERKPlus,
    "constant-fan-in": erk_fan_in,
    "input": InputOnly,
}
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
    return DISTRIBUTIONS[known(name, DISTRIBUTIONS, "distribution")](density, keep_dense)

"""``sparsify``: turn the linear layers of any torch module into sparse ones."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ..names import known
from .density import Density, LayerSpec
from .density import distribution as make_distribution
from .linear import SparseLinear


def sparsify(
    net: nn.Module,
    density: float | Density = 0.1,
    distribution: str = "erk",
    *,
    optimizer: torch.optim.Optimizer | None = None,
    targets: Sequence[nn.Module] = (),
    layers: Collection[str] | None = None,
    inputs: Collection[str] | None = None,
    outputs: Collection[str] | None = None,
    scale_to_fan_in: bool = True,
    seed: int | None = None,
    name: str = "",
) -> nn.Module:
    """Replace the ``nn.Linear`` layers of a network by :class:`SparseLinear` ones, in place, before it is trained.

    A layer that is allotted density 1 for good stays ``nn.Linear``, and so does every subclass of it. Nothing is drawn from
    torch's global generator: the weights are those that the dense layers have, and each layer's random links come from
    ``seed`` and its name.

    Args:
        net: Any module.
        density: Global density over all linear layers, in (0, 1]; or a rule of :mod:`siftrl.sparse.density`.
        distribution: How a global density is shared out: a name in :data:`siftrl.sparse.density.DISTRIBUTIONS`.
        optimizer: The optimiser that already holds the network's parameters: it is given the new ones in their place.
        targets: Copies of the network (target networks) that get the same links and the same weights.
        layers: Names of the linear layers to convert, in the order of the data's way through them. None: all.
        inputs: Names of the layers that read the network's input. None: the first linear layer.
        outputs: Names of the layers that give its output. None: the last linear layer.
        scale_to_fan_in: See :meth:`SparseLinear.from_linear`.
        seed: Of the random links. None: ``torch.initial_seed()``.
        name: Goes before the layers' names in their seeds, so that networks of the same make differ.

    Returns:
        The same module.

    Raises:
        ValueError: If the network has no linear layer, two share a weight, a name is unknown, or the density cannot be had.

    Example:
        >>> net = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 2))
        >>> sparsify(net, density=0.1)[0]
        SparseLinear(in_features=100, out_features=64, density=0.08203, n_links=525, bias=True)
    """
    linears = dense_layers(net, layers)
    specs = layer_specs(linears, inputs, outputs)
    rule = density if isinstance(density, Density) else make_distribution(distribution, density)
    seed = torch.initial_seed() if seed is None else seed
    for spec, layer_density, stays_dense in zip(specs, rule(specs), rule.stays_dense(specs), strict=True):
        if stays_dense:
            continue
        dense = linears[spec.name]
        rng = np.random.default_rng(layer_seed(seed, f"{name}.{spec.name}"))
        topology = rule.draw(spec, layer_density, rng)
        for owner in (net, *targets):
            linear = owner.get_submodule(spec.name)
            layer = SparseLinear.from_linear(dense, topology, scale_to_fan_in=scale_to_fan_in)
            for parameter_name, parameter in linear.named_parameters():
                layer.get_parameter(parameter_name).requires_grad_(parameter.requires_grad)
            _replace(owner, linear, layer)
            if optimizer is not None:
                _swap_parameters(optimizer, linear, layer)
    return net


def dense_layers(net: nn.Module, layers: Collection[str] | None = None) -> dict[str, nn.Linear]:
    """The ``nn.Linear`` layers of a network, those that ``sparsify`` can convert, by qualified name.

    Args:
        net: Any module but a bare ``nn.Linear``.
        layers: Names of those to take, in their order. None: all.

    Raises:
        ValueError: If there is none, two share a weight, or a name is unknown.
    """
    # A subclass has a use of its own for its weight: the one in torch's attention is read and never called.
    linears = {path: module for path, module in net.named_modules() if type(module) is nn.Linear}
    if "" in linears:
        raise ValueError("net is itself an nn.Linear, which cannot be replaced in place: wrap it in nn.Sequential")
    if layers is not None and linears:
        linears = {path: linears[known(path, linears, "layers")] for path in layers}
    if not linears:
        raise ValueError(f"net has no nn.Linear layer to make sparse, got {type(net).__name__}")
    if len({id(linear.weight) for linear in linears.values()}) < len(linears):
        raise ValueError("layers of net share a weight, which sparse layers cannot: name the layers to convert")
    return linears


def layer_specs(
    linears: Mapping[str, nn.Linear | SparseLinear],
    inputs: Collection[str] | None = None,
    outputs: Collection[str] | None = None,
) -> list[LayerSpec]:
    """Names, shapes and roles of a network's linear layers, for a density rule.

    Args:
        linears: Layers by qualified name, in the order of the data's way through them.
        inputs: Names of those that read the network's input. None: the first.
        outputs: Names of those that give its output. None: the last.

    Raises:
        ValueError: If a name is unknown.
    """
    names = list(linears)
    inputs = names[:1] if inputs is None else [known(name, names, "inputs") for name in inputs]
    outputs = names[-1:] if outputs is None else [known(name, names, "outputs") for name in outputs]
    roles = dict.fromkeys(names, "hidden") | dict.fromkeys(outputs, "output") | dict.fromkeys(inputs, "input")
    shapes = {name: (linear.out_features, linear.in_features) for name, linear in linears.items()}
    return [LayerSpec(name, shapes[name], roles[name]) for name in names]


def layer_seed(seed: int, name: str) -> list[int]:
    """A seed for numpy's generators from a run's seed and a layer's qualified name."""
    return [seed % 2**64, zlib.crc32(name.encode())]


def sparse_layers(net: nn.Module) -> dict[str, SparseLinear]:
    """The sparse layers of a network, by qualified name."""
    return {path: module for path, module in net.named_modules() if isinstance(module, SparseLinear)}


def _replace(net: nn.Module, old: nn.Module, new: nn.Module) -> None:
    # Everywhere: a network may use one layer under several names.
    for parent in list(net.modules()):
        for name, child in parent._modules.items():
            if child is old:
                setattr(parent, name, new)


def _swap_parameters(optimizer: torch.optim.Optimizer, old: nn.Module, new: nn.Module) -> None:
    replacement = {id(parameter): getattr(new, name) for name, parameter in old.named_parameters()}
    for group in optimizer.param_groups:
        group["params"] = [replacement.get(id(parameter), parameter) for parameter in group["params"]]
    for parameter in old.parameters():
        optimizer.state.pop(parameter, None)

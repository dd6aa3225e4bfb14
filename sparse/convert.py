"""``sparsify``: turn the linear and convolutional layers of any torch module into sparse ones."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ..names import known
from .convolution import SparseConv
from .density import Density, LayerSpec
from .density import distribution as make_distribution
from .layer import SparseLayer
from .linear import SparseLinear

SPARSE: dict[type[nn.Module], type[SparseLayer]] = {
    nn.Linear: SparseLinear,
    nn.Conv1d: SparseConv,
    nn.Conv2d: SparseConv,
    nn.Conv3d: SparseConv,
}
"""The sparse layer that takes the place of each kind of dense one."""


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
    """Replace the linear and convolutional layers of a network by sparse ones, in place, before it is trained.

    Those are ``nn.Linear`` and ``nn.Conv1d`` to ``nn.Conv3d``. A layer that is allotted density 1 for good stays as it is,
    and so does every subclass of them. Nothing is drawn from torch's global generator: the weights are those that the dense
    layers have, and each layer's random links come from ``seed`` and its name. A ``nn.TransformerEncoderLayer`` whose linear
    layers are converted takes torch's fast path no more, which reads dense weights.

    Args:
        net: Any module.
        density: Global density over all these layers, in (0, 1]; or a rule of :mod:`siftrl.sparse.density`.
        distribution: How a global density is shared out: a name in :data:`siftrl.sparse.density.DISTRIBUTIONS`.
        optimizer: The optimiser that already holds the network's parameters: it is given the new ones in their place.
        targets: Copies of the network (target networks) that get the same links and the same weights.
        layers: Names of the layers to convert, in the order of the data's way through them. None: all.
        inputs: Names of the layers that read the network's input. None: the first layer.
        outputs: Names of the layers that give its output. None: the last layer.
        scale_to_fan_in: See :meth:`SparseLayer.from_dense`.
        seed: Of the random links. None: ``torch.initial_seed()``.
        name: Goes before the layers' names in their seeds, so that networks of the same make differ.

    Returns:
        The same module.

    Raises:
        ValueError: If the network has no such layer, one to be converted shares its weight or bias with another module, a
            name is unknown, or the density cannot be had.

    Example:
        >>> net = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 2))
        >>> sparsify(net, density=0.1)[0]
        SparseLinear(in_features=100, out_features=64, density=0.08203, n_links=525, bias=True)
    """
    found = dense_layers(net, layers)
    specs = layer_specs(found, inputs, outputs)
    rule = density if isinstance(density, Density) else make_distribution(distribution, density)
    seed = torch.initial_seed() if seed is None else seed
    allotted = zip(specs, rule(specs), rule.stays_dense(specs), strict=True)
    converted = [(spec, layer_density) for spec, layer_density, stays_dense in allotted if not stays_dense]
    _require_unshared(net, {spec.name: found[spec.name] for spec, _ in converted})
    for spec, layer_density in converted:
        dense = found[spec.name]
        rng = np.random.default_rng(layer_seed(seed, f"{name}.{spec.name}"))
        topology = rule.draw(spec, layer_density, rng)
        for owner in (net, *targets):
            old = owner.get_submodule(spec.name)
            layer = SPARSE[type(dense)].from_dense(dense, topology, scale_to_fan_in=scale_to_fan_in)
            for parameter_name, parameter in old.named_parameters():
                layer.get_parameter(parameter_name).requires_grad_(parameter.requires_grad)
            _replace(owner, old, layer)
            if optimizer is not None:
                _swap_parameters(optimizer, old, layer)
    for owner in (net, *targets):
        _leave_fast_path(owner)
    return net


def dense_layers(net: nn.Module, layers: Collection[str] | None = None) -> dict[str, nn.Module]:
    """The dense layers of a network that ``sparsify`` can convert, by qualified name.

    Args:
        net: Any module but a bare layer.
        layers: Names of those to take, in their order. None: all.

    Raises:
        ValueError: If there is none, two share a weight, or a name is unknown.
    """
    # A subclass has a use of its own for its weight: the one in torch's attention is read and never called.
    found = {path: module for path, module in net.named_modules() if type(module) in SPARSE}
    if "" in found:
        raise ValueError(
            f"net is itself an nn.{type(net).__name__}, which cannot be replaced in place: wrap it in nn.Sequential"
        )
    if layers is not None and found:
        found = {path: found[known(path, found, "layers")] for path in layers}
    if not found:
        raise ValueError(f"net has no nn.Linear and no convolution to make sparse, got {type(net).__name__}")
    if len({id(layer.weight) for layer in found.values()}) < len(found):
        raise ValueError("layers of net share a weight, which sparse layers cannot: name the others in layers")
    return found


def layer_specs(
    layers: Mapping[str, nn.Module], inputs: Collection[str] | None = None, outputs: Collection[str] | None = None
) -> list[LayerSpec]:
    """Names, shapes and roles of a network's layers, dense and sparse ones, for a density rule.

    Args:
        layers: By qualified name, in the order of the data's way through them.
        inputs: Names of those that read the network's input. None: the first.
        outputs: Names of those that give its output. None: the last.

    Raises:
        ValueError: If a name is unknown.
    """
    names = list(layers)
    inputs = names[:1] if inputs is None else [known(name, names, "inputs") for name in inputs]
    outputs = names[-1:] if outputs is None else [known(name, names, "outputs") for name in outputs]
    roles = dict.fromkeys(names, "hidden") | dict.fromkeys(outputs, "output") | dict.fromkeys(inputs, "input")
    return [LayerSpec(name, _dense_shape(layers[name]), roles[name]) for name in names]


def _dense_shape(layer: nn.Module) -> tuple[int, ...]:
    return layer.dense_shape if isinstance(layer, SparseLayer) else tuple(layer.weight.shape)


def layer_seed(seed: int, name: str) -> list[int]:
    """A seed for numpy's generators from a run's seed and a layer's qualified name."""
    return [seed % 2**64, zlib.crc32(name.encode())]


def sparse_layers(net: nn.Module) -> dict[str, SparseLayer]:
    """The sparse layers of a network, by qualified name."""
    return {path: module for path, module in net.named_modules() if isinstance(module, SparseLayer)}


def budget_layers(net: nn.Module, layers: Collection[str] | None = None) -> dict[str, nn.Module]:
    """The layers among which ``sparsify`` shares out links, or did: dense and sparse ones, by qualified name.

    Args:
        net: Any module.
        layers: Names of those to take, in their order. None: all.

    Raises:
        ValueError: If a name is unknown.
    """
    found = {
        path: module for path, module in net.named_modules() if type(module) in SPARSE or isinstance(module, SparseLayer)
    }
    return found if layers is None else {path: found[known(path, found, "layers")] for path in layers}


def _require_unshared(net: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    """Raise ``ValueError`` where a parameter of these layers is another module's too, which would keep the old one."""
    n_owners = Counter(id(parameter) for module in net.modules() for parameter in set(module._parameters.values()))
    for path, layer in layers.items():
        for name, parameter in layer.named_parameters():
            if n_owners[id(parameter)] > 1:
                raise ValueError(
                    f"layer {path!r} of net shares its {name} with another module, which a sparse layer cannot: "
                    "name the others in layers"
                )


def _leave_fast_path(net: nn.Module) -> None:
    """Have torch's transformer layers call their sparse layers, where its fast path would read weights of dense ones."""
    for module in net.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and sparse_layers(module):
            module.activation_relu_or_gelu = 0  # what torch sets for an activation that the fast path does not know
        if isinstance(module, nn.TransformerEncoder) and sparse_layers(module):
            module.use_nested_tensor = False


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

"""What a network's links look like: how many there are, where they go, what they cost, and where there have been any.

Dense layers are taken as sparse ones that have all links. Convolutions are left out.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from .linear import SparseLinear
from .topology import Topology

Layer = nn.Linear | SparseLinear


def linear_layers(net: nn.Module) -> dict[str, Layer]:
    """The linear layers of a network, dense ones included, by qualified name in the order of registration."""
    return {path: module for path, module in net.named_modules() if isinstance(module, Layer)}


def n_links(layer: Layer) -> int:
    """Weights that exist."""
    return layer.weight.numel()


def n_places(layer: Layer) -> int:
    """Weights that could exist: ``out_features * in_features``."""
    return layer.out_features * layer.in_features


def density(layer: Layer) -> float:
    """Links over places."""
    return n_links(layer) / n_places(layer)


def fan_in(layer: Layer) -> np.ndarray:
    """int64 ``(out_features,)``: links into each neuron, its in-degree."""
    if isinstance(layer, SparseLinear):
        return layer.topology.fan_in()
    return np.full(layer.out_features, layer.in_features)


def fan_out(layer: Layer) -> np.ndarray:
    """int64 ``(in_features,)``: links out of each input feature, its out-degree."""
    if isinstance(layer, SparseLinear):
        return layer.topology.fan_out()
    return np.full(layer.in_features, layer.out_features)


def dead_neurons(layer: Layer, *readers: Layer) -> np.ndarray:
    """Which neurons of a hidden layer can carry nothing from input to output.

    Args:
        layer: The layer whose neurons are asked about.
        *readers: The layers that read its output.

    Returns:
        bool ``(out_features,)``: true where no link comes in, or no reader has a link from it. A neuron that is dead only
        because all of its neighbours are does not count.

    Raises:
        ValueError: If there is no reader, or one reads another number of features than the layer has neurons.

    Example:
        >>> topology = Topology.from_mask(np.array([[True, False], [False, False], [True, True]]))
        >>> reader = SparseLinear(3, 1, topology=Topology.from_mask(np.array([[True, True, False]])))
        >>> dead_neurons(SparseLinear(2, 3, topology=topology), reader)
        array([False,  True,  True])
    """
    widths = [reader.in_features for reader in readers]
    if not widths or set(widths) != {layer.out_features}:
        raise ValueError(f"readers must be layers of {layer.out_features} input features, got {widths}")
    return (fan_in(layer) == 0) | (sum(map(fan_out, readers)) == 0)


def inference_flops(net: nn.Module, *, as_dense: bool = False) -> int:
    """Floating-point operations of the linear layers for one row of input: one product and one sum for each link.

    Biases and activations are left out, as the papers do.

    Args:
        net: A network that uses each of its linear layers once.
        as_dense: Count all places, as if the layers were dense.

    Example:
        >>> net = nn.Sequential(SparseLinear(1700, 256, density=0.05), nn.ReLU(), nn.Linear(256, 6))
        >>> inference_flops(net), inference_flops(net, as_dense=True)
        (46592, 873472)
    """
    return 2 * sum(map(n_places if as_dense else n_links, linear_layers(net).values()))


def training_flops(net: nn.Module, *, as_dense: bool = False, dense_gradient_share: float = 0.0) -> float:
    """Floating-point operations of one update of a network, for each row of the batch.

    Three times inference: forward, gradient of the inputs, gradient of the weights. What else an update runs, such as
    target networks, is not in it; nor is the optimiser, whose work is not by row.

    Args:
        net: A network that uses each of its linear layers once.
        as_dense: Count all places, as if the layers were dense.
        dense_gradient_share: Of the updates, those that compute the gradient of all places of the sparse layers as well, in
            [0, 1]: for growth by gradient, the updates it reads over those from one rewiring to the next.

    Raises:
        ValueError: If the share is outside [0, 1].

    Source:
        Evci et al., Rigging the Lottery (ICML 2020), its appendix on FLOPs. Deviation: there the dense gradient replaces
        that of the links, and here it is computed beside it.

    Example:
        >>> net = nn.Sequential(SparseLinear(1700, 256, density=0.05))
        >>> training_flops(net), training_flops(net, dense_gradient_share=1 / 100)
        (130560.0, 139264.0)
    """
    if not 0 <= dense_gradient_share <= 1:
        raise ValueError(f"dense_gradient_share={dense_gradient_share} is outside [0, 1]")
    flops = 3.0 * inference_flops(net, as_dense=as_dense)
    if as_dense:
        return flops
    sparse = [layer for layer in linear_layers(net).values() if isinstance(layer, SparseLinear)]
    return flops + 2.0 * dense_gradient_share * sum(map(n_places, sparse))


def overlap(first: Topology, second: Topology) -> float:
    """Links that two topologies share, over those that either has (intersection over union); 1 if neither has any.

    Raises:
        ValueError: If their shapes differ.

    Example:
        >>> overlap(Topology((1, 4), np.array([0, 1, 2])), Topology((1, 4), np.array([2, 3])))
        0.25
    """
    if first.shape != second.shape:
        raise ValueError(f"second must have the shape of first, {first.shape}, got {second.shape}")
    shared = np.intersect1d(first.positions, second.positions, assume_unique=True).size
    either = first.n_links + second.n_links - shared
    return shared / either if either else 1.0


class Coverage:
    """The places where a layer has had a link so far; one bit each.

    Args:
        topology: The links to begin with.

    Attributes:
        n_covered: Places that have had a link.
        size: Places of the layer.
        bits: uint8 ``(size / 8, rounded up)``: a bit for each place; with ``n_covered`` all there is to save.

    Source:
        Liu et al., Do We Actually Need Dense Over-Parameterization? In-Time Over-Parameterization in Sparse Training (ICML
        2021): the exploration rate R_s is ``n_covered / size``.

    Example:
        >>> coverage = Coverage(Topology((2, 4), np.array([0, 1])))
        >>> coverage.add(Topology((2, 4), np.array([1, 7])))
        >>> coverage.n_covered, coverage.size
        (3, 8)
    """

    def __init__(self, topology: Topology) -> None:
        self.shape, self.size = topology.shape, topology.size
        self.n_covered = 0
        self.bits = np.zeros(-(-self.size // 8), np.uint8)
        self.add(topology)

    def add(self, topology: Topology) -> None:
        """Count the links of another topology of the layer in.

        Raises:
            ValueError: If its shape is another.
        """
        if topology.shape != self.shape:
            raise ValueError(f"topology must have the layer's shape, {self.shape}, got {topology.shape}")
        byte, bit = topology.positions >> 3, np.uint8(1) << (topology.positions & 7).astype(np.uint8)
        is_new = (self.bits[byte] & bit) == 0
        np.bitwise_or.at(self.bits, byte[is_new], bit[is_new])
        self.n_covered += int(is_new.sum())

"""``SparseLayer``: what all layers have in common that hold their links and nothing else."""

from __future__ import annotations

import math
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from .density import n_links as count_links
from .links import Links
from .topology import Topology


class SparseLayer(nn.Module):
    """Base of the layers whose weight holds only the links of a sparse one.

    The optimiser's moments, Polyak averages, weight decay and checkpoints then are sparse by themselves, and a weight
    outside the topology cannot exist.

    Weights start uniform in ``±1/sqrt(fan-in)``, with the real number of links into the neuron instead of all places, so
    that a sparse neuron's output has the scale of a dense one's.

    Args:
        dense_shape: Shape of the weight that the dense layer has, ``(out, in, ...)``.
        density: Links over places, in (0, 1]. Links are ``round(density * places)``.
        topology: The links; instead of ``density``.
        bias: Whether to add a bias.
        seed: Fixes the random links. None: derived from the weights just drawn, so that ``torch.manual_seed`` fixes both.
        device: Of the parameters.
        dtype: Of the parameters.

    Attributes:
        dense_shape: See above.
        shape: That of the topology: ``(out, places per neuron)``.
        weight: Parameter ``(n_links,)``, in the order of :class:`Topology`'s positions.
        bias: Parameter ``(out,)`` or None.
        collect_gradient: While true, each backward also computes the gradient of all places, the empty ones too.
        dense_gradient: That gradient, ``(size,)`` in the order of positions, or None. It lives as ``weight.grad`` does: a
            backward that finds ``weight.grad`` None starts it anew, later ones add to it.

    Raises:
        ValueError: If the density is out of range or leaves the layer without a link, or unless exactly one of density
            and topology is given.

    Source:
        Initialisation by the real fan-in: Evci et al., Gradient Flow in Sparse Neural Networks (2022).
    """

    weight: nn.Parameter
    indptr: torch.Tensor
    neurons: torch.Tensor

    def __init__(
        self,
        dense_shape: Sequence[int],
        density: float | None,
        topology: Topology | None,
        *,
        bias: bool,
        seed: int | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        if (density is None) == (topology is None):
            raise ValueError(
                f"{type(self).__name__} takes either a density or a topology, got density={density}, topology={topology}"
            )
        self.dense_shape = tuple(dense_shape)
        self.shape = self.dense_shape[0], math.prod(self.dense_shape[1:])
        self.collect_gradient = False
        self.dense_gradient: torch.Tensor | None = None
        self._gradient_pass = -1
        self._links: Links | None = None

        n_links = topology.n_links if topology is not None else count_links(self.shape, density)
        self.weight = nn.Parameter(torch.empty(n_links, device=device, dtype=dtype).uniform_(-1.0, 1.0))
        n_out = self.shape[0]
        self.bias = nn.Parameter(torch.empty(n_out, device=device, dtype=dtype).uniform_(-1.0, 1.0)) if bias else None
        if topology is None:
            drawn = self.weight.detach().cpu().double().numpy()
            rng = np.random.default_rng(zlib.crc32(drawn) if seed is None else seed)
            topology = Topology.random(self.shape, n_links, rng)
        self.register_buffer("indptr", None)
        self.register_buffer("neurons", None)
        self.set_topology(topology)
        self._scale_to_fan_in(topology)

    def _scale_to_fan_in(self, topology: Topology) -> None:
        bound = torch.from_numpy(1.0 / np.sqrt(np.maximum(topology.fan_in(), 1))).to(self.weight)
        with torch.no_grad():
            self.weight *= bound[self.neurons.long()]
            if self.bias is not None:
                self.bias *= bound

    @classmethod
    def from_dense(cls, dense: nn.Module, topology: Topology, *, scale_to_fan_in: bool = True) -> Self:
        """Keep the links of a dense layer that are in a topology.

        Args:
            dense: The dense layer; not changed. Nothing is drawn: the weights are those it has.
            topology: Which links to keep.
            scale_to_fan_in: Multiply each neuron's weights by ``sqrt(places / fan-in)``, which gives a freshly initialised
                dense layer the scale of a freshly initialised sparse one.

        Returns:
            The sparse layer, on the dense one's device and in its dtype.
        """
        # On the meta device nothing is drawn and nothing is allocated.
        layer = cls._like(dense, topology=topology, device="meta")
        with torch.no_grad():
            positions = torch.from_numpy(topology.positions).to(dense.weight.device)
            weight = in_order_of_positions(dense.weight)[positions]
            if scale_to_fan_in:
                scale = np.sqrt(layer.shape[1] / np.maximum(topology.fan_in(), 1))
                weight = weight * torch.from_numpy(scale[topology.neurons]).to(weight)
        layer.weight = nn.Parameter(weight, requires_grad=dense.weight.requires_grad)
        if dense.bias is not None:
            layer.bias = nn.Parameter(dense.bias.detach().clone(), requires_grad=dense.bias.requires_grad)
        layer.set_topology(topology)
        return layer.train(dense.training)

    @classmethod
    @abstractmethod
    def _like(cls, dense: nn.Module, **kwargs: Any) -> Self:
        """A new layer with the sizes and settings of a dense one."""

    @property
    def n_links(self) -> int:
        """Links in the layer."""
        return self.weight.numel()

    @property
    def size(self) -> int:
        """Places in the layer: the links of the dense one."""
        return self.shape[0] * self.shape[1]

    @property
    def density(self) -> float:
        """Links over places."""
        return self.n_links / self.size

    @property
    def topology(self) -> Topology:
        """The layer's links; a copy that later rewirings leave alone."""
        return Topology.from_csc(self.shape, self.indptr.cpu().numpy(), self.neurons.cpu().numpy())

    def set_topology(self, topology: Topology) -> None:
        """Replace the links; the caller owns what becomes of the weights.

        Args:
            topology: As many links as the layer has weights.

        Raises:
            ValueError: If the shape or the number of links differs.
        """
        if topology.shape != self.shape or topology.n_links != self.n_links:
            raise ValueError(
                f"a topology of shape {topology.shape} with {topology.n_links} links does not fit a layer of shape "
                f"{self.shape} with {self.n_links} links"
            )
        # New tensors, never a write into the old ones: a graph that is still alive keeps the links it was built with.
        self.indptr = torch.from_numpy(topology.indptr.astype(np.int64)).to(self.weight.device)
        self.neurons = torch.from_numpy(topology.neurons.astype(np.int32)).to(self.weight.device)
        self._links = None

    @property
    def links(self) -> Links:
        """The links as the kernels want them."""
        if self._links is None:
            self._links = Links(self.topology, self.weight.device)
        return self._links

    def mask(self) -> torch.Tensor:
        """bool, of the dense weight's shape: true where there is a link."""
        return torch.from_numpy(self.topology.mask()).to(self.weight.device).view(self.dense_shape)

    def to_dense(self) -> torch.Tensor:
        """The weights in their places in a dense weight, 0 elsewhere; differentiable."""
        flat = _Scatter.apply(self.weight, self.links.positions, self.size)
        return flat.view(self.shape[::-1]).t().view(self.dense_shape)

    def _dense_factor(self) -> torch.Tensor:
        """The dense weight for a product, whose gradient is collected where that is asked for."""
        weight = self.to_dense()
        if self.collect_gradient and weight.requires_grad:
            weight.register_hook(lambda grad: self.add_dense_gradient(in_order_of_positions(grad)))
        return weight

    def add_dense_gradient(self, gradient: torch.Tensor) -> None:
        """Keep the gradient of all places, by the same rule of life as ``weight.grad``."""
        if not self._accumulates():
            return
        # One backward may pass through the layer several times before torch adds up `weight.grad`.
        this_pass = torch._C._current_graph_task_id()
        starts_anew = self.dense_gradient is None or (self.weight.grad is None and this_pass != self._gradient_pass)
        self.dense_gradient = gradient.detach().clone() if starts_anew else self.dense_gradient + gradient
        self._gradient_pass = this_pass

    def _accumulates(self) -> bool:
        """Whether the backward pass that is running adds to ``weight.grad``; ``torch.autograd.grad`` does not."""
        with torch.enable_grad():
            accumulate_grad = self.weight.view_as(self.weight).grad_fn.next_functions[0][0]
        try:
            return torch._C._will_engine_execute_node(accumulate_grad)
        except RuntimeError:  # how torch answers for a leaf whose gradient `torch.autograd.grad` was asked for
            return False

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._links, self.dense_gradient = None, None
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_links": None, "dense_gradient": None}

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # Links are replaced, never written into. The weight takes the size of the saved one, in the same Parameter object
        # (no graph is alive while a state is loaded), so that an optimiser that holds it keeps it.
        saved = [state_dict.get(prefix + name) for name in ("weight", "indptr", "neurons")]
        if all(tensor is not None for tensor in saved):
            weight, indptr, neurons = saved
            if weight.dim() != 1 or not self._are_links(len(weight), indptr, neurons):
                raise ValueError(
                    f"the saved links of {prefix[:-1] or 'the layer'} are not those of a layer of shape {self.shape}"
                )
            if weight.shape != self.weight.shape:
                self.weight.data = self.weight.new_empty(weight.shape)
            self.indptr = torch.empty_like(indptr, device=self.weight.device)
            self.neurons = torch.empty_like(neurons, device=self.weight.device)
            self._links = None
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _are_links(self, n_links: int, indptr: torch.Tensor, neurons: torch.Tensor) -> bool:
        # The kernels index with these numbers unchecked.
        if not (
            indptr.shape == (self.shape[1] + 1,)
            and neurons.shape == (n_links,)
            and not (indptr.is_floating_point() or neurons.is_floating_point())
            and int(indptr[0]) == 0
            and int(indptr[-1]) == n_links
            and bool((indptr.diff() >= 0).all())
            and bool(((neurons >= 0) & (neurons < self.shape[0])).all())
        ):
            return False
        try:
            Topology.from_csc(self.shape, indptr.cpu().numpy(), neurons.cpu().numpy())
        except ValueError:  # not sorted, or twice the same link
            return False
        return True

    def extra_repr(self) -> str:
        """What ``repr`` says of the layer's links."""
        return f"density={self.density:.4g}, n_links={self.n_links}, bias={self.bias is not None}"


def in_order_of_positions(dense: torch.Tensor) -> torch.Tensor:
    """A dense weight, or its gradient, flat and in the order of :class:`Topology`'s positions."""
    return dense.flatten(1).t().reshape(-1)


class _Scatter(torch.autograd.Function):
    """Weights to their places in a flat dense weight.

    The weight is saved though its value is not needed: a backward through a graph that is older than a rewiring then is
    torch's error about a changed tensor, and not gradients in the order of links that are gone.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(weight: torch.Tensor, positions: torch.Tensor, size: int) -> torch.Tensor:
        return weight.new_zeros(size).index_put((positions,), weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _, positions = ctx.saved_tensors
        return grad[positions], None, None

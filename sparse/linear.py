"""``SparseLinear``: a linear layer that holds its links and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from . import kernels
from .density import n_links as count_links
from .topology import Topology

# From this density on (batches of more than one row), scattering the links into a dense weight and multiplying with BLAS
# is quicker than the kernels on the CPU (benchmarks/kernels.py).
BLAS_DENSITY = 0.25


class _Links:
    """A topology as the kernels want it: numpy views, and the positions as a tensor for the scatter path."""

    def __init__(self, topology: Topology, device: torch.device) -> None:
        self.indptr, self.neurons = topology.indptr, topology.neurons
        self.positions = torch.from_numpy(topology.positions).to(device)
        self._out_features = topology.shape[0]
        self._ranges: dict[tuple[int, int], _Range] = {}

    def range(self, first: int, last: int) -> _Range:
        """The links of the features from ``first`` to before ``last``."""
        if (first, last) not in self._ranges:
            indptr = self.indptr[first : last + 1]
            self._ranges[first, last] = _Range(indptr, kernels.neuron_order(indptr, self.neurons, self._out_features))
        return self._ranges[first, last]


class _Range(NamedTuple):
    indptr: np.ndarray
    order: kernels.NeuronOrder


class SparseLinear(nn.Module):
    """A linear layer ``y = x W^T + b`` whose weight holds only the links of a sparse ``W``.

    The optimiser's moments, Polyak averages, weight decay and checkpoints then are sparse by themselves, and a weight
    outside the topology cannot exist.

    On the CPU in float32 the product runs over the links alone; on other devices, in other dtypes and above
    :data:`BLAS_DENSITY`, the links are scattered into a dense weight first. A batch whose memory is feature-major (such as
    the output of another ``SparseLinear``, also through an activation) is used in place, any other is transposed.

    Weights start uniform in ``±1/sqrt(fan-in)``, with the real number of links into the neuron instead of
    ``in_features``, so that a sparse neuron's output has the scale of a dense one's.

    Args:
        in_features: Input features.
        out_features: Neurons.
        density: Links over places, in (0, 1]. Links are ``round(density * in_features * out_features)``.
        bias: Whether to add a bias.
        topology: The links; instead of ``density``.
        seed: Fixes the random links. None: derived from the weights just drawn, so that ``torch.manual_seed`` fixes both.
        device: Of the parameters.
        dtype: Of the parameters.

    Attributes:
        weight: Parameter ``(n_links,)``, in the order of :class:`Topology`'s positions.
        bias: Parameter ``(out_features,)`` or None.
        collect_gradient: While true, each backward also computes the gradient of all places, the empty ones too.
        dense_gradient: That gradient, ``(in_features * out_features,)`` in the order of positions, or None. It lives as
            ``weight.grad`` does: a backward that finds ``weight.grad`` None starts it anew, later ones add to it.

    Raises:
        ValueError: If the density is out of range or leaves the layer without a link, or unless exactly one of density
            and topology is given.

    Source:
        Initialisation by the real fan-in: Evci et al., Gradient Flow in Sparse Neural Networks (2022).

    Example:
        >>> layer = SparseLinear(1700, 256, density=0.05)
        >>> layer.n_links, layer(torch.ones(3, 1700)).shape
        (21760, torch.Size([3, 256]))
    """

    weight: nn.Parameter
    indptr: torch.Tensor
    neurons: torch.Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        density: float | None = None,
        bias: bool = True,
        *,
        topology: Topology | None = None,
        seed: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if (density is None) == (topology is None):
            raise ValueError(
                f"SparseLinear takes either a density or a topology, got density={density}, topology={topology}"
            )
        self.in_features, self.out_features = in_features, out_features
        self.collect_gradient = False
        self.dense_gradient: torch.Tensor | None = None
        self._gradient_pass = -1
        self._links: _Links | None = None

        shape = (out_features, in_features)
        n_links = topology.n_links if topology is not None else count_links(shape, density)
        self.weight = nn.Parameter(torch.empty(n_links, device=device, dtype=dtype).uniform_(-1.0, 1.0))
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype).uniform_(-1.0, 1.0)) if bias else None
        if topology is None:
            drawn = self.weight.detach().cpu().double().numpy()
            rng = np.random.default_rng(zlib.crc32(drawn) if seed is None else seed)
            topology = Topology.random(shape, n_links, rng)
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
    def from_linear(cls, linear: nn.Linear, topology: Topology, *, scale_to_fan_in: bool = True) -> SparseLinear:
        """Keep the links of a dense layer that are in a topology.

        Args:
            linear: The dense layer; not changed. Nothing is drawn: the weights are those it has.
            topology: Which links to keep; shape ``(out_features, in_features)``.
            scale_to_fan_in: Multiply each neuron's weights by ``sqrt(in_features / fan-in)``, which gives a freshly
                initialised dense layer the scale of a freshly initialised sparse one.

        Returns:
            The sparse layer, on the dense one's device and in its dtype.
        """
        bias = linear.bias is not None
        # On the meta device nothing is drawn and nothing is allocated.
        layer = cls(linear.in_features, linear.out_features, bias=bias, topology=topology, device="meta")
        with torch.no_grad():
            positions = torch.from_numpy(topology.positions).to(linear.weight.device)
            weight = linear.weight.t().reshape(-1)[positions]
            if scale_to_fan_in:
                scale = np.sqrt(linear.in_features / np.maximum(topology.fan_in(), 1))
                weight = weight * torch.from_numpy(scale[topology.neurons]).to(weight)
        layer.weight = nn.Parameter(weight, requires_grad=linear.weight.requires_grad)
        layer.bias = nn.Parameter(linear.bias.detach().clone(), requires_grad=linear.bias.requires_grad) if bias else None
        layer.set_topology(topology)
        return layer.train(linear.training)

    @property
    def n_links(self) -> int:
        """Links in the layer."""
        return self.weight.numel()

    @property
    def density(self) -> float:
        """Links over places."""
        return self.n_links / (self.in_features * self.out_features)

    @property
    def topology(self) -> Topology:
        """The layer's links; a copy that later rewirings leave alone."""
        return Topology.from_csc(
            (self.out_features, self.in_features), self.indptr.cpu().numpy(), self.neurons.cpu().numpy()
        )

    def set_topology(self, topology: Topology) -> None:
        """Replace the links; the caller owns what becomes of the weights.

        Args:
            topology: As many links as the layer has weights.

        Raises:
            ValueError: If the shape or the number of links differs.
        """
        if topology.shape != (self.out_features, self.in_features) or topology.n_links != self.n_links:
            raise ValueError(
                f"a topology of shape {topology.shape} with {topology.n_links} links does not fit a layer of shape "
                f"{(self.out_features, self.in_features)} with {self.n_links} links"
            )
        # New tensors, never a write into the old ones: a graph that is still alive keeps the links it was built with.
        self.indptr = torch.from_numpy(topology.indptr.astype(np.int64)).to(self.weight.device)
        self.neurons = torch.from_numpy(topology.neurons.astype(np.int32)).to(self.weight.device)
        self._links = None

    def mask(self) -> torch.Tensor:
        """bool ``(out_features, in_features)``: true where there is a link."""
        return torch.from_numpy(self.topology.mask()).to(self.weight.device)

    def to_dense(self) -> torch.Tensor:
        """``(out_features, in_features)``: the weights in their places, 0 elsewhere; differentiable."""
        size = self.in_features * self.out_features
        return _Scatter.apply(self.weight, self._kernel_links().positions, size).view(self.in_features, -1).t()

    def forward(self, x: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        """``(*, in_features)`` to ``(*, out_features)``, feature-major in memory.

        Several inputs are taken as one: ``layer(a, b)`` is ``layer(torch.cat([a, b], dim=-1))`` without the copy.

        Raises:
            ValueError: If the inputs do not have ``in_features`` features together.
        """
        parts = (x, *more)
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        if sum(part.shape[-1] if part.dim() else 0 for part in parts) != self.in_features:
            raise ValueError(f"x must have {self.in_features} features in its last dimension, got shape {shapes}")
        if any(part.shape[:-1] != x.shape[:-1] for part in parts):
            raise ValueError(f"x must come in parts of one batch, got shapes {shapes}")
        rows = [part.reshape(-1, part.shape[-1]) for part in parts]
        if self._kernels_are_best(rows):
            out = _LinkProduct.apply(self, self.weight, self.bias, *rows)
        else:
            weight = self.to_dense()
            if self.collect_gradient and weight.requires_grad:
                weight.register_hook(lambda grad: self._add_gradient(grad.t().reshape(-1)))
            out = dense_product(weight, self.bias, *rows)
        return out.view(*x.shape[:-1], self.out_features)

    def _kernels_are_best(self, rows: Sequence[torch.Tensor]) -> bool:
        return (
            all(part.device.type == "cpu" and part.dtype == self.weight.dtype == torch.float32 for part in rows)
            and (self.density <= BLAS_DENSITY or rows[0].shape[0] == 1)
            and not torch.is_autocast_enabled("cpu")
        )

    def _kernel_links(self) -> _Links:
        if self._links is None:
            self._links = _Links(self.topology, self.weight.device)
        return self._links

    def _add_gradient(self, gradient: torch.Tensor) -> None:
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

    def _apply(self, fn: Any, recurse: bool = True) -> SparseLinear:
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
                    f"the saved links of {prefix[:-1] or 'the layer'} are not those of a layer of shape "
                    f"{(self.out_features, self.in_features)}"
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
            indptr.shape == (self.in_features + 1,)
            and neurons.shape == (n_links,)
            and not (indptr.is_floating_point() or neurons.is_floating_point())
            and int(indptr[0]) == 0
            and int(indptr[-1]) == n_links
            and bool((indptr.diff() >= 0).all())
            and bool(((neurons >= 0) & (neurons < self.out_features)).all())
        ):
            return False
        try:
            Topology.from_csc((self.out_features, self.in_features), indptr.cpu().numpy(), neurons.cpu().numpy())
        except ValueError:  # not sorted, or twice the same link
            return False
        return True

    def extra_repr(self) -> str:
        """What ``repr`` says of the layer."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"density={self.density:.4g}, n_links={self.n_links}, bias={self.bias is not None}"
        )


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


class _LinkProduct(torch.autograd.Function):
    """``x W^T + b`` over the links alone, by the CPU kernels; float32. ``x`` may come in several parts."""

    @staticmethod
    def forward(
        ctx: Any, layer: SparseLinear, weight: torch.Tensor, bias: torch.Tensor | None, *parts: torch.Tensor
    ) -> torch.Tensor:
        links = layer._kernel_links()
        parts_t = [part.detach().t().contiguous() for part in parts]
        # Feature-major, and not as the transpose of another tensor: torch forbids in-place activations on such a view.
        out = parts[0].new_empty_strided((parts[0].shape[0], layer.out_features), (1, parts[0].shape[0]))
        out_t = out.t()
        out_t.copy_(torch.zeros(1, 1) if bias is None else bias.detach()[:, None])
        for part_t, (first, last) in zip(parts_t, _ranges(parts_t), strict=True):
            indptr, order = links.range(first, last)
            kernels.add_product(part_t.numpy(), indptr, links.neurons, order, weight.detach().numpy(), out_t.numpy())
        ctx.save_for_backward(weight, *parts_t)
        ctx.layer, ctx.links = layer, links
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, *parts_t = ctx.saved_tensors
        layer, links = ctx.layer, ctx.links
        _, needs_weight, needs_bias, *needs_parts = ctx.needs_input_grad
        grad_t = grad_out.t().contiguous()
        grad_weight = torch.empty_like(weight) if needs_weight else None
        grad_parts = [
            torch.empty_like(part_t) if needed else None for part_t, needed in zip(parts_t, needs_parts, strict=True)
        ]
        for part_t, grad_part, (first, last) in zip(parts_t, grad_parts, _ranges(parts_t), strict=True):
            at = links.range(first, last).indptr, links.neurons
            if grad_weight is not None:
                kernels.weight_gradient(part_t.numpy(), *at, grad_t.numpy(), grad_weight.numpy())
            if grad_part is not None:
                kernels.input_gradient(*at, weight.detach().numpy(), grad_t.numpy(), grad_part.numpy())
        if needs_weight and layer.collect_gradient:
            layer._add_gradient(torch.cat([part_t @ grad_t.t() for part_t in parts_t]).view(-1))
        grad_bias = grad_t.sum(1) if needs_bias else None
        return None, grad_weight, grad_bias, *(None if grad is None else grad.t() for grad in grad_parts)


def dense_product(weight: torch.Tensor, bias: torch.Tensor | None, *parts: torch.Tensor) -> torch.Tensor:
    """``nn.functional.linear`` of several inputs taken as one, without concatenating them.

    Args:
        weight: ``(out_features, in_features)``.
        bias: ``(out_features,)`` or None.
        *parts: ``(batch, features)`` each, ``in_features`` together.
    """
    (first, last), *ranges = _ranges([part.t() for part in parts])
    out = nn.functional.linear(parts[0], weight[:, first:last], bias)
    for part, (first, last) in zip(parts[1:], ranges, strict=True):
        out = torch.addmm(out, part, weight[:, first:last].t())
    return out


def _ranges(parts_t: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    """Each part's range of the features of all."""
    ends = np.cumsum([len(part_t) for part_t in parts_t]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))

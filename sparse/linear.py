"""``SparseLinear``: a linear layer that holds its links and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
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


class Links:
    """A layer's topology as the kernels want it: numpy arrays, also for a range of the input features alone."""

    def __init__(self, topology: Topology, device: torch.device) -> None:
        self.indptr, self.neurons = topology.indptr, topology.neurons
        self.positions = torch.from_numpy(topology.positions).to(device)
        self._out_features, in_features = topology.shape
        self._ranges: dict[tuple[int, int], _Range] = {}
        self._all = 0, in_features

    def product(
        self, weight: torch.Tensor, bias: torch.Tensor | None, out_t: torch.Tensor, features: tuple[int, int] | None = None
    ) -> kernels.Product:
        """What a product with these features, or all, needs.

        Without a bias, one with the first features starts at 0, and one with later features is added to ``out_t``.
        """
        if bias is None:
            bias = _ADD if features is not None and features[0] > 0 else torch.zeros(self._out_features)
        order = self._range(features).order
        return kernels.Product(*order, weight.detach().numpy(), bias.detach().numpy(), out_t.numpy())

    def weight_gradient(
        self, grad_t: torch.Tensor, grad_weight: torch.Tensor, features: tuple[int, int] | None = None
    ) -> kernels.WeightGradient:
        """What the gradient of these features' links needs."""
        return kernels.WeightGradient(self._range(features).indptr, self.neurons, grad_t.numpy(), grad_weight.numpy())

    def input_gradient(
        self, weight: torch.Tensor, grad_t: torch.Tensor, features: tuple[int, int] | None = None
    ) -> torch.Tensor:
        """The gradient of these features, ``(features, batch)``."""
        indptr = self._range(features).indptr
        grad_x = grad_t.new_empty(len(indptr) - 1, grad_t.shape[1])
        kernels.input_gradient(indptr, self.neurons, weight.detach().numpy(), grad_t.numpy(), grad_x.numpy())
        return grad_x

    def add_row(self, x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
        """Add the product with a single row."""
        kernels.add_row_product(x.detach().numpy(), self.indptr, self.neurons, weight.detach().numpy(), out.numpy())

    def _range(self, features: tuple[int, int] | None) -> _Range:
        first, last = self._all if features is None else features
        if (first, last) not in self._ranges:
            indptr = self.indptr[first : last + 1]
            self._ranges[first, last] = _Range(indptr, kernels.neuron_order(indptr, self.neurons, self._out_features))
        return self._ranges[first, last]


class _Range(NamedTuple):
    indptr: np.ndarray
    order: kernels.NeuronOrder


_ADD = torch.empty(0)


class SparseLinear(nn.Module):
    """A linear layer ``y = x W^T + b`` whose weight holds only the links of a sparse ``W``.

    The optimiser's moments, Polyak averages, weight decay and checkpoints then are sparse by themselves, and a weight
    outside the topology cannot exist.

    On the CPU in float32 the product runs over the links alone; on other devices, in other dtypes and above
    :data:`BLAS_DENSITY`, the links are scattered into a dense weight first. Outputs and gradients lie in memory as those of
    ``nn.Linear`` do: autograd's element by element operations take twenty times as long where two layouts meet.

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
        self._links: Links | None = None

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
        return _Scatter.apply(self.weight, self.links.positions, size).view(self.in_features, -1).t()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(*, in_features)`` to ``(*, out_features)``.

        Raises:
            ValueError: If the last dimension is not ``in_features``.
        """
        if x.dim() == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"x must have {self.in_features} features in its last dimension, got shape {tuple(x.shape)}")
        rows = x.reshape(-1, self.in_features)
        on_cpu_in_float32 = rows.device.type == "cpu" and rows.dtype == self.weight.dtype == torch.float32
        if on_cpu_in_float32 and self.multiplies_links(len(rows)) and not torch.is_autocast_enabled("cpu"):
            out = _LinkProduct.apply(rows, self.weight, self.bias, self)
        else:
            weight = self.to_dense()
            if self.collect_gradient and weight.requires_grad:
                weight.register_hook(lambda grad: self.add_dense_gradient(grad.t().reshape(-1)))
            out = nn.functional.linear(rows, weight, self.bias)
        return out.view(*x.shape[:-1], self.out_features)

    def multiplies_links(self, batch: int) -> bool:
        """Whether the product with a batch on the CPU in float32 runs over the links, and not through BLAS."""
        return self.density <= BLAS_DENSITY or batch == 1

    @property
    def links(self) -> Links:
        """The links as the kernels want them."""
        if self._links is None:
            self._links = Links(self.topology, self.weight.device)
        return self._links

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
    """``x W^T + b`` over the links alone, by the CPU kernels; float32."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, layer: SparseLinear
    ) -> torch.Tensor:
        links = layer.links
        if len(x) == 1:
            x_t = x.detach().t()
            out = x.new_zeros(1, layer.out_features)
            if bias is not None:
                out += bias
            links.add_row(x[0], weight, out[0])
        else:
            x_t = transposed(x.detach())
            out_t = x.new_empty(layer.out_features, len(x))
            kernels.product(x_t.numpy(), [links.product(weight, bias, out_t)])
            out = transposed(out_t)
        ctx.save_for_backward(weight, x_t)
        ctx.layer, ctx.links = layer, links
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, x_t = ctx.saved_tensors
        layer, links = ctx.layer, ctx.links
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        grad_t = transposed(grad_out)
        grad_weight = None
        if needs_weight:
            grad_weight = torch.empty_like(weight)
            kernels.weight_gradient(x_t.contiguous().numpy(), [links.weight_gradient(grad_t, grad_weight)])
            if layer.collect_gradient:
                layer.add_dense_gradient((x_t @ grad_t.t()).view(-1))
        grad_x = transposed(links.input_gradient(weight, grad_t)) if needs_x else None
        return grad_x, grad_weight, grad_t.sum(1) if needs_bias else None, None


def transposed(x: torch.Tensor) -> torch.Tensor:
    """The transpose, contiguous: ``x.t()`` itself where that is so already, else a copy. float32, on the CPU."""
    if x.t().is_contiguous():
        return x.t()
    return torch.from_numpy(kernels.transposed(x.contiguous().numpy()))

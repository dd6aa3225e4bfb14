"""Attach a recipe to a network and its optimiser: links are dropped and grown as training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .convert import layer_seed, sparse_layers
from .linear import SparseLinear
from .recipes import Recipe, resolve


@dataclass(frozen=True)
class Rewiring:
    """What one rewiring did to one layer.

    Attributes:
        dropped: Links dropped.
        grown: Links grown.
        overlap: Links that stood before and after, over links that stood before or after (intersection over union).
    """

    dropped: int
    grown: int
    overlap: float


class Evolution(nn.Module):
    """Rewires the sparse layers of one network, right after its optimiser's steps.

    It hooks into ``optimizer.step``: a network is rewired only there, when no graph that uses it needs to go backward any
    more. Survivors keep their weight and their optimiser state (moments); grown links start at zero in both, in the target
    networks too, which always have the topology of the network they follow.

    Each rewiring draws from a generator that is made anew from the seed, the layer's name and the number of the rewiring.
    The three integers in the module's extra state are therefore all there is to save, and a checkpoint that holds them
    (as a submodule of an SB3 policy does) goes on exactly as an uninterrupted run.

    A deep copy or an unpickled one attaches itself to its own copy of the optimiser.

    Args:
        layers: Sparse layers by qualified name.
        optimizer: Holds their weights.
        recipe: What to drop, what to grow and when.
        targets: For each target network, its layers by the same names.
        seed: Of the draws. None: ``torch.initial_seed()``.
        name: Goes before the layers' names in the draws' seeds.

    Attributes:
        n_updates: Optimiser steps seen.
        n_rewirings: Rewirings done.
        last: The last rewiring of each layer, by name.

    Raises:
        ValueError: If the recipe never rewires, the optimiser lacks one of the weights, or a target has other links.
    """

    def __init__(
        self,
        layers: Mapping[str, SparseLinear],
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        *,
        targets: Sequence[Mapping[str, SparseLinear]] = (),
        seed: int | None = None,
        name: str = "",
    ) -> None:
        super().__init__()
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for path, layer in layers.items():
            if id(layer.weight) not in held:
                raise ValueError(f"optimizer does not hold the weight of layer {path!r}: pass the one that trains it")
            for target in targets:
                if path not in target or not np.array_equal(target[path].topology.positions, layer.topology.positions):
                    raise ValueError(f"targets must have the same links as the network, layer {path!r} differs")
        if not recipe.rewires:
            raise ValueError("recipe has no schedule: a static network needs no evolution")
        self.recipe, self.optimizer, self.name = recipe, optimizer, name
        # In plain containers: these modules belong to the network, not to us.
        self.layers, self.targets = dict(layers), [dict(target) for target in targets]
        self.seed = torch.initial_seed() if seed is None else seed
        self.n_updates, self.n_rewirings = 0, 0
        self.last: dict[str, Rewiring] = {}
        self._attach()

    def _attach(self) -> None:
        self.optimizer.register_step_post_hook(self._after_step)
        self._expect_gradients()

    def _after_step(self, *_: Any) -> None:
        self.n_updates += 1
        if self.recipe.schedule.due(self.n_updates):
            self.rewire(self.recipe.schedule.fraction_at(self.n_updates))
        self._expect_gradients()

    def _expect_gradients(self) -> None:
        """Have the layers compute the gradient of empty places in the next step, if it ends in growing by gradient."""
        wanted = self.recipe.grow.needs_gradient and self.recipe.schedule.due(self.n_updates + 1)
        for layer in self.layers.values():
            layer.collect_gradient = wanted
            if not wanted:
                layer.dense_gradient = None

    @torch.no_grad()
    def rewire(self, fraction: float) -> None:
        """Drop a fraction of each layer's links and grow as many.

        Args:
            fraction: Of each layer's links, in [0, 1]. ``min(round(fraction * n_links), empty places)`` are replaced.

        Raises:
            ValueError: If the recipe grows by gradient and no backward has collected one.
        """
        for path, layer in self.layers.items():
            self._rewire_layer(path, layer, fraction)
        self.n_rewirings += 1

    def _rewire_layer(self, path: str, layer: SparseLinear, fraction: float) -> None:
        drop, grow = self.recipe.drop, self.recipe.grow
        topology = layer.topology
        n_empty = topology.size - topology.n_links
        n_rewired = min(round(fraction * topology.n_links), n_empty)
        rng = np.random.default_rng([*layer_seed(self.seed, f"{self.name}.{path}"), self.n_rewirings])
        dropped = drop(layer.weight.detach().cpu().float().numpy(), n_rewired, rng)
        occupied = np.delete(topology.positions, dropped) if grow.allow_regrowth else topology.positions
        gradient = self._dense_gradient(path, layer) if grow.needs_gradient else None
        grown = grow(occupied, topology.size, n_rewired, rng, gradient)

        new_topology, source = topology.rewire(dropped, grown)
        carry = _Carry(source, layer.weight.device)
        for tensor in (layer.weight, *self._moments(layer.weight)):
            tensor.copy_(carry(tensor))
        layer.weight.grad = None
        layer.set_topology(new_topology)
        for target in self.targets:
            target[path].weight.copy_(carry(target[path].weight))
            target[path].set_topology(new_topology)

        kept = np.isin(new_topology.positions, topology.positions, assume_unique=True).sum()
        self.last[path] = Rewiring(n_rewired, n_rewired, float(kept / (2 * topology.n_links - kept)))

    def _dense_gradient(self, path: str, layer: SparseLinear) -> np.ndarray:
        if layer.dense_gradient is None:
            raise ValueError(
                f"recipe grows by gradient, but no backward has passed through layer {path!r} since it was asked for"
            )
        return layer.dense_gradient.cpu().float().numpy()

    def _moments(self, weight: nn.Parameter) -> list[torch.Tensor]:
        state = self.optimizer.state.get(weight, {})
        return [value for value in state.values() if torch.is_tensor(value) and value.shape == weight.shape]

    def get_extra_state(self) -> torch.Tensor:
        """int64 ``(3,)``: seed, optimiser steps seen, rewirings done."""
        return torch.from_numpy(np.array([self.seed % 2**64, self.n_updates, self.n_rewirings], np.uint64).view(np.int64))

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Take up where the network that was saved stood."""
        values = state.cpu().numpy().view(np.uint64)
        self.seed, self.n_updates, self.n_rewirings = (int(value) for value in values)
        self._expect_gradients()

    def extra_repr(self) -> str:
        """What ``repr`` says of the evolution."""
        drop, grow, schedule = (
            getattr(self.recipe.drop, "__name__", self.recipe.drop),
            self.recipe.grow,
            self.recipe.schedule,
        )
        return f"drop={drop}, grow={grow}, schedule={schedule}, n_updates={self.n_updates}, n_rewirings={self.n_rewirings}"

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._attach()  # an optimiser's hooks do not survive copying


class _Carry:
    """Takes values from the old order of links to the new one; grown links get 0."""

    def __init__(self, source: np.ndarray, device: torch.device) -> None:
        self.grown = torch.from_numpy(source < 0).to(device)
        self.source = torch.from_numpy(np.maximum(source, 0)).to(device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return values[self.source].masked_fill_(self.grown, 0.0)


def evolve(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: str | Recipe = "set",
    *,
    targets: Sequence[nn.Module] = (),
    seed: int | None = None,
    **schedule: Any,
) -> Evolution:
    """Rewire a network's sparse layers while its optimiser trains it.

    Args:
        net: A network with :class:`SparseLinear` layers (see :func:`~siftrl.sparse.convert.sparsify`).
        optimizer: Any torch optimiser that trains it.
        recipe: A name ("set", "rigl", …) or a :class:`Recipe`. Its density is not used: the layers have theirs.
        targets: Target networks that follow the topology.
        seed: Of the draws. None: ``torch.initial_seed()``.
        **schedule: Override the recipe's own schedule: ``period_updates=100``, ``fraction=0.3``, ``decay="cosine"`` …

    Returns:
        The evolution, attached. Add it to a module to have its counters in that module's ``state_dict``.

    Raises:
        ValueError: If the network has no sparse layer, the name is unknown, or the recipe never rewires.

    Example:
        >>> from siftrl import sparse
        >>> net = sparse.sparsify(nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1)), density=0.2)
        >>> optimizer = torch.optim.Adam(net.parameters())
        >>> evolution = sparse.evolve(net, optimizer, recipe="set", period_updates=10, fraction=0.3)
        >>> for _ in range(20):
        ...     optimizer.zero_grad()
        ...     net(torch.randn(8, 20)).square().mean().backward()
        ...     optimizer.step()
        >>> evolution.n_rewirings
        2
    """
    layers = sparse_layers(net)
    if not layers:
        raise ValueError(f"net has no sparse layer to rewire, got {type(net).__name__}: call sparsify on it first")
    return Evolution(
        layers,
        optimizer,
        resolve(recipe, **schedule),
        targets=[sparse_layers(target) for target in targets],
        seed=seed,
    )

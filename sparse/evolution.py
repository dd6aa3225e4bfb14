"""Attach a recipe to a network and its optimiser: links are dropped and grown as training goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .convert import budget_layers, layer_seed, layer_specs, sparse_layers
from .density import LayerSpec, n_links
from .diagnostics import overlap
from .history import LayerHistory
from .layer import SparseLayer
from .layer_state import LayerState
from .linear import SparseLinear
from .recipes import Recipe, resolve
from .relink import Carry, relink
from .strength import feature_strength


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

    Where the density falls, layers shrink: a smaller Parameter takes the place of the weight in the module, in the
    optimiser's parameter group and in its state, in the target networks too. Hold on to no layer's weight across steps.

    Each rewiring draws from a generator that is made anew from the seed, the layer's name and the number of the rewiring.
    Three integers, and for the rules that need one a memory of each layer, are therefore all there is to save, and a
    checkpoint that holds them (as a submodule of an SB3 policy does) goes on exactly as an uninterrupted run.

    A deep copy or an unpickled one attaches itself to its own copy of the optimiser.

    Args:
        layers: Sparse layers by qualified name.
        optimizer: Holds their weights.
        recipe: What to drop, what to grow and when.
        targets: For each target network, its layers by the same names.
        specs: All layers that share the links, for a density that falls: its rule at the end is asked about them.
        networks: How the names of layers begin that make up a network of their own, such as twin critics: links are shared
            out by one threshold within each (see :class:`~siftrl.sparse.drop.GlobalMagnitude`). "" is all layers together.
        evidence: For a layer by name, the layers of other networks whose input starts with the same features, for rules
            that grow where those read.
        seed: Of the draws. None: ``torch.initial_seed()``.
        name: Goes before the layers' names in the draws' seeds.

    Attributes:
        n_updates: Optimiser steps seen.
        n_rewirings: Rewirings done.
        last: The last rewiring of each layer, by name.

    Raises:
        ValueError: If the recipe never rewires, the optimiser lacks one of the weights, a target has other links, or the
            recipe needs what is not there: an end, a gradient, evidence.
    """

    def __init__(
        self,
        layers: Mapping[str, SparseLayer],
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        *,
        targets: Sequence[Mapping[str, SparseLayer]] = (),
        specs: Sequence[LayerSpec] = (),
        networks: Sequence[str] = ("",),
        evidence: Mapping[str, Sequence[nn.Linear | SparseLinear]] | None = None,
        seed: int | None = None,
        name: str = "",
    ) -> None:
        super().__init__()
        _require_fit(layers, optimizer, recipe, targets, evidence)
        self.recipe, self.optimizer, self.name = recipe, optimizer, name
        # In plain containers: these modules belong to the networks, not to us.
        self.layers, self.targets = dict(layers), [dict(target) for target in targets]
        self.evidence = dict(evidence or {})
        self.members = [[path for path in layers if path.startswith(network)] for network in networks]
        self.history = nn.ModuleDict({_key(path): LayerHistory(layer, recipe) for path, layer in layers.items()})
        self.n_end = _links_at_the_end(recipe, layers, specs) if recipe.falls else {}
        for paths in self.members if recipe.falls else ():
            _require_room(recipe, [(layers[path], self.n_end[path]) for path in paths])
        self.seed = torch.initial_seed() if seed is None else seed
        self.n_updates, self.n_rewirings = 0, 0
        self.last: dict[str, Rewiring] = {}
        self._attach()

    def _attach(self) -> None:
        self.optimizer.register_step_post_hook(self._after_step)
        self._expect_gradients()

    def _after_step(self, *_: Any) -> None:
        self.n_updates += 1
        self._take_gradients()
        if self.recipe.schedule.due(self.n_updates):
            self.rewire(self.recipe.schedule.fraction_at(self.n_updates))
        self._expect_gradients()

    def _expect_gradients(self) -> None:
        """Have the layers compute the gradient of empty places in the next step, if the grow rule reads it."""
        due = self.recipe.schedule.next_due(self.n_updates + 1)
        wanted = due is not None and due - self.n_updates <= self.recipe.grow.window_updates
        for layer in self.layers.values():
            layer.collect_gradient = wanted

    def _take_gradients(self) -> None:
        for path, layer in self.layers.items():
            if layer.collect_gradient and layer.dense_gradient is not None:
                self.history[_key(path)].add_gradient(layer.dense_gradient)
            layer.dense_gradient = None

    @torch.no_grad()
    def rewire(self, fraction: float) -> None:
        """Drop a fraction of each layer's links and grow as many; drop more where the density falls.

        Args:
            fraction: Of each layer's links, in [0, 1]. ``min(round(fraction * n_links), empty places)`` are replaced, of the
                links that are left once the density has fallen.

        Raises:
            ValueError: If the recipe reads a gradient and no backward has collected one.
        """
        states = {path: self._state(path, layer) for path, layer in self.layers.items()}
        lost = self._lost(states)
        for path, state in states.items():
            self._rewire_layer(path, state, fraction, lost[path])
        self.n_rewirings += 1

    def _state(self, path: str, layer: SparseLayer) -> LayerState:
        state = self.history[_key(path)].state_of(layer, _evidence(layer, self.evidence.get(path, ())))
        if (self.recipe.drop.reads_gradient and state.gradient is None) or len(state.moments) < len(self.recipe.grow.decays):
            raise ValueError(
                f"recipe reads gradients, but no backward has passed through layer {path!r} since the last step"
            )
        return state

    def _lost(self, states: Mapping[str, LayerState]) -> dict[str, int]:
        """How many links each layer loses for good."""
        if not self.recipe.falls:
            return dict.fromkeys(states, 0)
        progress = self.recipe.schedule.progress(self.n_updates)
        lost: dict[str, int] = {}
        for network, paths in enumerate(self.members):
            n_links = [
                self.recipe.density.n_links(int(self.history[_key(path)].n_start), self.n_end[path], progress)
                for path in paths
            ]
            shares = self.recipe.drop.shares([states[path] for path in paths], n_links, self._generator(f"#{network}"))
            lost.update(zip(paths, shares, strict=True))
        return lost

    def _generator(self, path: str) -> np.random.Generator:
        return np.random.default_rng([*layer_seed(self.seed, f"{self.name}.{path}"), self.n_rewirings])

    def _rewire_layer(self, path: str, state: LayerState, fraction: float, n_lost: int) -> None:
        layer, old = self.layers[path], state.topology
        n_replaced = min(round(fraction * (old.n_links - n_lost)), old.size - old.n_links)
        rng = self._generator(path)
        dropped = self.recipe.drop(state, n_lost + n_replaced, rng)
        grown = self.recipe.grow(state, dropped, len(dropped) - n_lost, rng)

        topology, source = old.rewire(dropped, grown)
        carry = Carry(source, layer.weight.device)
        relink(layer, topology, carry, self.optimizer, [target[path] for target in self.targets])
        self.history[_key(path)].remember_links(layer)
        self.last[path] = Rewiring(len(dropped), len(grown), overlap(old, topology))

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
        drop, grow, schedule = self.recipe.drop, self.recipe.grow, self.recipe.schedule
        return f"drop={drop}, grow={grow}, schedule={schedule}, n_updates={self.n_updates}, n_rewirings={self.n_rewirings}"

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._attach()  # an optimiser's hooks do not survive copying


def _evidence(layer: SparseLayer, others: Sequence[nn.Linear | SparseLinear]) -> np.ndarray | None:
    """How strongly other layers read the input features of this one; those that they do not have count as average."""
    if not others:
        return None
    evidence = np.zeros(layer.in_features)
    for other in others:
        strength = feature_strength(other)[: layer.in_features]
        evidence += np.pad(strength, (0, layer.in_features - strength.size), constant_values=strength.mean())
    return evidence


def _links_at_the_end(recipe: Recipe, layers: Mapping[str, SparseLayer], specs: Sequence[LayerSpec]) -> dict[str, int]:
    recipe.schedule.progress(0)  # raises where the schedule has no end
    densities = {spec.name: density for spec, density in zip(specs, recipe.density.end(specs), strict=True)}
    return {path: n_links(layer.shape, densities[path]) for path, layer in layers.items()}


def _require_room(recipe: Recipe, layers: Sequence[tuple[SparseLayer, int]]) -> None:
    """Raise where the density is to fall below what the drop rule leaves to each layer."""
    fewest = sum(min(layer.n_links, recipe.drop.fewest(layer.size)) for layer, _ in layers)
    n_end = sum(min(layer.n_links, n) for layer, n in layers)
    if n_end < fewest:
        raise ValueError(f"density falls to {n_end} links, below the {fewest} that {recipe.drop} leaves to the layers")


def _require_fit(
    layers: Mapping[str, SparseLayer],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    targets: Sequence[Mapping[str, SparseLayer]],
    evidence: Mapping[str, Any] | None,
) -> None:
    if not recipe.rewires:
        raise ValueError("recipe has no schedule: a static network needs no evolution")
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for path, layer in layers.items():
        if id(layer.weight) not in held:
            raise ValueError(f"optimizer does not hold the weight of layer {path!r}: pass the one that trains it")
        if recipe.reads_gradient and not layer.weight.requires_grad:
            raise ValueError(f"recipe reads the gradient of layer {path!r}, whose weight does not require one")
        if evidence and path in evidence and not isinstance(layer, SparseLinear):
            raise ValueError(f"evidence for layer {path!r} must be for a linear one: a convolution reads no features")
        for target in targets:
            if path not in target or not np.array_equal(target[path].topology.positions, layer.topology.positions):
                raise ValueError(f"targets must have the same links as the network, layer {path!r} differs")
    if recipe.grow.needs_evidence and not evidence:
        raise ValueError("recipe grows where another network reads: evidence must name that network's layers")


_TAKEN = {"", *dir(nn.ModuleDict())}
"""What a ``ModuleDict`` takes for no key."""


def _key(path: str) -> str:
    """The layer's key in a ``ModuleDict``, which may have no dot."""
    key = path.replace(".", "/")
    return f"/{key}" if key in _TAKEN else key


def evolve(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: str | Recipe = "set",
    *,
    targets: Sequence[nn.Module] = (),
    evidence: Mapping[str, Sequence[nn.Linear | SparseLinear]] | None = None,
    layers: Collection[str] | None = None,
    inputs: Collection[str] | None = None,
    outputs: Collection[str] | None = None,
    seed: int | None = None,
    name: str = "",
    **schedule: Any,
) -> Evolution:
    """Rewire a network's sparse layers while its optimiser trains it.

    Give ``layers``, ``inputs`` and ``outputs`` as they were given to :func:`~siftrl.sparse.convert.sparsify`: a density that
    falls then ends where the rule at its end, given to that function, would have started.

    Args:
        net: A network with sparse layers (see :func:`~siftrl.sparse.convert.sparsify`).
        optimizer: Any torch optimiser that trains it.
        recipe: A name ("set", "rigl", …) or a :class:`Recipe`. Of its density only the end is used, where it falls: the
            layers have theirs already.
        targets: Target networks that follow the topology.
        evidence: See :class:`Evolution`.
        layers: Names of the layers that share the links, in the order of the data's way through them, dense ones among them
            too; the sparse ones are rewired. None: all linear and convolutional layers.
        inputs: Names of the layers that read the network's input. None: the first layer.
        outputs: Names of the layers that give its output. None: the last layer.
        seed: Of the draws. None: ``torch.initial_seed()``.
        name: Goes before the layers' names in the draws' seeds, so that networks of the same make, such as twin critics,
            draw apart.
        **schedule: Override the recipe's own schedule: ``period_updates=100``, ``fraction=0.3``, ``decay="cosine"`` …

    Returns:
        The evolution, attached. Add it to a module to have its counters in that module's ``state_dict``.

    Raises:
        ValueError: If the network has no sparse layer, a name is unknown, or the recipe does not fit: see
            :class:`Evolution`.

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
    budget = budget_layers(net, layers)
    rewired = {path: layer for path, layer in budget.items() if isinstance(layer, SparseLayer)}
    if not rewired:
        raise ValueError(f"net has no sparse layer to rewire, got {type(net).__name__}: call sparsify on it first")
    return Evolution(
        rewired,
        optimizer,
        resolve(recipe, **schedule),
        targets=[sparse_layers(target) for target in targets],
        specs=layer_specs(budget, inputs, outputs),
        evidence=evidence,
        seed=seed,
        name=name,
    )

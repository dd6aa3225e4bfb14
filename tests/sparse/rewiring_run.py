"""Runs that rewire: a small network that learns while its layers are rewired, and what it is made of."""

import copy
import io
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from siftrl.sparse import Recipe, SparseLinear, evolve, sparse_layers, sparsify
from siftrl.sparse.density import Uniform
from siftrl.sparse.drop import Magnitude
from siftrl.sparse.grow import RandomGrowth
from siftrl.sparse.recipes import resolve
from siftrl.sparse.schedules import Falling, Schedule
from torch import nn

OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "fused": lambda parameters: torch.optim.Adam(parameters, lr=0.01, fused=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
    "amsgrad": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, momentum=0.9, centered=True),
}


def mlp(*sizes):
    return nn.Sequential(*[layer for n_in, n_out in pairwise(sizes) for layer in (nn.Linear(n_in, n_out), nn.Tanh())][:-1])


def conv_net():
    """Convolutions in one and two dimensions, with groups, stride and padding, between 72 inputs and 3 outputs."""
    return nn.Sequential(
        nn.Unflatten(1, (2, 6, 6)),
        nn.Conv2d(2, 6, 3, padding=1, groups=2),
        nn.Tanh(),
        nn.Conv2d(6, 4, 3, stride=2),
        nn.Flatten(2),
        nn.Conv1d(4, 5, 2),
        nn.Flatten(),
        nn.Linear(15, 3),
    )


MLP, CONV = (20, 16, 16, 3), "conv"
NETWORKS = pytest.mark.parametrize("sizes", [MLP, CONV], ids=["mlp", "conv"])


def dense_net(sizes):
    return conv_net() if sizes == CONV else mlp(*sizes)


class Run(nn.Module):
    """A network that learns random numbers, its target that follows slowly, and what rewires both."""

    def __init__(self, recipe="set", optimizer="adam", density=0.2, seed=0, sizes=MLP, dtype=None, **schedule):
        super().__init__()
        torch.manual_seed(seed)
        self.net = sparsify(dense_net(sizes).to(dtype or torch.float32), Uniform(density))
        self.n_in = 72 if sizes == CONV else sizes[0]
        self.target = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())
        self.evolution = None
        if recipe is not None:
            if isinstance(recipe, str):
                end = {"stop_updates": 15} if resolve(recipe).falls else {}
                schedule = {"period_updates": 3, "fraction": 0.3, **end, **schedule}
            layers = sparse_layers(self.target).items()
            evidence = {name: [layer] for name, layer in layers if isinstance(layer, SparseLinear)}
            targets = [self.target]
            self.evolution = evolve(self.net, self.optimizer, recipe, targets=targets, evidence=evidence, **schedule)
        self.n_steps = 0

    def loss(self, net=None):
        dtype = next(self.net.parameters()).dtype
        generator = torch.Generator().manual_seed(self.n_steps)
        return (net or self.net)(torch.randn(8, self.n_in, generator=generator).to(dtype)).sub(1).square().mean()

    def step(self, n=1, **zero_grad):
        for _ in range(n):
            self.optimizer.zero_grad(**zero_grad)
            self.loss().backward()
            self.optimizer.step()
            self.n_steps += 1
            with torch.no_grad():
                for online, target in zip(self.net.parameters(), self.target.parameters(), strict=True):
                    target.lerp_(online, 0.1)
        return self

    def snapshot(self):
        return {name: Snapshot.of(self, name) for name in sparse_layers(self.net)}

    def save(self):
        file = io.BytesIO()
        state = {"optimizer": self.optimizer.state_dict(), "module": self.state_dict(), "n_steps": self.n_steps}
        torch.save(state, file)
        return file.getvalue()

    def load(self, saved):
        state = torch.load(io.BytesIO(saved), weights_only=True)
        self.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.n_steps = state["n_steps"]
        return self

    def everything(self):
        """All tensors that decide how training goes on."""
        moments = [value for state in self.optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
        return [*self.state_dict().values(), *moments]


@dataclass
class Snapshot:
    """A layer's state as ``{position: value}`` tables."""

    positions: list[int]
    weight: dict[int, float]
    moments: dict[str, dict[int, float]]
    scalars: dict[str, float]
    target: dict[int, float]

    @classmethod
    def of(cls, run, name):
        layer, target = run.net.get_submodule(name), run.target.get_submodule(name)
        positions = layer.topology.positions.tolist()
        state = run.optimizer.state[layer.weight]
        moments = {key: value for key, value in state.items() if value.shape == layer.weight.shape}
        scalars = {key: value.item() for key, value in state.items() if key not in moments}

        def table(values):
            return dict(zip(positions, values.tolist(), strict=True))

        assert target.topology.positions.tolist() == positions
        moments = {key: table(value) for key, value in moments.items()}
        return cls(positions, table(layer.weight), moments, scalars, table(target.weight))


def topologies(run):
    return [layer.topology.positions.tolist() for layer in sparse_layers(run.net).values()]


def falling(end=0.1, drop=None, grow=None, begin=0.0, **schedule):
    schedule = {"period_updates": 2, "fraction": 0.0, "stop_updates": 11, **schedule}
    return Recipe(
        Falling(Uniform(1.0), Uniform(end), begin), drop or Magnitude(), grow or RandomGrowth(), Schedule(**schedule)
    )

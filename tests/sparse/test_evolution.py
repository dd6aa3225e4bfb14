"""Rewiring while an optimiser trains: what stays, what starts at zero, when it happens, and taking it up again."""

import copy
import io
import pickle
from dataclasses import dataclass
from itertools import cycle, pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from siftrl.sparse import Evolution, Recipe, SparseLinear, Topology, evolve, sparse_layers, sparsify
from siftrl.sparse.convert import budget_layers, layer_specs
from siftrl.sparse.density import ERK, Explicit, InputOnly, Uniform
from siftrl.sparse.drop import GlobalMagnitude, Magnitude, RandomDrop, SetSigned, Taylor, WholeFeatures
from siftrl.sparse.grow import EvidenceGrowth, GradientGrowth, MomentumGrowth, RandomGrowth
from siftrl.sparse.history import LayerHistory
from siftrl.sparse.layer import in_order_of_positions
from siftrl.sparse.recipes import RECIPES, resolve
from siftrl.sparse.schedules import Falling, Schedule
from torch import nn

REWIRING = [name for name in RECIPES if resolve(name).rewires]
FALLING = [name for name in REWIRING if resolve(name).falls]
CONSTANT = [name for name in REWIRING if name not in FALLING]
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


def runs(recipes):
    """Recipes with optimisers and networks: what an optimiser keeps does not depend on the recipe, but for the two ways to
    grow, at random and by a gradient, all are tried."""
    turns = [(recipe, optimizer, MLP) for recipe, optimizer in zip(recipes, cycle(OPTIMIZERS), strict=False)]
    every = [(recipe, optimizer, MLP) for recipe in ("set", "rigl") for optimizer in OPTIMIZERS]
    cases = dict.fromkeys([*turns, *every, *((recipe, "adamw", CONV) for recipe in recipes)])
    return pytest.mark.parametrize(("recipe", "optimizer", "sizes"), cases)


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


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first.everything(), second.everything(), strict=True))


def topologies(run):
    return [layer.topology.positions.tolist() for layer in sparse_layers(run.net).values()]


# What stays and what starts at zero


class TestARewiring:
    @pytest.mark.parametrize("recipe", CONSTANT)
    @given(
        st.sampled_from(list(OPTIMIZERS)),
        st.sampled_from([(14, 9, 7), CONV]),
        st.sampled_from([0.03, 0.2, 0.5, 0.95, 0.999]),
        st.sampled_from([0.0, 0.05, 0.4, 1.0]),
        st.integers(0, 3),
    )
    @settings(deadline=None, max_examples=20)
    def test_survivors_keep_everything_and_the_grown_start_at_zero(self, recipe, optimizer, sizes, density, fraction, seed):
        kwargs = {"optimizer": optimizer, "density": density, "seed": seed, "sizes": sizes}
        before = Run(None, **kwargs).step(3).snapshot()
        run = Run(recipe, fraction=fraction, **kwargs)
        # A neuron with too few empty places takes dropped links back, which then count as grown.
        layers = sparse_layers(run.net).values()
        assume(recipe != "srigl" or all(layer.topology.fan_in().max() <= layer.shape[1] // 2 for layer in layers))
        run.step(2)
        run.optimizer.zero_grad()
        run.loss().backward()
        untouched_target = copy.deepcopy(run.target.state_dict())
        run.optimizer.step()

        for name, old in before.items():
            new, layer = Snapshot.of(run, name), run.net.get_submodule(name)
            survivors, grown = set(old.positions) & set(new.positions), set(new.positions) - set(old.positions)
            n_empty = layer.size - len(old.positions)
            assert len(new.positions) == len(old.positions)
            assert len(grown) == min(round(fraction * len(old.positions)), n_empty)
            assert all(new.weight[place] == old.weight[place] for place in survivors)
            assert all(new.weight[place] == new.target[place] == 0 for place in grown)
            assert old.moments
            for key, moment in old.moments.items():
                assert all(new.moments[key][place] == moment[place] for place in survivors)
                assert all(new.moments[key][place] == 0 for place in grown)
            assert new.scalars == old.scalars
            target = dict(zip(old.positions, untouched_target[f"{name}.weight"].tolist(), strict=True))
            assert all(new.target[place] == target[place] for place in survivors)
            last = run.evolution.last[name]
            assert (last.dropped, last.grown) == (len(grown), len(grown))
            assert last.overlap == pytest.approx(len(survivors) / (len(old.positions) + len(grown)))

    @runs(CONSTANT)
    def test_training_goes_on_with_as_many_links_and_equal_targets(self, recipe, optimizer, sizes):
        run = Run(recipe, optimizer, sizes=sizes, period_updates=2, fraction=0.5)
        n_links = [layer.n_links for layer in sparse_layers(run.net).values()]
        first = topologies(run)
        for _ in range(10):
            run.step(2)
            run.snapshot()  # compares the targets' links
            assert [layer.n_links for layer in sparse_layers(run.net).values()] == n_links
        assert run.evolution.n_rewirings == 10
        assert topologies(run) != first


@runs(REWIRING)
def test_a_checkpoint_goes_on_as_if_nothing_had_been(recipe, optimizer, sizes):
    for steps_before in (1, 2, 3, 5):  # before, at and after a rewiring
        straight = Run(recipe, optimizer, density=0.3, sizes=sizes).step(steps_before)
        resumed = Run(recipe, optimizer, density=0.6, seed=7, sizes=sizes).load(straight.save())
        assert same(straight.step(9), resumed.step(9))
        assert straight.snapshot() == resumed.snapshot()


@NETWORKS
@pytest.mark.parametrize("recipe", REWIRING)
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))], ids=["deepcopy", "pickle"])
def test_a_copy_rewires_itself_and_leaves_the_original_alone(recipe, clone, sizes):
    original = Run(recipe, sizes=sizes).step(4)
    twin = clone(original)
    before = copy.deepcopy(original.everything())
    twin.step(9)
    assert twin.evolution.n_rewirings == 4
    assert all(torch.equal(one, other) for one, other in zip(before, original.everything(), strict=True))
    assert same(original.step(9), twin)


@pytest.mark.parametrize("recipe", REWIRING)
def test_the_same_seed_gives_the_same_links(recipe):
    assert topologies(Run(recipe).step(9)) == topologies(Run(recipe).step(9))


def test_a_seed_of_its_own_fixes_the_draws():
    def rewired(seed):
        run = Run(None)
        evolve(run.net, run.optimizer, "set", period_updates=1, fraction=0.5, seed=seed)
        return topologies(run.step())

    assert rewired(1) == rewired(1) != rewired(2)


@pytest.mark.parametrize("recipe", REWIRING)
def test_rewiring_draws_from_nobody_elses_stream(recipe):
    run = Run(recipe, period_updates=1)
    streams = torch.get_rng_state(), np.random.get_state()[1].copy()
    run.step(3)
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert np.array_equal(np.random.get_state()[1], streams[1])


def test_layers_of_one_shape_and_later_rewirings_draw_differently():
    run = Run("set", sizes=(16, 16, 16), period_updates=1, fraction=1.0)
    links = Topology.random((16, 16), run.net[0].n_links, np.random.default_rng(0))
    grown = []
    for _ in range(2):
        for layer in (run.net[0], run.net[2], run.target[0], run.target[2]):
            layer.set_topology(links)
        run.step()
        grown += topologies(run)
    assert len({tuple(positions) for positions in grown}) == 4


def test_layers_in_which_no_place_is_empty_stay_as_they_are():
    full = SparseLinear.from_dense(nn.Linear(5, 4), Topology.from_mask(np.ones((4, 5), bool)))
    net = nn.Sequential(full)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    weight = full.weight.clone()
    evolve(net, optimizer, "set", period_updates=1, fraction=1.0)
    optimizer.step()
    assert torch.equal(full.weight, weight)
    assert full.density == 1


def test_regrowth_where_it_is_allowed_starts_at_zero_too():
    recipe = Recipe(Uniform(0.5), Magnitude(), RandomGrowth(allow_regrowth=True), Schedule(period_updates=1, fraction=1.0))
    run = Run(recipe, density=0.5)
    before = topologies(run)
    run.optimizer.zero_grad()
    run.loss().backward()
    run.optimizer.step()
    after = topologies(run)
    assert any(set(old) & set(new) for old, new in zip(before, after, strict=True))
    for name, layer in sparse_layers(run.net).items():
        assert not layer.weight.any()
        assert not any(Snapshot.of(run, name).moments["exp_avg"].values())


@NETWORKS
@pytest.mark.parametrize("attach", ["before", "after"])
def test_a_learning_rate_scheduler_and_parameter_groups_do_not_matter(attach, sizes):
    torch.manual_seed(0)
    net = sparsify(dense_net(sizes), Uniform(0.2))
    first, *others = sparse_layers(net).values()
    groups = [{"params": first.parameters()}, *({"params": layer.parameters(), "lr": 0.1} for layer in others)]
    optimizer = torch.optim.Adam(groups, lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1) if attach == "before" else None
    evolution = evolve(net, optimizer, "set", period_updates=2, fraction=0.5)
    scheduler = scheduler or torch.optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(4):
        optimizer.zero_grad()
        net(torch.randn(4, 72 if sizes == CONV else 20)).sum().backward()
        optimizer.step()
        scheduler.step()
    assert (evolution.n_updates, evolution.n_rewirings) == (4, 2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-6, *[1e-5] * len(others)])
    for layer in (first, *others):
        assert not optimizer.state[layer.weight]["exp_avg"][layer.weight == 0].any()


# When


@given(st.integers(1, 5), st.integers(0, 8), st.one_of(st.none(), st.integers(8, 14)))
@settings(deadline=None, max_examples=25)
def test_rewirings_happen_when_due_and_take_the_fraction_of_that_step(period, start, stop):
    schedule = Schedule(period, 0.8, "linear", start_updates=start, stop_updates=stop)
    run = Run(
        Recipe(Uniform(0.2), Magnitude(), RandomGrowth(), schedule), sizes=(15, 10), period_updates=period, fraction=0.8
    )
    n_links = run.net[0].n_links
    for step in range(1, 16):
        before, n_before = topologies(run)[0], run.evolution.n_rewirings
        run.step()
        assert run.evolution.n_updates == step
        assert run.evolution.n_rewirings - n_before == schedule.due(step)
        expected = round(schedule.fraction_at(step) * n_links) if schedule.due(step) else 0
        assert len(set(before) - set(topologies(run)[0])) == expected


# A density that falls


def cubic(n_start, n_end, progress):
    return round(n_end + (n_start - n_end) * (1 - progress) ** 3)


def falling(end=0.1, drop=None, grow=None, begin=0.0, **schedule):
    schedule = {"period_updates": 2, "fraction": 0.0, "stop_updates": 11, **schedule}
    return Recipe(
        Falling(Uniform(1.0), Uniform(end), begin), drop or Magnitude(), grow or RandomGrowth(), Schedule(**schedule)
    )


@NETWORKS
@pytest.mark.parametrize("density", [0.6, 0.25])
@pytest.mark.parametrize("fraction", [0.0, 0.4])
@pytest.mark.parametrize("drop", [Magnitude(), SetSigned(), RandomDrop(), Taylor(), WholeFeatures()])
def test_every_layers_links_follow_the_cubic_to_the_link(drop, fraction, density, sizes):
    run = Run(falling(drop=drop, begin=0.2, fraction=fraction), density=density, sizes=sizes)
    starts = {name: layer.n_links for name, layer in sparse_layers(run.net).items()}
    for step in range(1, 15):
        run.step()
        for name, layer in sparse_layers(run.net).items():
            n_end = round(0.1 * layer.size)
            due = min(step // 2 * 2, 10)  # the last rewiring up to update 11
            assert layer.n_links == cubic(starts[name], n_end, max(0.0, (due / 10 - 0.2) / 0.8)), step
        run.snapshot()  # the targets' links are the same
    assert run.evolution.n_rewirings == 5


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_one_threshold_lets_all_layers_together_follow_the_cubic(fraction):
    run = Run(falling(drop=GlobalMagnitude(floor=0.05), grow=GradientGrowth(), fraction=fraction), density=0.6)
    layers = sparse_layers(run.net).values()
    with torch.no_grad():
        run.net[0].weight *= 0.01  # the layer that loses
    starts = [layer.n_links for layer in layers]
    ends = [round(0.1 * layer.size) for layer in layers]
    for step in range(2, 11, 2):
        run.step(2)
        expected = sum(cubic(start, end, step / 10) for start, end in zip(starts, ends, strict=True))
        assert sum(layer.n_links for layer in layers) == expected
        run.snapshot()
    assert run.net[0].n_links == round(0.05 * 20 * 16) < ends[0]  # the floor
    assert run.net[2].n_links > ends[1]


def test_networks_of_their_own_have_a_threshold_each():
    net = nn.ModuleDict({"one": sparsify(mlp(10, 8, 4), Uniform(0.8)), "two": sparsify(mlp(10, 8, 4), Uniform(0.8))})
    with torch.no_grad():
        for layer in sparse_layers(net["one"]).values():
            layer.weight *= 0.001
    together, apart = copy.deepcopy(net), net
    for nets, networks in ((together, ("",)), (apart, ("one.", "two."))):
        layers, optimizer = sparse_layers(nets), torch.optim.SGD(nets.parameters(), lr=0.0)
        specs = layer_specs(budget_layers(nets))
        evolution = Evolution(layers, optimizer, falling(0.4, GlobalMagnitude(floor=0)), specs=specs, networks=networks)
        evolution.n_updates = 10
        evolution.rewire(0.0)
    n_links = {
        name: [layer.n_links for layer in sparse_layers(nets["one"]).values()]
        for name, nets in (("together", together), ("apart", apart))
    }
    assert sum(n_links["apart"]) == round(0.4 * 80) + round(0.4 * 32)
    assert sum(n_links["together"]) < sum(n_links["apart"]) / 2


@NETWORKS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("density", [0.25, 0.9])
def test_shrinking_keeps_survivors_weights_and_moments_to_the_bit(optimizer, density, sizes):
    recipe = falling(0.1, fraction=0.2, stop_updates=4)
    before = Run(None, optimizer, density=density, sizes=sizes).step(2).snapshot()
    run = Run(recipe, optimizer=optimizer, density=density, sizes=sizes).step(1)
    run.optimizer.zero_grad()
    run.loss().backward()
    target = copy.deepcopy(run.target.state_dict())
    run.optimizer.step()
    for name, old in before.items():
        new = Snapshot.of(run, name)
        survivors, grown = set(old.positions) & set(new.positions), set(new.positions) - set(old.positions)
        assert len(new.positions) < len(old.positions)
        assert all(new.weight[place] == old.weight[place] for place in survivors)
        assert all(new.weight[place] == new.target[place] == 0 for place in grown)
        assert new.moments.keys() == old.moments.keys() != set()
        for key, moment in old.moments.items():
            assert all(new.moments[key][place] == (moment[place] if place in survivors else 0) for place in new.positions)
        assert new.scalars == old.scalars
        table = dict(zip(old.positions, target[f"{name}.weight"].tolist(), strict=True))
        assert all(new.target[place] == table[place] for place in survivors)
        last = run.evolution.last[name]
        assert (len(old.positions) - last.dropped, last.grown) == (len(survivors), len(grown))
        assert last.overlap == pytest.approx(len(survivors) / (len(old.positions) + len(grown)))
        assert not run.target.get_submodule(name).weight.requires_grad
    held = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
    assert [id(parameter) for parameter in held] == [id(parameter) for parameter in run.net.parameters()]
    assert set(map(id, run.optimizer.state)) == set(map(id, held))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_shrinking_keeps_parameter_groups_and_the_learning_rate_scheduler(optimizer):
    torch.manual_seed(0)
    net = sparsify(mlp(20, 16, 3), Uniform(0.6))
    optimizer = optimizer([{"params": net[2].parameters(), "lr": 0.1}, {"params": net[0].parameters()}], lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    evolve(net, optimizer, falling(stop_updates=4))
    for _ in range(4):
        optimizer.zero_grad()
        net(torch.randn(4, 20)).sum().backward()
        optimizer.step()
        scheduler.step()
    assert net[0].n_links == 32
    assert [group["lr"] for group in optimizer.param_groups] == [0.1 / 16, 0.01 / 16]
    assert [list(map(id, group["params"])) for group in optimizer.param_groups] == [
        list(map(id, net[i].parameters())) for i in (2, 0)
    ]
    before = net[0].weight.clone()
    net(torch.randn(4, 20)).sum().backward()
    optimizer.step()
    assert not torch.equal(net[0].weight, before)  # the new weight is the one that learns


@pytest.mark.parametrize("density", [0.2, 0.6])
def test_a_graph_that_is_alive_while_a_layer_shrinks_stays_whole(density):
    run = Run(falling(stop_updates=2), density=density)
    loss, weight = run.loss(), run.net[0].weight
    expected = torch.autograd.grad(run.loss(), weight)[0]
    run.evolution.n_updates = 2
    run.evolution.rewire(0.0)
    loss.backward()
    assert torch.equal(weight.grad, expected)
    assert run.net[0].weight.grad is None


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (falling(stop_updates=None), "stop_updates=None must be the step by which the density has fallen"),
        (falling(stop_updates=1), "stop_updates=1 must be .* at least one rewiring every period_updates=2"),
        (
            falling(0.1, GlobalMagnitude(floor=0.2)),
            r"density falls to 63 links, below the 125 that GlobalMagnitude\(floor=0\.2",
        ),
        (falling(0.001), r"density=0\.001 cannot be met: .* nearest possible density"),
    ],
)
def test_a_fall_that_cannot_be_is_refused(recipe, message):
    run = Run(None, density=0.6)
    with pytest.raises(ValueError, match=message):
        evolve(run.net, run.optimizer, recipe)


# What rules are told


def moments_seen(monkeypatch, grow, n_steps, **kwargs):
    """The moments that each rewiring of the first layer was decided by, and the dense gradients of all steps."""
    seen, gradients = [], []
    monkeypatch.setattr(
        type(grow), "scores", lambda self, layer: seen.append(layer.moments) or np.ones(layer.topology.size, np.float32)
    )
    recipe = Recipe(Uniform(0.3), Magnitude(), grow, Schedule(period_updates=4, fraction=0.0))
    run = Run(recipe, density=0.3, sizes=(6, 5), **kwargs)
    for _ in range(n_steps):
        weight = run.net[0].to_dense().detach().requires_grad_()
        generator = torch.Generator().manual_seed(run.n_steps)
        out = nn.functional.linear(torch.randn(8, 6, generator=generator), weight, run.net[0].bias)
        gradients.append(torch.autograd.grad(out.sub(1).square().mean(), weight)[0].t().reshape(-1).numpy())
        run.step()
    return seen, gradients


@pytest.mark.parametrize("window", [1, 3, 4, 50])
def test_gradients_are_averaged_over_the_window_that_ends_in_the_rewiring(window, monkeypatch):
    seen, gradients = moments_seen(monkeypatch, GradientGrowth(window_updates=window), 8)
    for (mean,), end in zip(seen, (4, 8), strict=True):
        assert mean == pytest.approx(np.mean(gradients[end - min(window, 4) : end], axis=0), abs=1e-6)


def test_moments_of_empty_places_are_adams(monkeypatch):
    seen, gradients = moments_seen(monkeypatch, MomentumGrowth(window_updates=3, decays=(0.8, 0.95)), 8)
    for (mean, square), end in zip(seen, (4, 8), strict=True):
        weight = nn.Parameter(torch.zeros(30))
        adam = torch.optim.Adam([weight], betas=(0.8, 0.95))
        for gradient in gradients[end - 3 : end]:
            weight.grad = torch.tensor(gradient)
            adam.step()
        state = adam.state[weight]
        assert mean == pytest.approx(state["exp_avg"].numpy() / (1 - 0.8**3), abs=1e-6)
        assert square == pytest.approx(state["exp_avg_sq"].numpy() / (1 - 0.95**3), abs=1e-6)


def test_a_window_costs_nothing_while_it_is_closed():
    recipe = Recipe(Uniform(0.2), Magnitude(), MomentumGrowth(window_updates=2), Schedule(period_updates=5))
    run = Run(recipe, sizes=(20, 3))
    sizes = []
    for _ in range(10):
        run.step()
        sizes.append(run.evolution.history["0"].sums.numel())
    assert sizes == [0, 0, 0, 120, 0] * 2


def test_every_place_is_tried_before_one_is_tried_again():
    run = Run("itop", density=0.25, sizes=(8, 8), period_updates=1, fraction=1.0)  # 16 of 64 links, all replaced each time
    reached = set(topologies(run)[0])
    for n_rewirings in range(1, 4):
        run.step()
        reached |= set(topologies(run)[0])
        assert len(reached) == 16 * (n_rewirings + 1)
    run.step()
    assert len(set(topologies(run)[0])) == 16


def test_srigl_keeps_the_fan_in_of_every_neuron():
    torch.manual_seed(0)
    net = sparsify(mlp(20, 16, 3), resolve("srigl", density=0.3).density)
    optimizer = torch.optim.Adam(net.parameters())
    evolve(net, optimizer, "srigl", period_updates=1, fraction=0.5)
    fan_in = [set(layer.topology.fan_in()) for layer in sparse_layers(net).values()]
    before = [layer.topology.positions for layer in sparse_layers(net).values()]
    for _ in range(5):
        optimizer.zero_grad()
        net(torch.randn(8, 20)).square().mean().backward()
        optimizer.step()
    assert [set(layer.topology.fan_in()) for layer in sparse_layers(net).values()] == fan_in
    assert all(len(degrees) == 1 for degrees in fan_in)
    for layer, positions in zip(sparse_layers(net).values(), before, strict=True):
        assert not np.array_equal(layer.topology.positions, positions)


def test_evidence_is_the_strength_of_the_layers_that_read_the_same_features():
    torch.manual_seed(0)
    net = sparsify(mlp(4, 30), Uniform(0.3))
    wider, narrower = nn.Linear(6, 2), SparseLinear(3, 5, density=0.5)
    with torch.no_grad():
        wider.weight.copy_(torch.tensor([[1.0, 9.0, 0.0, 3.0, 50.0, 50.0], [-1.0, 0.0, 0.0, 3.0, 50.0, 50.0]]))
        narrower.weight.zero_()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    recipe = Recipe(Uniform(0.3), RandomDrop(), EvidenceGrowth(), Schedule(period_updates=1, fraction=0.2))
    evolve(net, optimizer, recipe, evidence={"0": [wider, narrower]})
    before = net[0].topology
    optimizer.step()
    grown = np.setdiff1d(net[0].topology.positions, before.positions)
    assert len(grown) == round(0.2 * before.n_links)
    assert set(grown // 30) == {1}  # the feature that the wider layer reads most


# Growing by gradient


@NETWORKS
@pytest.mark.parametrize("density", [0.1, 0.5])
@pytest.mark.parametrize("backward_passes", [1, 2])
def test_rigl_grows_the_empty_places_of_largest_gradient(density, backward_passes, sizes):
    run = Run("rigl", density=density, sizes=sizes, period_updates=4, fraction=0.2).step(3)
    dense = dense_net(sizes)
    for name, layer in sparse_layers(run.net).items():
        linear = dense.get_submodule(name)
        linear.weight, linear.bias = nn.Parameter(layer.to_dense().detach()), nn.Parameter(layer.bias.detach().clone())
    before = {name: layer.topology for name, layer in sparse_layers(run.net).items()}

    run.optimizer.zero_grad()
    for _ in range(backward_passes):
        run.loss().backward()
        run.loss(dense).backward()
        run.n_steps += 1
    run.optimizer.step()

    for name, topology in before.items():
        gradient = in_order_of_positions(dense.get_submodule(name).weight.grad).abs()
        gradient[topology.positions] = -1
        grown = np.setdiff1d(run.net.get_submodule(name).topology.positions, topology.positions)
        assert len(grown) == round(0.2 * topology.n_links)
        assert set(grown) == set(gradient.topk(len(grown)).indices.tolist())


def test_the_gradient_of_empty_places_is_computed_only_in_the_steps_that_grow_by_it(monkeypatch):
    collected, collect = [], SparseLinear.add_dense_gradient
    monkeypatch.setattr(SparseLinear, "add_dense_gradient", lambda *args: collected.append(step) or collect(*args))
    gradient = Run("rigl", sizes=(20, 3), period_updates=4, start_updates=5, stop_updates=13)
    random = Run("set", sizes=(20, 3), period_updates=4)
    for step in range(1, 20):  # noqa: B007  (the spy reads it)
        gradient.step()
        random.step()
    assert collected == [8, 12]
    assert gradient.net[0].dense_gradient is None


@pytest.mark.parametrize("period_updates", [1, 2])
def test_gradients_zeroed_in_place_grow_the_same_links(period_updates):
    first = Run("rigl", period_updates=period_updates).step(6, set_to_none=True)
    second = Run("rigl", period_updates=period_updates).step(6, set_to_none=False)
    assert topologies(first) == topologies(second)


def test_a_second_loss_after_the_step_does_not_reach_the_next_rewiring():
    """SB3's SAC: the actor's loss goes back through the critic too, between two critic steps."""
    plain, disturbed = Run("rigl", period_updates=1, optimizer="sgd"), Run("rigl", period_updates=1, optimizer="sgd")
    for _ in range(4):
        plain.step()
        disturbed.step()
        (1000 * disturbed.net(torch.ones(4, 20)).sum()).backward()
    assert topologies(plain) == topologies(disturbed)


def test_growing_by_gradient_without_a_backward_is_an_error():
    run = Run("rigl", period_updates=1)
    with pytest.raises(ValueError, match="no backward has passed through layer '0'"):
        run.optimizer.step()


def test_diverged_weights_are_an_error_and_not_a_topology():
    run = Run("set", period_updates=1)
    with torch.no_grad():
        run.net[0].weight[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        run.optimizer.step()


# Graphs that are older than a rewiring


@pytest.mark.parametrize(("density", "dtype"), [(0.2, torch.float32), (0.6, torch.float32), (0.2, torch.float64)])
def test_a_graph_older_than_a_rewiring_is_torchs_own_error(density, dtype):
    run = Run("set", density=density, dtype=dtype)
    loss = run.loss()
    run.evolution.rewire(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_graph_of_another_network_lives_on():
    """SB3's SAC: the actor's graph is older than the critic's step."""
    actor, critic = Run("set", period_updates=1), Run("set", period_updates=1, seed=1)
    loss = actor.loss()
    expected = torch.autograd.grad(actor.loss(), list(actor.net.parameters()))
    critic.step()
    assert all(map(torch.equal, torch.autograd.grad(loss, list(actor.net.parameters())), expected))


# Bad arguments


def test_an_optimiser_that_lacks_the_weights_is_refused():
    run, other = Run(None), Run(None)
    with pytest.raises(ValueError, match="optimizer does not hold the weight of layer '0'"):
        evolve(run.net, other.optimizer)


def test_targets_with_other_links_are_refused():
    run = Run(None)
    for target in (Run(None, seed=1).net, nn.Sequential(*run.target[:2]), mlp(20, 16, 16, 3)):
        with pytest.raises(ValueError, match="targets must have the same links"):
            evolve(run.net, run.optimizer, targets=[target])


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in REWIRING])
def test_a_static_recipe_is_refused(recipe):
    run = Run(None)
    with pytest.raises(ValueError, match=r"never rewires|no schedule"):
        evolve(run.net, run.optimizer, recipe)


def test_growing_where_nobody_else_reads_is_refused():
    run = Run(None)
    with pytest.raises(ValueError, match="evidence must name that network's layers"):
        evolve(run.net, run.optimizer, "anf-shared")


@pytest.mark.parametrize("recipe", ["rigl", Recipe(Uniform(0.2), Taylor(), RandomGrowth(), Schedule())])
def test_reading_gradients_that_nobody_computes_is_refused(recipe):
    run = Run(None)
    run.net[2].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="reads the gradient of layer '2', whose weight does not require one"):
        evolve(run.net, run.optimizer, recipe)


def test_a_dense_network_is_refused():
    net = mlp(4, 4)
    with pytest.raises(ValueError, match="call sparsify"):
        evolve(net, torch.optim.SGD(net.parameters(), lr=0.1))


def test_evidence_for_a_convolution_is_refused():
    run = Run(None, sizes=CONV)
    with pytest.raises(ValueError, match="evidence for layer '1' must be for a linear one"):
        evolve(run.net, run.optimizer, "anf-shared", evidence={"1": [run.net[7]]})


@pytest.mark.parametrize("end", [0.1, 0.237])
def test_granet_lands_on_its_density_beside_layers_that_share_no_links(end):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(9, 16), nn.TransformerEncoderLayer(16, 2, 32), nn.Linear(16, 3))
    recipe = resolve("granet", density=end, period_updates=2, stop_updates=8)
    layers = [net[1].linear1, net[1].linear2, net[2]]  # those of the attention are not converted
    places = sum(layer.weight.numel() for layer in layers)
    sparsify(net, recipe.density)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    evolve(net, optimizer, recipe)
    for _ in range(8):
        optimizer.zero_grad()
        net(torch.randint(9, (4, 5))).square().mean().backward()
        optimizer.step()
    layers = [net[1].linear1, net[1].linear2, net[2]]
    assert sum(layer.weight.numel() for layer in layers) == pytest.approx(end * places, abs=1.5)


def test_the_counters_are_in_the_state_of_the_module_that_holds_them():
    run = Run("set").step(7)
    assert run.state_dict()["evolution._extra_state"].tolist() == [0, 7, 2]
    assert isinstance(run.evolution, Evolution)
    assert not any(name.startswith("evolution.") for name, _ in run.named_parameters())


# What evolve is told of the network


class TwoInputs(nn.Module):
    """A network of two first layers, and a layer beside them that no budget is for."""

    def __init__(self):
        super().__init__()
        self.obs, self.goal, self.body = nn.Linear(30, 16), nn.Linear(40, 16), nn.Linear(32, 4)

    def forward(self, x):
        return self.body(torch.cat([self.obs(x[:, :30]), self.goal(x[:, 30:])], dim=1).relu())


def fallen(net, optimizer, n_in, steps=4):
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(6, n_in)).square().mean().backward()
        optimizer.step()
    return {name: layer.n_links for name, layer in sparse_layers(net).items()}


@pytest.mark.parametrize(
    ("make", "n_in", "start", "end", "told"),
    [
        (TwoInputs, 70, InputOnly(0.2), InputOnly(0.02), {"inputs": ["obs", "goal"]}),
        (lambda: mlp(20, 32, 16, 3), 20, Uniform(1.0), ERK(0.1), {"layers": ["0", "2"]}),
        (lambda: mlp(20, 32, 16, 3), 20, Uniform(0.9), Explicit({"output": 0.1}, 0.5), {"outputs": ["2"]}),
    ],
)
def test_a_fall_ends_where_its_end_would_have_started(make, n_in, start, end, told):
    torch.manual_seed(0)
    net, schedule = make(), Schedule(period_updates=2, fraction=0.0, stop_updates=4)
    other = copy.deepcopy(net)
    sparsify(net, Falling(start, end), **told)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    recipe = Recipe(Falling(start, end), Magnitude(), RandomGrowth(), schedule)
    evolve(net, optimizer, recipe, **told)
    sparsify(other, end, **told)
    assert fallen(net, optimizer, n_in) == {name: layer.n_links for name, layer in sparse_layers(other).items()}


def test_only_the_named_layers_are_rewired():
    run = Run(None)
    before = topologies(run)
    evolution = evolve(run.net, run.optimizer, targets=[run.target], layers=["2"], period_updates=1, fraction=0.5)
    run.step().snapshot()
    assert list(evolution.layers) == ["2"]
    assert [old == new for old, new in zip(before, topologies(run), strict=True)] == [True, False, True]


def test_twins_draw_apart_by_their_names():
    def rewired(name):
        run = Run(None)
        evolve(run.net, run.optimizer, name=name, period_updates=1, fraction=0.5)
        return topologies(run.step())

    assert rewired("q0") == rewired("q0")
    assert rewired("q0") != rewired("q1")


@pytest.mark.parametrize("argument", ["layers", "inputs", "outputs"])
def test_a_layer_that_is_not_there_is_named(argument):
    run = Run(None)
    with pytest.raises(ValueError, match=rf"{argument} must be one of 0, 2, 4, not '1'"):
        evolve(run.net, run.optimizer, **{argument: ["1"]})


@pytest.mark.parametrize("recipe", ["set", falling(stop_updates=3, period_updates=1)])
def test_a_layer_that_targets_share_is_rewired_once(recipe):
    def rewired(*targets):
        run = Run(None, density=0.6)
        targets = [nn.Sequential(*(run.net if target == "online" else run.target)) for target in targets]
        schedule = {"period_updates": 1, "fraction": 0.3} if recipe == "set" else {}
        evolve(run.net, run.optimizer, recipe, targets=targets, **schedule)
        return run.step(3).everything()

    alone, shared = rewired("target"), rewired("online", "target", "target", "online")
    assert all(map(torch.equal, alone, shared))


# Names of layers that a ModuleDict has for itself


NAMES = ["keys", "values", "items", "update", "pop", "clear"]


def test_layers_may_have_any_name_and_checkpoints_go_on():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Module()
            for name in NAMES:
                setattr(self, name, nn.Linear(8, 8))
                setattr(self.inner, name, nn.Linear(8, 8))

    def run(seed, steps, state=None):
        torch.manual_seed(seed)
        net = sparsify(Net(), Uniform(0.3))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
        evolution = evolve(net, optimizer, "itop", period_updates=1, fraction=0.3)
        module = nn.ModuleDict({"net": net, "evolution": evolution})
        if state is not None:
            module.load_state_dict(state)
        for _ in range(steps):
            optimizer.step()
        return module.state_dict()

    straight, resumed = run(0, 4), run(1, 2, run(0, 2))
    assert len([key for key in straight if key.endswith("tried")]) == 2 * len(NAMES)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)


def test_a_layer_may_be_a_network():
    layer = SparseLinear(20, 8, density=0.9)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    before = layer.topology.positions
    evolution = evolve(layer, optimizer, falling(stop_updates=2), targets=[copy.deepcopy(layer)])
    for _ in range(2):
        optimizer.step()
    assert layer.n_links == 16
    assert set(layer.topology.positions) < set(before)
    evolution.load_state_dict(evolution.state_dict())


def test_other_names_are_saved_as_they_were():
    net = nn.ModuleDict({"inner": nn.Sequential(SparseLinear(4, 4, 0.5))})
    evolution = evolve(net, torch.optim.SGD(net.parameters()), "itop")
    assert list(evolution.state_dict()) == ["_extra_state", "history.inner/0.tried"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_of_gradients_in_half_precision_are_kept_in_float32(dtype):
    layer = SparseLinear(4, 4, density=0.5, dtype=dtype)
    history = LayerHistory(layer, Recipe(Uniform(0.5), Magnitude(), MomentumGrowth(decays=(1.0, 1.0)), Schedule()))
    gradient = torch.full((16,), 1e-4, dtype=dtype)  # its square is nothing in float16
    for _ in range(1000):
        history.add_gradient(gradient)
    mean, square = history.close_window()
    expected = gradient[0].item()
    assert mean == pytest.approx(expected, rel=1e-3)
    assert square == pytest.approx(expected**2, rel=1e-3)
    history.add_gradient(gradient.double())
    assert history.sums.dtype == torch.float64

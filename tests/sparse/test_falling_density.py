"""Densities that fall while an optimiser trains: how many links are left when, and what survives in layers that shrink."""

import copy

import pytest
import torch
from siftrl.sparse import Evolution, Recipe, evolve, sparse_layers, sparsify
from siftrl.sparse.convert import budget_layers, layer_specs
from siftrl.sparse.density import ERK, Explicit, InputOnly, Uniform
from siftrl.sparse.drop import GlobalMagnitude, Magnitude, RandomDrop, SetSigned, Taylor, WholeFeatures
from siftrl.sparse.grow import GradientGrowth, RandomGrowth
from siftrl.sparse.recipes import resolve
from siftrl.sparse.schedules import Falling, Schedule
from siftrl.tests.sparse.rewiring_run import (
    NETWORKS,
    OPTIMIZERS,
    Run,
    Snapshot,
    falling,
    mlp,
)
from torch import nn


def cubic(n_start, n_end, progress):
    return round(n_end + (n_start - n_end) * (1 - progress) ** 3)


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


# Layers that shrink


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

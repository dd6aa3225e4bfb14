"""Rewiring while an optimiser trains: what stays, what starts at zero, when it happens, and taking it up again."""

import copy
import pickle
from itertools import cycle

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from siftrl.sparse import Evolution, Recipe, SparseLinear, Topology, evolve, sparse_layers, sparsify
from siftrl.sparse.density import Uniform
from siftrl.sparse.drop import Magnitude, RandomDrop, Taylor
from siftrl.sparse.grow import EvidenceGrowth, RandomGrowth
from siftrl.sparse.recipes import RECIPES, resolve
from siftrl.sparse.schedules import Schedule
from siftrl.tests.sparse.rewiring_run import (
    CONV,
    MLP,
    NETWORKS,
    OPTIMIZERS,
    Run,
    Snapshot,
    dense_net,
    falling,
    mlp,
    topologies,
)
from torch import nn

REWIRING = [name for name in RECIPES if resolve(name).rewires]
FALLING = [name for name in REWIRING if resolve(name).falls]
CONSTANT = [name for name in REWIRING if name not in FALLING]


def runs(recipes):
    """Recipes with optimisers and networks: what an optimiser keeps does not depend on the recipe, but for the two ways to
    grow, at random and by a gradient, all are tried."""
    turns = [(recipe, optimizer, MLP) for recipe, optimizer in zip(recipes, cycle(OPTIMIZERS), strict=False)]
    every = [(recipe, optimizer, MLP) for recipe in ("set", "rigl") for optimizer in OPTIMIZERS]
    cases = dict.fromkeys([*turns, *every, *((recipe, "adamw", CONV) for recipe in recipes)])
    return pytest.mark.parametrize(("recipe", "optimizer", "sizes"), cases)


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first.everything(), second.everything(), strict=True))


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
    straight = Run(recipe, optimizer, density=0.3, sizes=sizes)
    saved = [straight.step(further).save() for further in (1, 1, 1, 2)]  # before, at and after a rewiring
    straight.step(9)
    for state in saved:
        resumed = Run(recipe, optimizer, density=0.6, seed=7, sizes=sizes).load(state)
        assert same(straight, resumed.step(straight.n_steps - resumed.n_steps))
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


def test_the_counters_are_in_the_state_of_the_module_that_holds_them():
    run = Run("set").step(7)
    assert run.state_dict()["evolution._extra_state"].tolist() == [0, 7, 2]
    assert isinstance(run.evolution, Evolution)
    assert not any(name.startswith("evolution.") for name, _ in run.named_parameters())


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


# What rules are told


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


def test_diverged_weights_are_an_error_and_not_a_topology():
    run = Run("set", period_updates=1)
    with torch.no_grad():
        run.net[0].weight[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        run.optimizer.step()


# What evolve is told of the network


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

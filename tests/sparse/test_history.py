"""What an evolution remembers between two rewirings: gradients of empty places, and the places that were tried."""

import numpy as np
import pytest
import torch
from siftrl.sparse import Recipe, SparseLinear, sparse_layers
from siftrl.sparse.density import Uniform
from siftrl.sparse.drop import Magnitude
from siftrl.sparse.grow import GradientGrowth, MomentumGrowth
from siftrl.sparse.history import LayerHistory
from siftrl.sparse.layer import in_order_of_positions
from siftrl.sparse.schedules import Schedule
from siftrl.tests.sparse.rewiring_run import NETWORKS, Run, dense_net, topologies
from torch import nn


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


def test_every_place_is_tried_before_one_is_tried_again():
    run = Run("itop", density=0.25, sizes=(8, 8), period_updates=1, fraction=1.0)  # 16 of 64 links, all replaced each time
    reached = set(topologies(run)[0])
    for n_rewirings in range(1, 4):
        run.step()
        reached |= set(topologies(run)[0])
        assert len(reached) == 16 * (n_rewirings + 1)
    run.step()
    assert len(set(topologies(run)[0])) == 16


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

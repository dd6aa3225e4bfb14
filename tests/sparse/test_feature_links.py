"""Layers that read some of their features and no others."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import SparseLinear
from siftrl.sparse.feature_links import link_features, move_features, redraw, standardise


def trained(n_in, n_out, density):
    """A layer with weights and moments, its target and its optimiser."""
    layer = SparseLinear(n_in, n_out, density, seed=0)
    target = SparseLinear(n_in, n_out, topology=layer.topology)
    target.load_state_dict(layer.state_dict())
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.randn(5, n_in)).square().sum().backward()
    optimizer.step()
    return layer, target, optimizer


def dense(values, layer):
    filled = torch.zeros(layer.size)
    filled[layer.links.positions] = values.detach()
    return filled.view(layer.in_features, layer.out_features)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(3, 9), st.floats(0.2, 1.0), st.data())
def test_survivors_keep_everything_and_new_links_start_at_zero(n_in, n_out, density, data):
    features = np.array(sorted(data.draw(st.sets(st.integers(0, n_in - 1), min_size=1))))
    layer, target, optimizer = trained(n_in, n_out, density)
    moments = [optimizer.state[layer.weight][key].clone() for key in ("exp_avg", "exp_avg_sq")]
    before = [dense(values, layer) for values in (layer.weight.clone(), target.weight.clone(), *moments)]
    link_features(layer, features, optimizer=optimizer, targets=[target])

    assert layer.topology.fan_out().tolist() == [n_out * (feature in features) for feature in range(n_in)]
    assert np.array_equal(target.topology.positions, layer.topology.positions)
    state = optimizer.state[layer.weight]
    after = [dense(values, layer) for values in (layer.weight, target.weight, state["exp_avg"], state["exp_avg_sq"])]
    for old, new in zip(before, after, strict=True):
        kept = torch.zeros_like(old)
        kept[features] = old[features]
        assert torch.equal(new, kept)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(3, 9), st.floats(0.2, 1.0), st.data())
def test_links_move_with_everything_they_have(n_in, n_out, density, data):
    features = np.array(data.draw(st.lists(st.integers(0, n_in - 1), min_size=1, unique=True)))
    sources = np.array(data.draw(st.lists(st.integers(-1, n_in - 1), min_size=len(features), max_size=len(features))))
    layer, target, optimizer = trained(n_in, n_out, density)
    with torch.no_grad():
        target.weight.mul_(2.0)
    moments = [optimizer.state[layer.weight][key].clone() for key in ("exp_avg", "exp_avg_sq")]
    before = [dense(values, layer) for values in (layer.weight.clone(), target.weight.clone(), *moments)]
    move_features(layer, features, sources, optimizer=optimizer, targets=[target])

    assert layer.topology.fan_out().tolist() == [n_out * (feature in features) for feature in range(n_in)]
    assert np.array_equal(target.topology.positions, layer.topology.positions)
    state = optimizer.state[layer.weight]
    after = [dense(values, layer) for values in (layer.weight, target.weight, state["exp_avg"], state["exp_avg_sq"])]
    for old, new in zip(before, after, strict=True):
        moved = torch.zeros_like(old)
        has_source = sources >= 0
        moved[features[has_source]] = old[sources[has_source]]
        assert torch.equal(new, moved)


def test_a_layer_whose_features_and_links_move_computes_what_it_did():
    layer, _, _ = trained(10, 4, 1.0)
    order = np.random.default_rng(0).permutation(10)
    inputs = torch.randn(5, 10)
    expected = layer(inputs)
    move_features(layer, np.argsort(order), np.arange(10))
    torch.testing.assert_close(layer(inputs[:, order]), expected)


@pytest.mark.parametrize(
    ("features", "sources", "message"), [([20], [0], "features must be"), ([2], [20], "sources must be")]
)
def test_moves_between_features_that_do_not_exist_are_refused(features, sources, message):
    with pytest.raises(ValueError, match=message):
        move_features(SparseLinear(20, 4, 0.2), np.array(features), np.array(sources))


def test_training_goes_on_after_the_number_of_links_has_changed():
    layer, _, optimizer = trained(20, 4, 0.2)
    link_features(layer, np.array([2, 3]), optimizer=optimizer)
    optimizer.zero_grad()
    layer(torch.randn(5, 20)).square().sum().backward()
    optimizer.step()
    assert layer.weight.shape == (8,)
    assert (layer.weight != 0).all()


@pytest.mark.parametrize("features", [[], [-1], [20]])
def test_features_that_do_not_exist_are_refused(features):
    with pytest.raises(ValueError, match="some of 0 to 19"):
        link_features(SparseLinear(20, 4, 0.2), np.array(features, dtype=int))


def test_weights_drawn_anew_have_the_scale_of_the_fan_in_and_go_to_the_target():
    layer, target, _ = trained(400, 64, 0.1)
    link_features(layer, np.arange(16), targets=[target])
    redraw(layer, np.random.default_rng(0), targets=[target])
    assert torch.equal(layer.weight, target.weight)
    assert torch.equal(layer.bias, target.bias)
    assert layer.weight.abs().max().item() == pytest.approx(1 / 4, rel=0.02)
    assert layer.weight.std().item() == pytest.approx(1 / 4 / np.sqrt(3), rel=0.1)


def test_links_of_other_features_stay_as_they_are():
    layer, _, _ = trained(10, 4, 1.0)
    weight = layer.weight.clone()
    redraw(layer, np.random.default_rng(0), features=np.array([3]))
    changed = (layer.weight != weight).view(10, 4).all(1)
    assert changed.nonzero().flatten().tolist() == [3]


@settings(max_examples=25)
@given(n_in=st.integers(1, 30), n_out=st.integers(1, 9), density=st.floats(0.1, 1.0), seed=st.integers(0, 9))
def test_new_links_have_the_gains_of_their_features_and_give_nothing_at_the_centres(n_in, n_out, density, seed):
    layer, rng = SparseLinear(n_in, n_out, max(density, 1 / (n_in * n_out))), np.random.default_rng(seed)
    gains, centres = rng.uniform(0.1, 10, n_in), rng.normal(0, 10, n_in)
    redraw(layer, np.random.default_rng(seed))
    weight, bias = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
    redraw(layer, np.random.default_rng(seed), gains=gains, centres=centres)
    np.testing.assert_allclose(layer.weight.detach(), weight * gains[layer.topology.inputs], rtol=1e-5)
    at_centres = layer(torch.from_numpy(centres[None].astype(np.float32)))[0].detach()
    np.testing.assert_allclose(at_centres, bias, atol=1e-3)


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(0, 3), st.integers(1, 9), st.sampled_from([None, 0.2, 1.0]), st.integers(0, 9))
def test_a_standardised_layer_reads_features_less_their_centres_times_their_gains(n_in, n_more, n_out, density, seed):
    rng = np.random.default_rng(seed)
    dense = torch.nn.Linear(n_in + n_more, n_out)
    layer = dense if density is None else SparseLinear(n_in + n_more, n_out, max(density, 1 / n_out), seed=seed)
    target = copy.deepcopy(layer)
    gains, centres = rng.uniform(0.1, 10, n_in), rng.normal(0, 10, n_in)
    x = torch.from_numpy(rng.normal(0, 10, (5, n_in + n_more)).astype(np.float32))
    read = x.clone()
    read[:, :n_in] = (x[:, :n_in] - torch.from_numpy(centres)) * torch.from_numpy(gains)
    expected = layer(read)
    standardise(layer, gains, centres, targets=[target])
    np.testing.assert_allclose(layer(x).detach(), expected.detach(), rtol=1e-4, atol=1e-3)
    assert torch.equal(layer.weight, target.weight)
    assert torch.equal(layer.bias, target.bias)


def test_a_target_that_is_the_layer_itself_or_comes_twice_is_changed_once():
    alone, target, _ = trained(10, 4, 0.5)
    shared, twice = copy.deepcopy(alone), copy.deepcopy(target)
    for layer, targets in ((alone, [target]), (shared, [shared, twice, twice])):
        move_features(layer, np.array([1, 2, 5]), np.array([2, 7, 1]), targets=targets)
        redraw(layer, np.random.default_rng(0), features=np.array([5]), centres=np.ones(10), targets=targets)
        standardise(layer, np.full(10, 3.0), np.ones(10), targets=targets)
    for one, other in ((alone, shared), (target, twice)):
        torch.testing.assert_close(dict(one.named_parameters()), dict(other.named_parameters()), rtol=0, atol=0)


@pytest.mark.parametrize("without", ["layer", "target"])
def test_centres_are_refused_where_no_bias_can_take_them_off(without):
    layer, target = (SparseLinear(10, 4, 0.5, bias=name != without, seed=0) for name in ("layer", "target"))
    before = layer.weight.clone()
    ones, none = np.ones(10), np.zeros(10)
    with pytest.raises(ValueError, match=r"centres=\[1\.0, .* must be 0 for layers without a bias"):
        redraw(layer, np.random.default_rng(0), centres=ones, targets=[target])
    with pytest.raises(ValueError, match=r"centres=\[1\.0, .* must be 0 for layers without a bias"):
        standardise(layer, 2 * ones, ones, targets=[target])
    assert torch.equal(layer.weight, before)
    standardise(layer, 2 * ones, none, targets=[target])
    assert torch.equal(layer.weight, 2 * before)
    redraw(layer, np.random.default_rng(0), centres=none, targets=[target])
    assert torch.equal(layer.weight, target.weight)

"""SNIP's ratios: the top of all saliencies counted by layer, several batches, ties, and what has no answer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse.convert import sparse_layers, sparsify
from siftrl.sparse.density import Explicit
from siftrl.sparse.saliency import snip
from torch import nn


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


def backward(net, *batches):
    for batch in batches:
        net(batch).square().mean().backward()
    return net


def saliencies(net):
    return {
        name: (module.weight * module.weight.grad).abs()
        for name, module in net.named_modules()
        if len(name) == 1 and isinstance(module, nn.Linear)
    }


@given(density=st.floats(0.2, 1.0), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_layers_get_their_share_of_the_most_salient_weights(density, seed):
    net = backward(mlp(seed), torch.randn(32, 20))
    scores = saliencies(net)
    n_links = round(density * (320 + 256 + 48))
    threshold = torch.cat([score.flatten() for score in scores.values()]).sort(descending=True).values[n_links - 1]
    expected = {name: int((score >= threshold).sum()) / score.numel() for name, score in scores.items()}
    assert dict(snip(net, density).densities) == pytest.approx(expected)


def test_only_the_ratios_are_used():
    net = backward(mlp(), torch.randn(32, 20))
    rule = snip(net, 0.3)
    places, scores = 320 + 256 + 48, saliencies(net)
    sparse = sparse_layers(sparsify(net, rule))
    assert sum(layer.n_links for layer in sparse.values()) == pytest.approx(0.3 * places, abs=1.5)
    for name, layer in sparse.items():
        salient = scores[name].flatten().topk(layer.n_links).indices
        assert not layer.mask().flatten()[salient].all()


def test_batches_add_up():
    first, second = torch.randn(8, 20), torch.randn(8, 20)
    both = snip(backward(mlp(), first, second), 0.3)
    assert both == snip(backward(mlp(), torch.cat([first, second])), 0.3)
    assert both != snip(backward(mlp(), first), 0.3)


def test_a_gradient_that_favours_a_layer_gives_it_the_links():
    net = backward(mlp(), torch.randn(8, 20))
    net[2].weight.grad *= 1e6
    assert dict(snip(net, 0.45).densities)["2"] == pytest.approx(1.0, abs=0.01)


def test_ties_are_shared_in_proportion():
    net = nn.Sequential(nn.Linear(4, 10, bias=False), nn.Linear(10, 6, bias=False))
    for layer in net:
        nn.init.ones_(layer.weight)
        layer.weight.grad = torch.ones_like(layer.weight)
    assert snip(net, 0.25) == Explicit({"0": 0.25, "1": 0.25})
    net[0].weight.grad[0] = 2.0
    assert dict(snip(net, 0.25).densities) == pytest.approx({"0": (4 + 36 * 21 / 96) / 40, "1": 21 / 96})


def test_the_network_stays_as_it_is():
    net = backward(mlp(), torch.randn(8, 20))
    before = [(parameter.clone(), parameter.grad.clone()) for parameter in net.parameters()]
    snip(net, 0.3)
    for parameter, (value, grad) in zip(net.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert torch.equal(parameter.grad, grad)


def test_only_the_named_layers_share():
    net = backward(mlp(), torch.randn(8, 20))
    rule = snip(net, 0.3, layers=["0", "2"])
    assert [name for name, _ in rule.densities] == ["0", "2"]
    assert np.dot([320, 256], [density for _, density in rule.densities]) == pytest.approx(round(0.3 * 576))


def exploded():
    net = backward(mlp(), torch.randn(8, 20))
    net[2].weight.grad[0, 0] = float("nan")
    return net


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: snip(mlp(), 0.1), "layer '0' of net has no finite gradient: run backward"),
        (lambda: snip(exploded(), 0.1), "layer '2' of net has no finite gradient"),
        (lambda: snip(backward(mlp(), torch.randn(8, 20)), 0), "density=0 is outside"),
        (lambda: snip(backward(mlp(), torch.randn(8, 20)), 1e-5), "density=1e-05 leaves layer '[024]' without a link"),
        (lambda: snip(backward(mlp(), torch.randn(8, 20)), 0.1, layers=["1"]), "layers must be one of 0, 2, 4, not '1'"),
        (lambda: snip(nn.ReLU(), 0.1), "no nn.Linear"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()

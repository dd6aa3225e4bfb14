"""Networks that are run without autograd give what autograd gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import SparseLinear, kernels
from siftrl.sparse.by_hand import Network, Pass, can_read, through_links
from siftrl.sparse.feature_links import link_features
from siftrl.sparse.gather import Slices
from siftrl.sparse.shared_batch import SharedBatch
from torch import nn

FIRSTS = ("dense", "few links", "many links", "whole features")


def as_slices(x):
    flat = x.numpy().reshape(-1)
    halves = np.array([[0, x.shape[1] // 2]]) + np.arange(len(x))[:, None] * x.shape[1]
    return Slices.join((flat, halves, [x.shape[1] // 2, x.shape[1] - x.shape[1] // 2]))


def first_layer(kind, n_features, n_more, units, seed):
    if kind == "dense":
        return nn.Linear(n_features + n_more, units)
    density = {"few links": 0.2, "many links": 0.6, "whole features": 1.0}[kind]
    layer = SparseLinear(n_features + n_more, units, density, seed=seed, bias=seed != 1)
    if kind == "whole features":
        rng = np.random.default_rng(seed)
        read = rng.permutation(n_features)[: 1 + n_features // 3]
        link_features(layer, np.concatenate([read, np.arange(n_features, n_features + n_more)]))
    return layer


def chain(kind, n_features, n_more, n_heads, seed):
    first = first_layer(kind, n_features, n_more, 6, seed)
    body = nn.Sequential(first, nn.ReLU(), nn.Linear(6, 5), nn.ReLU())
    return body, [nn.Linear(5, 2) for _ in range(n_heads)]


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@given(
    st.sampled_from(FIRSTS), st.integers(3, 30), st.integers(0, 4), st.integers(1, 20), st.booleans(), st.integers(1, 3),
    st.integers(1, 2), st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=120)
def test_outputs_and_gradients_are_autograds(kind, n_features, n_more, batch, sliced, n_networks, n_heads, collect):
    torch.manual_seed(0)
    parts = [chain(kind, n_features, n_more, n_heads, seed) for seed in range(n_networks)]
    networks = [Network.of(body, heads) for body, heads in parts]
    x, more = torch.randn(batch, n_features), torch.randn(batch, n_more, requires_grad=True)
    weights = [torch.randn(batch, 2) for _ in range(n_networks * n_heads)]
    parameters = [p for body, heads in parts for module in (body, *heads) for p in module.parameters()]
    for network in networks:
        if kind != "dense":
            network.first.collect_gradient = collect

    whole = torch.cat([x, more], dim=1)
    expected = [head(body(whole)) for body, heads in parts for head in heads]
    sum((weight * out).sum() for weight, out in zip(weights, expected, strict=True)).backward()
    theirs = [parameter.grad for parameter in parameters]
    of_places = [getattr(network.first, "dense_gradient", None) for network in networks]

    shared = SharedBatch(as_slices(x) if sliced else x)
    given_more = more.detach() if n_more else None
    assert all(can_read(shared, network) for network in networks)
    assert {through_links(shared, network) for network in networks} == {
        kind == "few links" or (kind == "many links" and batch == 1)
    }
    with torch.no_grad():
        ours = Pass(shared, networks, given_more, keep=True)
        for actual, out in zip((out for outs in ours.outs for out in outs), expected, strict=True):
            assert_close(actual, out)
        grads = [weights[i * n_heads : (i + 1) * n_heads] for i in range(n_networks)]
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)  # replaced, not added to
        for network in networks:
            network.first.dense_gradient = None
        ours.learn(grads)
    for parameter, grad in zip(parameters, theirs, strict=True):
        assert_close(parameter.grad, grad)
    for network, places in zip(networks, of_places, strict=True):
        assert (network.first.dense_gradient is None) == (places is None)
        if places is not None:
            assert_close(network.first.dense_gradient, places)
    if n_more:
        with torch.no_grad():
            assert_close(ours.gradient_of_more(grads), more.grad)
        for parameter, grad in zip(parameters, theirs, strict=True):
            assert_close(parameter.grad, grad)


def test_features_that_nobody_reads_are_not_fetched(monkeypatch):
    body, heads = chain("whole features", 30, 2, 1, seed=0)
    shared = SharedBatch(as_slices(torch.randn(8, 30)))
    monkeypatch.setattr(Slices, "build", lambda *_: pytest.fail("the whole batch was built"))
    monkeypatch.setattr(kernels, "product", lambda *_, **__: pytest.fail("the whole batch was read"))
    network = Network.of(body, heads)
    with torch.no_grad():
        Pass(shared, [network], torch.randn(8, 2), keep=True).learn([[torch.ones(8, 2)]])


def test_a_batch_that_is_read_once_is_not_kept():
    body, heads = chain("few links", 30, 0, 1, seed=0)
    for keep in (False, True):
        shared = SharedBatch(as_slices(torch.randn(8, 30)))
        with torch.no_grad():
            Pass(shared, [Network.of(body, heads)], keep=keep)
        assert (shared._columns is not None) == keep


L, R = nn.Linear, nn.ReLU


@pytest.mark.parametrize(
    ("layers", "heads"),
    [
        ([L(3, 4), R(), L(4, 5), R()], []),
        ([L(3, 4), R(), L(4, 5)], [L(5, 2)]),
        ([L(3, 4), nn.Tanh(), L(4, 5)], []),
        ([L(3, 4), nn.LayerNorm(4), R(), L(4, 5)], []),
        ([L(3, 4), R(), L(4, 5, bias=False)], []),
        ([L(3, 4), R(), SparseLinear(4, 5, 0.5)], []),
        ([L(3, 1)], []),
        ([], []),
        ([], [L(3, 2), L(3, 2)]),
    ],
)
def test_what_is_no_chain_of_layers_and_relus_is_left_to_autograd(layers, heads):
    assert Network.of(nn.Sequential(*layers), heads) is None


def test_what_somebody_watches_or_freezes_is_left_to_autograd():
    def a_chain():
        return nn.Sequential(L(3, 4), R(), L(4, 5))

    assert Network.of(a_chain()) is not None
    watched, frozen, hooked, clipped = a_chain(), a_chain(), a_chain(), a_chain()
    watched[1].register_forward_hook(lambda *_: None)
    frozen[2].weight.requires_grad_(False)
    hooked[0].weight.register_hook(lambda grad: grad)
    clipped[0].weight.register_post_accumulate_grad_hook(lambda _: None)
    assert [Network.of(each) for each in (watched, frozen, hooked, clipped)] == [None] * 4


def test_other_dtypes_are_left_to_autograd():
    network = Network.of(nn.Sequential(L(3, 4), R(), L(4, 5)).double())
    assert not can_read(SharedBatch(torch.randn(2, 3)), network)
    network = Network.of(nn.Sequential(L(3, 4), R(), L(4, 5)))
    assert not can_read(SharedBatch(torch.randn(2, 3).double()), network)
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_read(SharedBatch(torch.randn(2, 3)), network)
    assert can_read(SharedBatch(torch.randn(2, 3)), network)

"""Layers that read a batch together give what each gives alone, and the batch is fetched once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import SparseLinear, kernels
from siftrl.sparse.gather import Slices
from siftrl.sparse.shared_batch import SharedBatch
from torch import nn


def some_layers(n_features, n_more, n_layers=2, density=0.2):
    return [SparseLinear(n_features + n_more, 5 + i, density, bias=i != 1, seed=i) for i in range(n_layers)]


def as_slices(x):
    flat = x.numpy().reshape(-1)
    return Slices.join((flat, np.arange(len(x))[:, None] * x.shape[1], [x.shape[1]]))


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@given(st.integers(2, 40), st.integers(0, 5), st.integers(2, 20), st.booleans(), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_outputs_and_gradients_are_those_of_the_layers(n_features, n_more, batch, sliced, n_layers):
    torch.manual_seed(0)
    layers = some_layers(n_features, n_more, n_layers)
    x, more = torch.randn(batch, n_features), torch.randn(batch, n_more, requires_grad=True)
    parameters = [tensor for layer in layers for tensor in layer.parameters()]
    for layer in layers:
        layer.collect_gradient = True

    def results(outs):
        loss = sum(out.square().sum() for out in outs)
        for tensor in (*parameters, more):
            tensor.grad = None
        loss.backward()
        grads = [tensor.grad for tensor in (*parameters, *([more] if n_more else []))]
        return [*(out.detach() for out in outs), *grads, *(layer.dense_gradient for layer in layers)]

    whole = torch.cat([x, more], dim=1)
    shared = SharedBatch(as_slices(x) if sliced else x)
    ours = results(shared.multiply(layers, more if n_more else None))
    for actual, expected in zip(ours, results([layer(whole) for layer in layers]), strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize("grad", [False, True])
def test_announced_layers_are_computed_in_one_pass(monkeypatch, grad):
    layers, x, more = some_layers(30, 2, 3), torch.randn(6, 30), torch.randn(6, 2)
    passes, product = [], kernels.product
    monkeypatch.setattr(kernels, "product", lambda x, parts, **keep: passes.append(parts) or product(x, parts, **keep))
    shared = SharedBatch(as_slices(x))
    with torch.set_grad_enabled(grad):
        shared.announce(layers)
        outs = [*shared.multiply(layers[:1], more), *shared.multiply(layers[1:], more)]
    assert [len(parts) for parts in passes] == [3, 1, 2]  # the batch for all, then what comes after it for each call
    for layer, out in zip(layers, outs, strict=True):
        assert_close(out, layer(torch.cat([x, more], dim=1)))


@pytest.mark.parametrize("change", ["weight", "bias", "links"])
def test_a_layer_that_has_changed_is_computed_anew(change):
    layers, x = some_layers(30, 0, 2), torch.randn(6, 30)
    shared = SharedBatch(x)
    shared.announce(layers)
    shared.multiply(layers[1:])
    with torch.no_grad():
        if change == "weight":
            layers[0].weight += 1
        elif change == "bias":
            layers[0].bias += 1
        else:
            layers[0].weight = nn.Parameter(layers[0].weight.detach().clone() + 1)
    (out,) = shared.multiply(layers[:1])
    assert_close(out, layers[0](x))


def test_a_product_is_handed_out_once():
    """The next layer may overwrite it (ReLU in place), so that nobody else may have it."""
    (layer,), x = some_layers(30, 0, 1), torch.randn(6, 30)
    shared = SharedBatch(x)
    with torch.no_grad():
        (first,) = shared.multiply([layer])
        first.zero_()
        (second,) = shared.multiply([layer])
    assert_close(second, layer(x))


def test_without_gradients_slices_are_never_built():
    layers, x = some_layers(30, 0), torch.randn(6, 30)
    workspace = np.full((30, 6), np.nan, np.float32)
    shared = SharedBatch(as_slices(x), workspace)
    with torch.no_grad():
        shared.multiply(layers)
    assert np.isnan(workspace).all()
    shared.multiply(layers)
    assert np.array_equal(workspace, x.t().numpy())


def test_the_whole_batch_can_be_had():
    x = torch.randn(6, 30)
    for source in (x, as_slices(x)):
        shared = SharedBatch(source)
        assert (len(shared), shared.n_features) == (6, 30)
        assert torch.equal(shared.rows(), x)


def test_a_backward_pass_after_a_change_of_the_weights_is_torchs_error():
    layers = some_layers(30, 0)
    loss = sum(out.sum() for out in SharedBatch(torch.randn(6, 30)).multiply(layers))
    with torch.no_grad():
        layers[0].weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_frozen_layers_pass_gradients_on_and_get_none():
    layers, more = some_layers(30, 2), torch.randn(6, 2, requires_grad=True)
    for layer in layers:
        layer.requires_grad_(False)
    sum(out.sum() for out in SharedBatch(torch.randn(6, 30)).multiply(layers, more)).backward()
    assert_close(more.grad, sum(layer.to_dense()[:, 30:].sum(0) for layer in layers).expand(6, 2))
    assert all(parameter.grad is None for layer in layers for parameter in layer.parameters())


def hooked():
    layer = SparseLinear(30, 4, 0.1)
    layer.register_forward_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (SparseLinear(30, 4, 0.1), True),
        (SparseLinear(30, 4, 0.9), False),  # goes through BLAS
        (SparseLinear(30, 4, 0.1, dtype=torch.float64), False),
        (nn.Linear(30, 4), False),
        (hooked(), False),
    ],
)
def test_who_may_share(layer, expected):
    assert SharedBatch(torch.randn(6, 30)).suits(layer) == expected
    assert SharedBatch(as_slices(torch.randn(6, 30))).suits(layer) == expected


def test_a_batch_in_float64_is_not_shared():
    assert not SharedBatch(torch.randn(6, 30, dtype=torch.float64)).suits(SparseLinear(30, 4, 0.1))


@pytest.mark.parametrize(
    ("widths", "more", "message"),
    [
        ([32, 32], (5, 2), r"more must have shape \(6, features\), as many rows as the batch, got \(5, 2\)"),
        ([32, 32], (12,), r"more must have shape \(6, features\), .*, got \(12,\)"),
        ([32, 33], (6, 2), r"layers must read 32 features, all that the batch and more have, got \[32, 33\]"),
        ([30, 300], None, r"layers must read 30 features, .*, got \[30, 300\]"),
        ([29], None, r"layers must read 30 features, .*, got \[29\]"),
    ],
)
@pytest.mark.parametrize("sliced", [False, True])
def test_shapes_that_do_not_fit_are_refused(widths, more, message, sliced):
    x, layers = torch.randn(6, 30), [SparseLinear(width, 4, 0.1) for width in widths]
    with pytest.raises(ValueError, match=message):
        SharedBatch(as_slices(x) if sliced else x).multiply(layers, None if more is None else torch.randn(more))


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("batch", [1, 6])
def test_outputs_may_be_changed_in_place(n_out, batch):
    layer, x = SparseLinear(30, n_out, 0.2), torch.randn(batch, 30)
    (out,) = SharedBatch(x).multiply([layer])
    nn.functional.relu(out, inplace=True).sum().backward()
    grad, layer.weight.grad = layer.weight.grad, None
    layer(x).relu().sum().backward()
    assert_close(grad, layer.weight.grad)


def test_outputs_have_the_weights_dtype_whatever_torchs_default_is():
    layers, x, more = some_layers(30, 2, 2), torch.randn(6, 30), torch.randn(6, 2)
    expected = SharedBatch(x).multiply(layers, more)
    torch.set_default_dtype(torch.float64)
    try:
        actual = SharedBatch(x).multiply(layers, more)
        links, weight = layers[1].links, layers[1].weight
        assert links.product(weight, None, weight.new_empty(6, 6)).bias.dtype == np.float32
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)

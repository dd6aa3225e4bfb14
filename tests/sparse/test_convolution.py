"""SparseConv: the same numbers as torch's convolution with the masked kernel, whatever its settings."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import SparseConv, Topology, sparse_layers, sparsify
from siftrl.sparse.density import ERK, Explicit, Uniform
from siftrl.sparse.layer import in_order_of_positions
from torch import nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def make(n_dims=2, density=0.3, seed=0, **kwargs):
    """A dense convolution, and a sparse one with some of its weights, on the scale they had."""
    torch.manual_seed(seed)
    dense = CONVOLUTIONS[n_dims](**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **kwargs})
    n_out, n_in = len(dense.weight), dense.weight[0].numel()
    topology = Topology.random((n_out, n_in), round(density * n_out * n_in), np.random.default_rng(seed))
    return dense, SparseConv.from_dense(dense, topology, scale_to_fan_in=False)


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@st.composite
def convolutions(draw):
    n_dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 2)))
    return n_dims, {
        "in_channels": groups * draw(st.integers(1, 3)),
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel_size": tuple(draw(st.lists(st.integers(1, 3), min_size=n_dims, max_size=n_dims))),
        "stride": 1 if padding == "same" else draw(st.integers(1, 2)),
        "padding": padding,
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    }


@given(convolutions(), st.sampled_from([0.2, 0.6, 1.0]), st.sampled_from([(), (1,), (3,)]))
@settings(deadline=None, max_examples=200)
def test_output_and_gradients_are_those_of_torchs_convolution_with_the_masked_kernel(convolution, density, batch):
    n_dims, arguments = convolution
    dense, layer = make(n_dims, density, **arguments)
    with torch.no_grad():
        dense.weight *= layer.mask()
    layer.collect_gradient = True
    x = torch.randn(*batch, arguments["in_channels"], *range(6, 6 + n_dims))
    of_x = []
    for module in (dense, layer):
        x_now = x.clone().requires_grad_()
        out = module(x_now)
        out.square().sum().backward()
        of_x.append(x_now.grad)
    assert_close(layer(x), dense(x))
    assert_close(*of_x)
    places = in_order_of_positions(dense.weight.grad)
    assert_close(layer.dense_gradient, places)
    assert_close(layer.weight.grad, places[torch.from_numpy(layer.topology.positions)])
    if arguments["bias"]:
        assert_close(layer.bias.grad, dense.bias.grad)


def test_a_link_is_a_place_of_the_kernel_in_one_input_channel():
    kernel = torch.zeros(2, 3, 2, 2)
    kernel[1, 2, 0, 1] = 5.0
    dense = nn.Conv2d(3, 2, 2)
    dense.weight = nn.Parameter(kernel)
    topology = Topology((2, 12), np.array([(2 * 4 + 0 * 2 + 1) * 2 + 1]))
    layer = SparseConv.from_dense(dense, topology, scale_to_fan_in=False)
    assert layer.weight.tolist() == [5.0]
    assert torch.equal(layer.to_dense(), kernel)
    assert torch.equal(layer.mask(), kernel != 0)


def test_weights_are_scaled_to_the_links_that_a_channel_has():
    dense, _ = make()
    topology = Topology.random((6, 36), 50, np.random.default_rng(0))
    layer = SparseConv.from_dense(dense, topology)
    scale = torch.from_numpy(36 / topology.fan_in().clip(1)).sqrt().view(6, 1, 1, 1)
    assert_close(layer.to_dense(), (dense.weight * layer.mask() * scale).float())
    assert torch.equal(layer.bias, dense.bias)


def test_a_layer_of_its_own_starts_within_one_over_root_fan_in():
    torch.manual_seed(0)
    layer = SparseConv(nn.Conv1d(64, 100, 5, device="meta"), density=0.1)
    fan_in = torch.from_numpy(layer.topology.fan_in())
    scaled = layer.weight.detach() * fan_in[layer.neurons.long()].sqrt()
    assert layer.n_links == 3200
    assert scaled.abs().max() <= 1 + 1e-5
    assert scaled.std() == pytest.approx(1 / 3**0.5, rel=0.03)


def small_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, groups=2), nn.Flatten(), nn.Linear(32, 3)
    )


@pytest.mark.parametrize("distribution", ["uniform", "er", "erk", "intermediate"])
def test_a_network_of_both_kinds_meets_its_budget(distribution):
    net = small_net()
    places = sum(net[i].weight.numel() for i in (0, 2, 4))
    sparsify(net, 0.3, distribution)
    assert [type(net[i]) for i in (0, 2)] == [SparseConv] * 2
    assert sum(net[i].weight.numel() for i in (0, 2, 4)) == pytest.approx(0.3 * places, abs=1.5)


def test_erk_counts_the_kernels_dimensions():
    net = sparsify(small_net(), ERK(0.3))
    scores = {"0": (8 + 2 + 3 + 3) / (8 * 2 * 9), "2": (8 + 4 + 3 + 3) / (8 * 4 * 9), "4": (3 + 32) / (3 * 32)}
    densities = {path: layer.density for path, layer in sparse_layers(net).items()}
    for path in ("2", "4"):
        assert densities[path] / densities["0"] == pytest.approx(scores[path] / scores["0"], rel=0.03)


def test_a_constant_fan_in_is_one_of_kernel_places():
    net = sparsify(small_net(), 0.3, "constant-fan-in")
    fan_in = {path: set(layer.topology.fan_in()) for path, layer in sparse_layers(net).items()}
    assert all(len(degrees) == 1 for degrees in fan_in.values())
    assert fan_in["0"] != fan_in["2"]


def test_a_convolution_of_density_1_stays_torchs():
    net = sparsify(small_net(), Explicit({"0": 1.0}, default=0.5))
    assert type(net[0]) is nn.Conv2d
    assert list(sparse_layers(net)) == ["2", "4"]


@pytest.mark.parametrize("dense", [nn.Conv1d(2, 2, 3), nn.ConvTranspose2d(2, 2, 3)])
def test_what_cannot_be_replaced_is_refused(dense):
    with pytest.raises(ValueError, match=r"wrap it in nn\.Sequential|no convolution to make sparse, got ConvTranspose2d"):
        sparsify(dense)


def test_a_state_of_another_size_comes_with_its_links():
    saved, other, x = sparsify(small_net(), Uniform(0.2)), sparsify(small_net(1), Uniform(0.5)), torch.randn(4, 2, 6, 6)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), saved(x))
    assert torch.equal(other[2].mask(), saved[2].mask())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_independent(clone):
    net, x = sparsify(small_net(), Uniform(0.3)), torch.randn(4, 2, 6, 6)
    twin = clone(net)
    out = net(x)
    assert torch.equal(twin(x), out)
    with torch.no_grad():
        twin[0].weight.zero_()
    assert torch.equal(net(x), out)


@pytest.mark.parametrize(("dtype", "autocast"), [(torch.float64, False), (torch.float32, True)])
def test_dtypes_are_those_of_torchs_convolution(dtype, autocast):
    dense, layer = make(dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        x = torch.randn(2, 4, 6, 6, dtype=dtype)
        assert layer(x).dtype == dense(x).dtype


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, "SparseConv takes either a density or a topology"),
        ({"density": 0.0}, "density"),
        ({"density": 1e-4}, "without a link"),
        ({"topology": Topology((6, 4), np.array([1]))}, r"of shape \(6, 4\) .* does not fit a layer of shape \(6, 36\)"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SparseConv(nn.Conv2d(4, 6, 3), **kwargs)

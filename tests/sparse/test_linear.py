"""SparseLinear: the same numbers as dense autograd on the masked weight, on every path, and a life as any torch layer's."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import SparseLinear, Topology, kernels
from siftrl.sparse import linear as linear_module
from torch import nn

BATCH_SHAPES = st.sampled_from([(), (1,), (7,), (0,), (2, 3), (1, 1), (2, 0), (2, 2, 2)])
DENSITIES = st.sampled_from([0.05, 0.2, 0.25, 0.3, 0.7, 1.0])


def make(in_features=12, out_features=9, density=0.3, seed=0, **kwargs):
    torch.manual_seed(seed)
    return SparseLinear(in_features, out_features, max(density, 1 / (in_features * out_features)), **kwargs)


def dense_gradients(layer, x, grad_out):
    """Output, and gradients of input, dense weight (as flat places) and bias, by dense autograd on the masked weight."""
    weight = layer.to_dense().detach().requires_grad_()
    bias = None if layer.bias is None else layer.bias.detach().requires_grad_()
    x = x.detach().requires_grad_()
    out = nn.functional.linear(x, weight, bias)
    out.backward(grad_out)
    return out.detach(), x.grad, weight.grad.t().reshape(-1), None if bias is None else bias.grad


def assert_close(actual, expected, tolerance=1e-5):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def force_path(monkeypatch, path):
    monkeypatch.setattr(SparseLinear, "multiplies_links", lambda self, batch: path == "kernels")


# The numbers


@given(st.integers(1, 20), st.integers(1, 20), DENSITIES, BATCH_SHAPES, st.booleans(), st.sampled_from(["f4", "f8"]))
@settings(deadline=None, max_examples=150)
def test_output_and_gradients_equal_dense_autograd(in_features, out_features, density, batch_shape, bias, dtype):
    dtype = {"f4": torch.float32, "f8": torch.float64}[dtype]
    layer = make(in_features, out_features, density, bias=bias, dtype=dtype)
    layer.collect_gradient = True
    x = torch.randn(*batch_shape, in_features, dtype=dtype, requires_grad=True)
    grad_out = torch.randn(*batch_shape, out_features, dtype=dtype)

    out = layer(x)
    out.backward(grad_out)

    expected_out, grad_x, grad_places, grad_bias = dense_gradients(layer, x, grad_out)
    assert out.shape == (*batch_shape, out_features)
    assert_close(out.detach(), expected_out)
    assert_close(x.grad, grad_x)
    assert_close(layer.weight.grad, grad_places[torch.from_numpy(layer.topology.positions)])
    assert_close(layer.dense_gradient, grad_places)
    if bias:
        assert_close(layer.bias.grad, grad_bias)


@given(st.integers(1, 20), st.integers(1, 20), DENSITIES, BATCH_SHAPES)
@settings(deadline=None)
def test_kernels_and_scatter_agree(in_features, out_features, density, batch_shape):
    layer, x = make(in_features, out_features, density), torch.randn(*batch_shape, in_features, requires_grad=True)
    results = []
    for path in ("kernels", "scatter"):
        with pytest.MonkeyPatch.context() as monkeypatch:
            force_path(monkeypatch, path)
            out = layer(x)
            results.append((out.detach(), *torch.autograd.grad(out.square().sum(), [x, layer.weight, layer.bias])))
    for by_kernels, by_scatter in zip(*results, strict=True):
        assert_close(by_kernels, by_scatter, 1e-4)


def test_scatter_passes_gradcheck_to_the_second_order():
    layer = make(dtype=torch.float64)
    x = torch.randn(5, 12, dtype=torch.float64, requires_grad=True)

    def function(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, x)

    assert torch.autograd.gradcheck(function, (x, layer.weight, layer.bias))
    assert torch.autograd.gradgradcheck(function, (x, layer.weight, layer.bias))


@pytest.mark.parametrize(
    ("density", "dtype", "batch", "expected"),
    [
        (linear_module.BLAS_DENSITY, torch.float32, 4, "kernels"),
        (linear_module.BLAS_DENSITY + 0.01, torch.float32, 4, "scatter"),
        (1.0, torch.float32, 1, "kernels"),
        (0.1, torch.float64, 4, "scatter"),
        (0.1, torch.bfloat16, 4, "scatter"),
    ],
)
def test_path_follows_density_dtype_and_batch(monkeypatch, density, dtype, batch, expected):
    forwards = []
    for name in ("product", "add_row_product"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args, kernel=kernel: forwards.append("kernels") or kernel(*args))
    out = make(20, 10, density, dtype=dtype)(torch.randn(batch, 20, dtype=dtype))
    assert out.dtype == dtype
    assert forwards == (["kernels"] if expected == "kernels" else [])


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_a_full_layer_is_nn_linear(batch):
    dense = nn.Linear(100, 50)
    full = SparseLinear.from_dense(dense, Topology.from_mask(np.ones((50, 100), bool)))
    x = torch.randn(batch, 100)
    assert_close(full(x), dense(x), 1e-5)


@pytest.mark.parametrize("density", [0.2, 0.6])
def test_nan_in_a_linked_feature_is_seen(density):
    layer = make(density=density)
    x = torch.zeros(4, 12)
    x[2, 5] = torch.nan
    assert torch.equal(layer(x)[2].isnan() | ~layer.mask()[:, 5], torch.ones(9, dtype=torch.bool))


def test_the_default_dtype_of_the_process_does_not_matter():
    layer, x = make(density=0.2), torch.randn(4, 12)
    torch.set_default_dtype(torch.float64)
    try:
        assert layer(x).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_autocast_gives_its_own_dtype_as_nn_linear_does():
    layer, x = make(density=0.2), torch.randn(4, 12)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), layer(x), rtol=0.05, atol=0.05)


# The dense gradient


@pytest.fixture(params=["kernels", "scatter"])
def path(request, monkeypatch):
    force_path(monkeypatch, request.param)
    return request.param


class GradientPair:
    """A collecting layer and its dense twin, fed the same; ``check`` compares the gradients of all places."""

    def __init__(self):
        self.layer, self.twin = make(density=0.2), nn.Linear(12, 9)
        self.layer.collect_gradient = True
        with torch.no_grad():
            self.twin.weight.copy_(self.layer.to_dense())
            self.twin.bias.copy_(self.layer.bias)
        self.modules = self.layer, self.twin

    def backward(self, seed=0, loss=lambda module, x: module(x).square().sum(), **kwargs):
        x = torch.randn(5, 12, generator=torch.Generator().manual_seed(seed))
        for module in self.modules:
            loss(module, x).backward(**kwargs)

    def zero_grad(self):
        for module in self.modules:
            module.zero_grad(set_to_none=True)

    def check(self):
        assert_close(self.layer.dense_gradient, self.twin.weight.grad.t().reshape(-1), 1e-4)
        positions = torch.from_numpy(self.layer.topology.positions)
        assert_close(self.layer.weight.grad, self.layer.dense_gradient[positions], 1e-4)


@pytest.mark.usefixtures("path")
class TestDenseGradientLivesAsGradDoes:
    def test_it_is_the_gradient_of_all_places(self):
        pair = GradientPair()
        pair.backward()
        pair.check()

    def test_two_backward_passes_add(self):
        pair = GradientPair()
        pair.backward(seed=0)
        pair.backward(seed=1)
        pair.check()

    def test_it_starts_anew_after_zero_grad(self):
        pair = GradientPair()
        pair.backward(seed=0)
        pair.zero_grad()
        pair.backward(seed=1)
        pair.backward(seed=2)
        pair.check()

    def test_a_layer_used_twice_in_one_graph_adds(self):
        pair = GradientPair()
        for seed in (0, 1):
            pair.backward(seed, loss=lambda module, x: (module(x) * module(2 * x)).sum())
        pair.check()
        pair.zero_grad()
        pair.backward(loss=lambda module, x: (module(x) * module(2 * x)).sum())
        pair.check()

    def test_a_graph_gone_through_twice_adds(self):
        pair = GradientPair()
        x = torch.randn(5, 12)
        for module in pair.modules:
            loss = module(x).square().sum()
            loss.backward(retain_graph=True)
            loss.backward()
        pair.check()

    @pytest.mark.parametrize("wrt", ["weight", "input"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_autograd_grad_leaves_it_alone(self, wrt, when):
        pair = GradientPair()
        if when == "after":
            pair.backward()
        x = torch.randn(5, 12, requires_grad=True)
        torch.autograd.grad(pair.layer(x).sum(), pair.layer.weight if wrt == "weight" else x)
        if when == "before":
            assert pair.layer.dense_gradient is None
            pair.backward()
        pair.check()

    def test_backward_to_named_inputs_follows_grad(self):
        pair = GradientPair()
        for module in pair.modules:
            module(torch.ones(5, 12)).sum().backward(inputs=[module.weight])
        pair.check()
        x = torch.ones(5, 12, requires_grad=True)
        for module in pair.modules:
            module(x).sum().backward(inputs=[x])
        pair.check()

    def test_nothing_is_collected_unasked(self):
        pair = GradientPair()
        pair.layer.collect_gradient = False
        pair.backward()
        assert pair.layer.dense_gradient is None

    def test_it_is_not_tied_to_tensors_of_the_graph(self):
        pair = GradientPair()
        pair.backward()
        assert not pair.layer.dense_gradient.requires_grad
        before = pair.layer.dense_gradient.clone()
        pair.layer.weight.grad.zero_()
        assert torch.equal(before, pair.layer.dense_gradient)


# Links and the first weights


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 1))
@settings(deadline=None)
def test_links_are_density_times_places_rounded(in_features, out_features, density):
    n_links = round(density * (in_features * out_features))
    if n_links == 0:
        with pytest.raises(ValueError, match="without a link"):
            SparseLinear(in_features, out_features, density)
        return
    layer = SparseLinear(in_features, out_features, density)
    assert layer.n_links == layer.weight.numel() == layer.mask().sum() == n_links
    assert torch.count_nonzero(layer.to_dense()) <= n_links


@pytest.mark.parametrize("density", [0.01, 0.1, 1.0])
def test_weights_start_uniform_within_one_over_root_fan_in(density):
    layer = make(2000, 100, density)
    fan_in = torch.from_numpy(layer.topology.fan_in())
    scaled = layer.weight.detach() * fan_in[layer.neurons.long()].sqrt()
    assert scaled.abs().max() <= 1 + 1e-5
    assert scaled.std() == pytest.approx(1 / 3**0.5, rel=0.03)
    assert (layer.bias.abs() * fan_in.sqrt()).max() <= 1 + 1e-5


def test_sparse_neurons_start_at_the_scale_of_dense_ones():
    torch.manual_seed(0)
    x = torch.randn(500, 2000)
    scales = [SparseLinear(2000, 100, density, bias=False)(x).std().item() for density in (0.005, 0.05, 1.0)]
    dense = nn.Linear(2000, 100, bias=False)(x).std().item()
    assert scales == pytest.approx([dense] * 3, rel=0.05)


@pytest.mark.parametrize("scale_to_fan_in", [True, False])
def test_from_dense_keeps_the_linked_weights(scale_to_fan_in):
    torch.manual_seed(0)
    dense = nn.Linear(50, 20)
    topology = Topology.random((20, 50), 137, np.random.default_rng(0))
    drawn = torch.get_rng_state()
    layer = SparseLinear.from_dense(dense, topology, scale_to_fan_in=scale_to_fan_in)
    assert torch.equal(torch.get_rng_state(), drawn)
    scale = (50 / torch.from_numpy(topology.fan_in()).clamp(min=1)).sqrt()[:, None] if scale_to_fan_in else 1.0
    assert_close(layer.to_dense(), (dense.weight * torch.from_numpy(topology.mask()) * scale).float())
    assert torch.equal(layer.bias, dense.bias)


def test_neurons_and_features_without_links_are_legal():
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = True
    layer = SparseLinear(5, 4, topology=Topology.from_mask(mask))
    x = torch.randn(3, 5, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert torch.equal(out[:, 0], layer.bias[0].expand(3))
    assert torch.equal(x.grad[:, [0, 1, 3, 4]], torch.zeros(3, 4))


def test_manual_seed_fixes_weights_and_links_and_twins_differ():
    def draw():
        return [SparseLinear(30, 20, 0.2) for _ in range(2)]

    torch.manual_seed(3)
    first, second = draw()
    torch.manual_seed(3)
    again, _ = draw()
    assert torch.equal(first.to_dense(), again.to_dense())
    assert not torch.equal(first.mask(), second.mask())


def test_seed_fixes_the_links_alone():
    first, second = SparseLinear(30, 20, 0.2, seed=1), SparseLinear(30, 20, 0.2, seed=1)
    assert torch.equal(first.mask(), second.mask())
    assert not torch.equal(first.weight, second.weight)


# Life as a torch layer


def two_layers(density=0.2):
    torch.manual_seed(0)
    return nn.Sequential(SparseLinear(12, 16, density), nn.ReLU(), SparseLinear(16, 3, density))


def saved_and_loaded(state, **kwargs):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, **kwargs)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("saved_density", [0.2, 0.1, 0.9])
def test_state_dict_brings_links_and_their_number(saved_density, strict):
    saved, other, x = two_layers(saved_density), two_layers(0.2), torch.randn(4, 12)
    other(x)  # what was derived from the old links must not live on
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    other.load_state_dict(saved_and_loaded(saved.state_dict(), weights_only=True), strict=strict)
    assert torch.equal(other[0].mask(), saved[0].mask())
    assert torch.equal(other(x), saved(x))
    other(x).sum().backward()
    before = other[0].weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, other[0].weight)


def test_a_loaded_layer_shares_no_memory_with_the_state():
    saved, other = make(density=0.2), make(density=0.2, seed=1)
    state = saved.state_dict()
    other.load_state_dict(state)
    for tensor in state.values():
        tensor.zero_()
    assert other(torch.randn(2, 12)).abs().sum() > 0
    assert other.topology.n_links == other.n_links


def test_loading_by_assignment():
    saved, other, x = make(density=0.2), make(density=0.3, seed=1), torch.randn(4, 12)
    other(x)
    other.load_state_dict(copy.deepcopy(saved.state_dict()), assign=True)
    assert torch.equal(other(x), saved(x))


CORRUPTIONS = {
    "neuron too large": {"neurons": lambda t: t + 9},
    "neuron negative": {"neurons": lambda t: t - 9},
    "neurons unsorted": {"neurons": lambda t: t.flip(0)},
    "link twice": {"neurons": lambda t: t * 0},
    "neurons fractional": {"neurons": lambda t: t.double()},
    "too few neurons": {"neurons": lambda t: t[:-1]},
    "pointer falls": {"indptr": lambda t: t.flip(0)},
    "pointer past the end": {"indptr": lambda t: t + 1},
    "pointers negative": {"indptr": lambda t: -t},
    "pointer fractional": {"indptr": lambda t: t.double()},
    "pointer a number": {"indptr": lambda t: t[-1]},
    "other number of features": {"indptr": lambda t: t[1:]},
    "too few weights": {"weight": lambda t: t[:-1]},
    "weights a matrix": {"weight": lambda t: t[:, None]},
    "weight a number": {"weight": lambda t: t[0]},
}


@pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_a_corrupt_state_is_refused_and_changes_nothing(corruption):
    layer, x = make(), torch.randn(4, 12)
    before = layer(x)
    state = {name: corruption.get(name, torch.clone)(tensor) for name, tensor in make(seed=1).state_dict().items()}
    with pytest.raises(ValueError, match="saved links"):
        nn.Sequential(layer).load_state_dict({f"0.{name}": tensor for name, tensor in state.items()})
    assert torch.equal(layer(x), before)


@pytest.mark.parametrize("missing", ["weight", "indptr", "neurons", "bias"])
def test_an_incomplete_state_is_refused(missing):
    state = {name: tensor for name, tensor in make().state_dict().items() if name != missing}
    with pytest.raises(RuntimeError, match=f'Missing key.*"{missing}"'):
        make().load_state_dict(state)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_independent(clone):
    net, x = two_layers(), torch.randn(4, 12)
    net[0].collect_gradient = True
    net(x).sum().backward()
    out = net(x)
    twin = clone(net)
    assert torch.equal(twin(x), out)
    twin[0].set_topology(Topology.random((16, 12), twin[0].n_links, np.random.default_rng(9)))
    with torch.no_grad():
        twin[2].weight.zero_()
    assert torch.equal(net(x), out)
    assert not torch.equal(twin(x), out)


def test_a_whole_module_survives_torch_save():
    net, x = two_layers(), torch.randn(4, 12)
    assert torch.equal(saved_and_loaded(net, weights_only=False)(x), net(x))


def test_dtype_can_change_and_change_back():
    net, x = two_layers(), torch.randn(4, 12)
    out = net(x)
    assert_close(net.to(torch.float64)(x.double()).float(), out)
    assert torch.equal(net.to(torch.float32)(x), out)
    assert (net[0].indptr.dtype, net[0].neurons.dtype) == (torch.int64, torch.int32)


@pytest.mark.parametrize("density", [0.2, 0.6])
@pytest.mark.parametrize("shape", [(4, 12), (2, 2, 12), (12,)])
def test_an_activation_may_work_in_place(density, shape):
    gradients = []
    for in_place in (True, False):
        net = nn.Sequential(make(density=density), nn.ReLU(inplace=in_place), make(9, 3, density))
        torch.manual_seed(1)
        net(torch.randn(shape)).sum().backward()
        gradients.append(net[0].weight.grad)
    assert torch.equal(*gradients)


def test_outputs_and_gradients_lie_in_memory_as_those_of_a_dense_layer():
    layer, x = make(density=0.2), torch.randn(6, 12, requires_grad=True)
    out = layer(x)
    (grad,) = torch.autograd.grad(out.square().sum(), x)
    assert out.is_contiguous()
    assert grad.is_contiguous()


def test_a_feature_major_batch_is_read_where_it_lies(monkeypatch):
    read, product = [], kernels.product
    monkeypatch.setattr(kernels, "product", lambda x, *args: read.append(x.ctypes.data) or product(x, *args))
    x = torch.randn(12, 6).t()
    make(density=0.2)(x)
    assert read == [x.data_ptr()]


@pytest.mark.parametrize("density", [0.2, 0.6])
@pytest.mark.parametrize("wanted", [(), ("weight",), ("bias",), ("x",), ("x", "bias")])
def test_only_what_is_asked_gets_a_gradient(density, wanted):
    layer, x = make(density=density), torch.randn(4, 12, requires_grad="x" in wanted)
    layer.collect_gradient = True
    layer.weight.requires_grad_("weight" in wanted)
    layer.bias.requires_grad_("bias" in wanted)
    out = layer(x)
    assert out.requires_grad == bool(wanted)
    if wanted:
        out.sum().backward()
    tensors = {"weight": layer.weight, "bias": layer.bias, "x": x}
    assert {name for name, tensor in tensors.items() if tensor.grad is not None} == {*wanted}
    assert (layer.dense_gradient is not None) == ("weight" in wanted)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_acting_builds_no_graph(context):
    layer, x = make(density=0.2), torch.randn(1, 12)
    with context():
        assert not layer(x).requires_grad


def test_an_input_changed_before_backward_is_an_error_or_does_not_matter():
    """An input that is read where it lies is watched by torch; of any other the layer has a copy."""
    layer, x = make(density=0.2), torch.randn(4, 12)
    layer(x).square().sum().backward()
    expected = layer.weight.grad.clone()
    for x_now, watched in ((x.clone(), False), (x.t().contiguous().t(), True)):
        layer.zero_grad()
        loss = layer(x_now).square().sum()
        x_now.mul_(2)
        if watched:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()
        else:
            loss.backward()
            assert torch.equal(layer.weight.grad, expected)


def test_rewiring_by_hand_is_seen_by_the_next_forward():
    layer, x = make(density=0.2), torch.randn(4, 12)
    layer(x)
    layer.set_topology(Topology.random((9, 12), layer.n_links, np.random.default_rng(7)))
    assert_close(layer(x), nn.functional.linear(x, layer.to_dense(), layer.bias))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, "either a density or a topology"),
        ({"density": 0.1, "topology": Topology((3, 4), np.array([1]))}, "either a density or a topology"),
        ({"density": 0.0}, "density"),
        ({"density": -0.1}, "density"),
        ({"density": 1.1}, "density"),
        ({"density": float("nan")}, "density"),
        ({"density": 0.01}, "without a link"),
        ({"topology": Topology((4, 3), np.array([1]))}, "does not fit"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SparseLinear(4, 3, **kwargs)


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (), (4, 3)])
@pytest.mark.parametrize("density", [0.2, 0.6])
def test_an_input_of_another_width_is_named(shape, density):
    with pytest.raises(ValueError, match="12 features"):
        make(density=density)(torch.zeros(shape))


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("batch_shape", [(1,), (6,), (0,), (2, 3)])
def test_the_output_may_be_changed_in_place(n_out, batch_shape):
    torch.manual_seed(0)
    layer, x = SparseLinear(12, n_out, 0.2), torch.randn(*batch_shape, 12)
    grads = []
    for inplace in (False, True):
        layer.zero_grad()
        nn.Sequential(layer, nn.ReLU(inplace=inplace))(x).square().sum().backward()
        grads.append(layer.weight.grad)
    assert torch.equal(*grads)

"""sparsify: budgets, roles, optimisers and targets, and no draw from torch's own stream."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from siftrl.sparse import SparseLinear, sparse_layers, sparsify
from siftrl.sparse.density import DISTRIBUTIONS, Explicit, InputOnly, Uniform
from torch import nn


def mlp(*sizes, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(*[layer for n_in, n_out in pairwise(sizes) for layer in (nn.Linear(n_in, n_out), nn.ReLU())][:-1])


def densities(net):
    return {name: layer.density for name, layer in sparse_layers(net).items()}


@pytest.mark.parametrize("density", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("distribution", [name for name in DISTRIBUTIONS if name not in ("input", "constant-fan-in")])
def test_global_budgets_are_met(distribution, density):
    net = mlp(17, 256, 256, 6)
    places = sum(module.weight.numel() for module in net if isinstance(module, nn.Linear))
    sparsify(net, density, distribution)
    links = sum(module.weight.numel() for module in net if isinstance(module, nn.Linear | SparseLinear))
    assert abs(links - density * places) <= 1.5  # a rounding a layer


def test_a_rule_draws_its_links_itself():
    fan_ins = [
        layer.topology.fan_in() for layer in sparse_layers(sparsify(mlp(170, 64, 64, 6), 0.1, "constant-fan-in")).values()
    ]
    assert [np.ptp(fan_in) for fan_in in fan_ins] == [0, 0, 0]
    assert fan_ins[0][0] > 1
    fan_in = sparsify(mlp(170, 64, 64, 6), 0.1, "erk")[0].topology.fan_in()
    assert np.ptp(fan_in) > 0


def test_only_the_input_layer():
    assert densities(sparsify(mlp(100, 64, 64, 6), 0.2, "input")) == {"0": 0.2}


def test_layers_of_density_1_stay_dense_and_untouched():
    net = mlp(100, 64, 6)
    before = list(net)
    assert sparsify(net, 1.0) is net
    assert list(net) == before
    sparsify(net, Explicit({"0": 0.1}))
    assert isinstance(net[0], SparseLinear)
    assert net[2] is before[2]


def test_linked_weights_are_those_the_dense_layer_had():
    dense, net = mlp(100, 64, 6), sparsify(mlp(100, 64, 6), 0.1, scale_to_fan_in=False)
    for name, layer in sparse_layers(net).items():
        linear = dense.get_submodule(name)
        assert torch.equal(layer.to_dense(), linear.weight * layer.mask())
        assert torch.equal(layer.bias, linear.bias)


def test_nothing_is_drawn_from_torchs_stream():
    net = mlp(100, 64, 6)
    state = torch.get_rng_state()
    sparsify(net, 0.1)
    assert torch.equal(torch.get_rng_state(), state)


def masks(net):
    return [layer.mask() for layer in sparse_layers(net).values()]


def test_links_follow_seed_and_names():
    def links(seed=None, name="", run_seed=0):
        return masks(sparsify(mlp(30, 20, 20, seed=run_seed), 0.2, "uniform", seed=seed, name=name))

    def equal(first, second):
        return all(torch.equal(*pair) for pair in zip(first, second, strict=True))

    assert equal(links(), links())
    assert equal(links(seed=1), links(seed=1, run_seed=5))
    assert not equal(links(), links(run_seed=5))
    assert not equal(links(seed=1), links(seed=2))
    assert not equal(links(name="actor"), links(name="critic"))


def test_twins_in_one_network_get_different_links():
    net = nn.ModuleDict({"q0": nn.Linear(30, 20), "q1": nn.Linear(30, 20)})
    first, second = masks(sparsify(net, 0.2, "uniform"))
    assert not torch.equal(first, second)


def test_negative_and_huge_seeds_are_seeds():
    for seed in (-1, 2**64 + 1, torch.iinfo(torch.int64).max):
        assert sparsify(mlp(10, 10), 0.5, seed=seed)[0].n_links == 50


class Critics(nn.Module):
    def __init__(self):
        super().__init__()
        self.q0, self.q1, self.scale = mlp(20, 16, 1), mlp(20, 16, 1), nn.Linear(16, 16)


def test_roles_can_be_said():
    rule = Explicit({"input": 0.1, "hidden": 0.2, "output": 0.5})
    net = sparsify(Critics(), rule, inputs=["q0.0", "q1.0"], outputs=["q0.2", "q1.2"])
    assert densities(net) == {"q0.0": 0.1, "q0.2": 0.5, "q1.0": 0.1, "q1.2": 0.5, "scale": pytest.approx(0.2, abs=0.002)}


def test_roles_are_first_and_last_unless_said():
    rule = Explicit({"input": 0.1, "hidden": 0.2, "output": 0.5})
    assert densities(sparsify(mlp(20, 10, 10, 2), rule)) == {"0": 0.1, "2": 0.2, "4": 0.5}


def test_only_the_named_layers_are_converted():
    net = sparsify(Critics(), Uniform(0.25), layers=["q1.0", "scale"])
    assert list(sparse_layers(net)) == ["q1.0", "scale"]


def test_a_layer_used_under_several_names_is_replaced_under_all():
    shared = nn.Linear(10, 10)
    net = nn.Sequential(shared, nn.ReLU(), nn.Sequential(shared, shared))
    sparsify(net, 0.2)
    assert net[0] is net[2][0] is net[2][1]
    assert isinstance(net[0], SparseLinear)


def test_subclasses_of_linear_are_left_alone():
    net = sparsify(nn.TransformerEncoderLayer(16, 2, 32), 0.3, "uniform")
    assert list(sparse_layers(net)) == ["linear1", "linear2"]
    net(torch.randn(5, 2, 16)).sum().backward()


@pytest.mark.parametrize("layers", [None, ["linear1"], ["linear2"]])
def test_a_transformer_computes_the_same_in_evaluation(layers):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    x, padding = torch.randn(2, 5, 16), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    encoder = nn.TransformerEncoder(copy.deepcopy(layer), 2)
    names = layers and [f"layers.{i}.{name}" for i in range(2) for name in layers]
    target = copy.deepcopy(encoder)
    sparsify(layer, 0.3, "uniform", layers=layers)
    sparsify(encoder, 0.3, "uniform", layers=names, targets=[target])
    for net in (layer, encoder, target, copy.deepcopy(encoder)):
        padded = {"src_key_padding_mask": padding}
        expected = net(x), net(x, **padded)[~padding]
        with torch.no_grad():
            net.eval()
            torch.testing.assert_close((net(x), net(x, **padded)[~padding]), expected)


def test_a_transformer_that_stays_dense_keeps_torchs_fast_path():
    net = nn.Sequential(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 3))
    sparsify(net, 0.3, layers=["1"])
    assert net[0].activation_relu_or_gelu == 1


def test_layers_that_share_a_weight_are_refused():
    net = mlp(10, 10, 10)
    net[2].weight = net[0].weight
    with pytest.raises(ValueError, match="share a weight"):
        sparsify(net, 0.2)


class Tied(nn.Module):
    """A network whose last layer has the weight of its embedding, and two biases in one."""

    def __init__(self):
        super().__init__()
        self.embedding, self.hidden, self.head = nn.Embedding(12, 8), mlp(8, 8, 8), nn.Linear(8, 12)
        self.head.weight = self.embedding.weight
        self.hidden[2].bias = self.hidden[0].bias


@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["head"], "layer 'head' of net shares its weight with another module"),
        (["hidden.0"], r"layer 'hidden\.0' of net shares its bias with another module"),
        (None, r"layer 'hidden\.0' of net shares its bias"),
    ],
)
def test_a_layer_that_shares_a_parameter_with_another_module_is_refused(layers, message, optimised):
    net = Tied()
    optimizer = torch.optim.Adam(net.parameters()) if optimised else None
    with pytest.raises(ValueError, match=message):
        sparsify(net, 0.2, "uniform", layers=layers, optimizer=optimizer)
    assert not sparse_layers(net)


def test_layers_beside_those_that_share_are_converted():
    net = Tied()
    net.hidden[2].bias = nn.Parameter(net.hidden[2].bias.detach().clone())
    assert list(sparse_layers(sparsify(net, 0.2, "input"))) == ["hidden.0"]  # the head stays dense and tied
    net = mlp(10, 10, 10)
    net[2].weight = net[0].weight
    with pytest.raises(ValueError, match="layer '0' of net shares its weight"):
        sparsify(net, 0.2, layers=["0"])


def test_frozen_parameters_stay_frozen():
    net = mlp(20, 10, 5)
    net[0].weight.requires_grad_(False)
    net[2].bias.requires_grad_(False)
    sparsify(net, 0.2, "uniform")
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, True, True, False]


def test_dtype_and_mode_stay():
    net = sparsify(mlp(20, 10, 5).double().eval(), 0.2)
    assert all(parameter.dtype == torch.float64 for parameter in net.parameters())
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize("in_groups", [False, True])
def test_an_optimiser_in_use_gets_the_new_parameters_in_their_places(in_groups):
    net = mlp(20, 10, 5)
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[2].parameters()}]
    optimizer = torch.optim.Adam(groups if in_groups else net.parameters(), lr=0.01)
    net(torch.randn(4, 20)).sum().backward()
    optimizer.step()
    kept = optimizer.state[net[2].weight]

    sparsify(net, Explicit({"0": 0.2}), optimizer=optimizer)

    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert all(one is other for one, other in zip(held, net.parameters(), strict=True))
    assert {id(parameter) for parameter in optimizer.state} == {id(net[2].weight), id(net[2].bias)}
    assert optimizer.state[net[2].weight] is kept
    optimizer.zero_grad()
    net(torch.randn(4, 20)).sum().backward()
    before = [parameter.clone() for parameter in net.parameters()]
    optimizer.step()
    assert all(not torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))


def test_targets_get_the_same_links_and_weights():
    net, x = mlp(20, 10, 5), torch.randn(4, 20)
    target = copy.deepcopy(net).requires_grad_(False)
    sparsify(net, 0.2, targets=[target])
    assert torch.equal(net(x), target(x))
    assert not any(parameter.requires_grad for parameter in target.parameters())
    with torch.no_grad():
        net[0].weight.zero_()
    assert target[0].weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("net", "arguments", "message"),
    [
        (nn.ReLU(), {}, "no nn\\.Linear"),
        (nn.Linear(4, 4), {}, "wrap it"),
        (mlp(20, 10, 5), {"layers": ["1"]}, r"layers must be one of 0, 2, not '1'\.$"),
        (mlp(20, 10, 5), {"layers": []}, "no nn\\.Linear"),
        (mlp(20, 10, 5), {"inputs": ["00"]}, r"inputs must be one of 0, 2, not '00'\. Did you mean 0\?"),
        (mlp(20, 10, 5), {"outputs": ["3"]}, r"outputs must be one of 0, 2, not '3'\.$"),
        (mlp(20, 10, 5), {"density": 0}, "density=0"),
        (mlp(20, 10, 5), {"density": 1e-6}, "nearest possible density"),
        (mlp(20, 10, 5), {"distribution": "erkk"}, r"distribution must be one of .* Did you mean erk\?"),
        (mlp(20, 10, 5), {"density": InputOnly(1e-6)}, "without a link"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_converted(net, arguments, message):
    with pytest.raises(ValueError, match=message):
        sparsify(net, **arguments)
    assert not sparse_layers(net)


def test_a_sparse_network_has_nothing_left_to_convert():
    with pytest.raises(ValueError, match=r"no nn\.Linear"):
        sparsify(sparsify(mlp(20, 10), 0.2), 0.2)

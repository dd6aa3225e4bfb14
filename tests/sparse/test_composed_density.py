"""Rules that change another one: the input apart, as many links as without noise, as many for every neuron."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.composed_density import ConstantFanIn, MatchedToNoise, WithInput
from siftrl.sparse.density_rule import ROLES, LayerSpec, n_links
from siftrl.sparse.global_density import ERK, Uniform


def mlp(n_in: int, n_out: int) -> list[LayerSpec]:
    """The layers of a network of two times 256 units."""
    shapes = (256, n_in), (256, 256), (n_out, 256)
    return [LayerSpec(str(2 * i), shape, role) for i, (shape, role) in enumerate(zip(shapes, ROLES, strict=True))]


def test_with_input_gives_the_others_a_budget_of_their_own():
    layers = mlp(1700, 6)
    assert WithInput(0.01, ERK(0.1))(layers) == [0.01, *ERK(0.1)(layers[1:])]
    assert WithInput(0.01, ERK(0.1))(layers[:1]) == [0.01]


@given(n_relevant=st.integers(1, 400), n_noise=st.integers(0, 40_000), n_actions=st.integers(0, 20))
def test_a_matched_input_layer_has_the_links_of_the_clean_dense_one(n_relevant, n_noise, n_actions):
    noisy = LayerSpec("0", (256, n_relevant + n_noise + n_actions), "input")
    clean = LayerSpec("0", (256, n_relevant + n_actions), "input")
    assert n_links(noisy.shape, *MatchedToNoise(n_noise)([noisy])) == clean.size


def test_the_other_layers_are_dense_unless_they_have_a_rule():
    layers = mlp(170, 6)
    assert MatchedToNoise(153)(layers) == [0.1, 1.0, 1.0]
    assert MatchedToNoise(153, ERK(0.2))(layers) == [0.1, *ERK(0.2)(layers[1:])]
    assert MatchedToNoise(0)(layers) == [1.0] * 3


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 200)),
    per_mille=st.integers(1, 1000),
    seed=st.integers(0, 2**32),
)
def test_a_constant_fan_in_is_the_whole_part_for_every_neuron(shape, per_mille, seed):
    layer, rule = LayerSpec("0", shape, "input"), ConstantFanIn(Uniform(per_mille / 1000))
    fan_in = per_mille * shape[1] // 1000
    if fan_in < 1:
        with pytest.raises(ValueError, match="link"):
            rule([layer])
        return
    (whole,) = rule([layer])
    assert whole == fan_in / shape[1]
    topology = rule.draw(layer, whole, np.random.default_rng(seed))
    assert topology.fan_in().tolist() == [fan_in] * shape[0]
    assert topology.n_links == n_links(shape, whole)


def test_a_density_that_stands_for_a_whole_number_of_links_is_not_rounded_below_it():
    assert 0.29 * 100 < 29
    assert ConstantFanIn(Uniform(0.29))([LayerSpec("0", (8, 100), "input")]) == [0.29]


def test_a_dense_layer_stays_dense():
    assert ConstantFanIn(ERK(0.1))(mlp(17, 6))[2] == 1.0


def test_the_fan_in_of_a_convolution_counts_its_kernel():
    assert ConstantFanIn(Uniform(0.1))([LayerSpec("0", (16, 5, 3, 3), "input")]) == [4 / 45]


def test_an_input_apart_leaves_the_draw_of_the_others_to_their_rule():
    layers, rule = mlp(1700, 6), WithInput(0.01, ConstantFanIn(Uniform(0.1)))
    fan_ins = [
        np.ptp(rule.draw(layer, density, np.random.default_rng(0)).fan_in())
        for layer, density in zip(layers, rule(layers), strict=True)
    ]
    assert fan_ins[0] > 0
    assert fan_ins[1:] == [0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WithInput(-0.1, ERK(0.1)), r"density=-0\.1 is outside \(0, 1\]"),
        (lambda: WithInput(1e-6, ERK(0.1))(mlp(17, 6)), r"leaves a layer of shape \(256, 17\) without a link"),
        (lambda: MatchedToNoise(-1), "n_noise=-1 is negative"),
        (lambda: MatchedToNoise(17)(mlp(17, 6)), "n_noise=17 must be below 17, the features that layer '0' reads"),
        (
            lambda: ConstantFanIn(Uniform(0.05))(mlp(17, 6)),
            "a density of 0.05 leaves the neurons of layer '0' without a link; one link each is a density of 0.05882",
        ),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WithInput(0.1, 0.5), r"rest must be a density rule such as Uniform\(0.1\), got 0.5"),
        (lambda: MatchedToNoise(153, "erk"), "rest must be a density rule"),
        (lambda: ConstantFanIn(0.1), "rule must be a density rule"),
        (lambda: MatchedToNoise(0.9), "float"),
    ],
)
def test_what_is_no_rule_and_no_number_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()

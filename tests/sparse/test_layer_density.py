"""Densities said layer by layer: the published factors, names before roles, and what a wrong one is told."""

import pytest
from siftrl.sparse.density_rule import ROLES, LayerSpec, n_links
from siftrl.sparse.layer_density import ErdosRenyiEpsilon, Explicit, InputOnly

TASKS = {"HalfCheetah": (17, 6), "Hopper": (11, 3), "Ant": (111, 8), "Humanoid": (376, 17)}


def mlp(n_in: int, n_out: int, prefix: str = "") -> list[LayerSpec]:
    """The layers of a network of two times 256 units."""
    shapes = (256, n_in), (256, 256), (n_out, 256)
    return [LayerSpec(f"{prefix}{2 * i}", shape, role) for i, (shape, role) in enumerate(zip(shapes, ROLES, strict=True))]


def links(layers: list[LayerSpec], densities: list[float]) -> int:
    return sum(n_links(layer.shape, density) for layer, density in zip(layers, densities, strict=True))


@pytest.mark.parametrize(
    ("task", "heads", "factors", "expected", "kept"),
    [
        ("HalfCheetah", 1, (7, 64), (0.439, 0.332, 0.5), 49.4),
        ("Hopper", 1, (7, 64), (0.664, 0.527, 0.5), 50.6),
        ("Ant", 1, (40, 64), (0.517, 0.492, 0.5), 50.4),
        ("Humanoid", 1, (61, 64), (0.401, 0.393, 0.5), 44.3),
        ("HalfCheetah", 2, (12, 80), (0.753, 0.569, 0.625), 63.1),
        ("Hopper", 2, (7, 20), (0.664, 0.527, 0.156), 18.4),
        ("Ant", 2, (30, 64), (0.387, 0.369, 0.5), 47.0),
        ("Humanoid", 2, (61, 64), (0.401, 0.393, 0.5), 44.8),
    ],
)
def test_the_published_factors_of_ds_td3_and_ds_sac(task, heads, factors, expected, kept):
    n_observed, n_actions = TASKS[task]
    policy, value = mlp(n_observed, heads * n_actions), mlp(n_observed + n_actions, 1)
    rule = ErdosRenyiEpsilon(dict(zip(ROLES, factors, strict=False)), keep_dense="output")
    of_policy, of_value = rule(policy), rule(value)
    assert (round(of_policy[0], 3), round(of_value[0], 3), round(of_policy[1], 3)) == expected
    assert of_value[1] == of_policy[1]
    assert of_policy[2] == of_value[2] == 1
    places = sum(layer.size for layer in [*policy, *value, *value])
    assert round(100 * (links(policy, of_policy) + 2 * links(value, of_value)) / places, 1) == kept


def test_erdos_renyi_factor_is_clipped_where_a_layer_is_full():
    assert ErdosRenyiEpsilon(20)(mlp(17, 6)) == [1.0, 20 * 512 / 256**2, 1.0]


def test_a_layer_name_goes_before_its_role():
    assert ErdosRenyiEpsilon({"0": 1, "input": 2, "hidden": 1, "output": 1})(mlp(256, 256)) == [1 / 128] * 3
    assert Explicit({"0": 0.25, "input": 0.5, "2": 0.125})(mlp(17, 6)) == [0.25, 0.125, 1.0]
    assert Explicit({}, default=0.5)(mlp(17, 6)) == [0.5] * 3


def test_input_only_leaves_the_rest_dense():
    assert InputOnly(0.2)(mlp(1700, 6)) == [0.2, 1.0, 1.0]
    two_inputs = [LayerSpec("left", (64, 100), "input"), LayerSpec("right", (64, 100), "input")]
    assert InputOnly(0.2, keep_dense="right")(two_inputs) == [0.2, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: InputOnly(float("nan")), r"density=nan is outside \(0, 1\]"),
        (lambda: Explicit({"input": 2}), r"densities\['input'\]=2 is outside \(0, 1\]"),
        (lambda: Explicit({}, default=0), r"default=0 is outside \(0, 1\]"),
        (lambda: ErdosRenyiEpsilon(0), "epsilon=0 for 'input' is not a positive, finite number"),
        (lambda: ErdosRenyiEpsilon({"hidden": float("inf")}), "epsilon=inf for 'hidden' is not"),
        (
            lambda: Explicit({"mu.1": 0.1})(mlp(17, 6, "mu.")),
            r"densities must be one of input, .*, mu\.4, not 'mu\.1'\. Did you mean mu\.[024]\?",
        ),
        (lambda: ErdosRenyiEpsilon({"hiden": 7})(mlp(17, 6)), r"epsilon must be one of .* Did you mean hidden\?"),
        (lambda: ErdosRenyiEpsilon({"xyz": 7})(mlp(17, 6)), r"epsilon must be one of .*, not 'xyz'\.$"),
        (lambda: ErdosRenyiEpsilon({"input": 7})(mlp(17, 6)), "epsilon has no entry for 'hidden' layer '2'"),
        (
            lambda: ErdosRenyiEpsilon(0.001)(mlp(17, 6)),
            "epsilon=0.001 leaves layer '0' .*one link is an epsilon of 0.003663",
        ),
        (lambda: InputOnly(0.1)(mlp(17, 6)[1:]), "no input layer to apply to"),
        (lambda: InputOnly(0.1, keep_dense="0")(mlp(17, 6)), r"no input layer to apply to beside keep_dense=\('0',\)"),
        (lambda: InputOnly(1e-6)(mlp(17, 6)), r"density=1e-06 leaves a layer of shape \(256, 17\) without a link"),
        (lambda: Explicit({"output": 1e-6})(mlp(17, 6)), r"leaves a layer of shape \(6, 256\) without a link"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()

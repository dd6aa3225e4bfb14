"""Densities: the published tables, the budget, and what a wrong one is told."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.density import (
    DISTRIBUTIONS,
    ER,
    ERK,
    ROLES,
    ErdosRenyiEpsilon,
    Explicit,
    InputOnly,
    LayerSpec,
    Uniform,
    WithInput,
    distribution,
    n_links,
)

TASKS = {"HalfCheetah": (17, 6), "Hopper": (11, 3), "Ant": (111, 8), "Humanoid": (376, 17)}


def mlp(n_in: int, n_out: int, prefix: str = "") -> list[LayerSpec]:
    """The layers of a network of two times 256 units."""
    shapes = (256, n_in), (256, 256), (n_out, 256)
    return [LayerSpec(f"{prefix}{2 * i}", shape, role) for i, (shape, role) in enumerate(zip(shapes, ROLES, strict=True))]


def actor(task: str) -> list[LayerSpec]:
    return mlp(*TASKS[task])


def critic(task: str, prefix: str = "") -> list[LayerSpec]:
    return mlp(sum(TASKS[task]), 1, prefix)


def links(layers: list[LayerSpec], densities: list[float]) -> int:
    return sum(n_links(layer.shape, density) for layer, density in zip(layers, densities, strict=True))


@pytest.mark.parametrize("rule", [ER, ERK])
@pytest.mark.parametrize(
    ("task", "density", "actor_densities", "critic_densities"),
    [
        ("HalfCheetah", 0.5, [1, 0.4551, 1], [1, 0.4531, 1]),
        ("HalfCheetah", 0.2, [1, 0.1281, 1], [0.8435, 0.1391, 1]),
        ("HalfCheetah", 0.1, [0.4480, 0.0558, 1], [0.4141, 0.0683, 1]),
        ("Hopper", 0.1, [0.7478, 0.0616, 1], [0.6437, 0.0668, 1]),
        ("Ant", 0.1, [0.1110, 0.0671, 1], [0.1300, 0.0825, 1]),
        ("Humanoid", 0.1, [0.0770, 0.0916, 0.7355], [0.0910, 0.1102, 1]),
        ("Humanoid", 0.05, [0.0385, 0.0458, 0.3678], [0.0448, 0.0543, 1]),
    ],
)
def test_erdos_renyi_densities_of_the_usual_networks(rule, task, density, actor_densities, critic_densities):
    assert [round(share, 4) for share in rule(density)(actor(task))] == actor_densities
    assert [round(share, 4) for share in rule(density)(critic(task))] == critic_densities


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
    policy, value = mlp(n_observed, heads * n_actions), critic(task)
    rule = ErdosRenyiEpsilon(dict(zip(ROLES, factors, strict=False)), keep_dense="output")
    of_policy, of_value = rule(policy), rule(value)
    assert (round(of_policy[0], 3), round(of_value[0], 3), round(of_policy[1], 3)) == expected
    assert of_value[1] == of_policy[1]
    assert of_policy[2] == of_value[2] == 1
    places = sum(layer.size for layer in [*policy, *value, *value])
    assert round(100 * (links(policy, of_policy) + 2 * links(value, of_value)) / places, 1) == kept


def test_er_leaves_the_kernel_out_of_its_score_and_erk_does_not():
    convolutions = [LayerSpec("0", (32, 4, 8, 8), "input"), LayerSpec("2", (64, 32, 4, 4), "hidden")]
    first, second = ER(0.1)(convolutions)
    assert first / second == pytest.approx((36 / 128) / (96 / 2048))
    first, second = ERK(0.1)(convolutions)
    assert first / second == pytest.approx((52 / 8192) / (104 / 32768))


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


def test_with_input_gives_the_others_a_budget_of_their_own():
    layers = mlp(1700, 6)
    assert WithInput(0.01, ERK(0.1))(layers) == [0.01, *ERK(0.1)(layers[1:])]
    assert WithInput(0.01, ERK(0.1))(layers[:1]) == [0.01]


@pytest.mark.parametrize("rule", [Uniform, ER, ERK])
def test_layers_kept_dense_are_paid_for_by_the_others(rule):
    layers = mlp(1700, 6)
    densities = rule(0.2, keep_dense=["output", "2"])(layers)
    assert densities[1:] == [1.0, 1.0]
    assert links(layers, densities) == round(0.2 * sum(layer.size for layer in layers))


def test_twin_critics_pooled_are_a_single_critic_twice():
    for rule in (Uniform(0.3), ER(0.1), ERK(0.1, keep_dense="output")):
        pooled = rule([*critic("Ant", "qf0."), *critic("Ant", "qf1.")])
        assert pooled == pytest.approx(2 * rule(critic("Ant")))


shapes = st.tuples(st.integers(1, 300), st.integers(1, 300)) | st.tuples(*[st.integers(1, 12)] * 4)


@st.composite
def networks(draw) -> list[LayerSpec]:
    sizes = draw(st.lists(shapes, min_size=1, max_size=6))
    return [LayerSpec(f"layer{i}", shape, draw(st.sampled_from(ROLES))) for i, shape in enumerate(sizes)]


@given(
    layers=networks(),
    rule=st.sampled_from([Uniform, ER, ERK]),
    density=st.floats(1e-4, 1.0),
    keep_dense=st.sampled_from([(), ("input",), ("output", "hidden")]),
)
def test_the_budget_is_met_or_the_nearest_that_can_be_is_named(layers, rule, density, keep_dense):
    try:
        densities = rule(density, keep_dense)(layers)
    except ValueError as error:
        nearest = float(re.search(r"nearest possible density is ([\d.e-]+)$", str(error)).group(1))
        assert nearest > density
        density = nearest
        densities = rule(density, keep_dense)(layers)
    assert all(0 < share <= 1 for share in densities)
    budget = density * sum(layer.size for layer in layers)
    assert sum(share * layer.size for layer, share in zip(layers, densities, strict=True)) == pytest.approx(budget)
    assert abs(links(layers, densities) - budget) <= len(layers) / 2 + 1e-6
    kept = [share for layer, share in zip(layers, densities, strict=True) if layer.role in keep_dense]
    assert kept == [1.0] * len(kept)


def test_the_density_named_is_possible_also_where_it_is_half_a_link():
    layers = [LayerSpec("0", (10, 32), "hidden"), LayerSpec("2", (42, 60), "input")]
    with pytest.raises(ValueError, match=r"nearest possible density is 0\.8876$"):
        Uniform(0.5, keep_dense="input")(layers)
    assert links(layers, Uniform(0.8876, keep_dense="input")(layers)) == 2521


@given(layers=networks(), rule=st.sampled_from([Uniform, ER, ERK]))
def test_density_one_is_dense(layers, rule):
    assert rule(1.0)(layers) == rule(1, keep_dense="input")(layers) == [1.0] * len(layers)


def test_a_uniform_density_comes_back_as_given():
    for density in (0.1, 0.05, 1 / 3):
        assert Uniform(density)(mlp(17, 6)) == [density] * 3


@given(shape=shapes, density=st.floats(1e-9, 1.0))
def test_links_are_the_rounded_share_of_places_or_an_error(shape, density):
    size = LayerSpec("0", shape, "input").size
    if density * size <= 0.5:
        with pytest.raises(ValueError, match="without a link"):
            n_links(shape, density)
    else:
        assert n_links(shape, density) == round(density * size)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Uniform(0.1), "Uniform(density=0.1, keep_dense=())"),
        (ER(0.1, keep_dense=["output"]), "ER(density=0.1, keep_dense=('output',))"),
        (ErdosRenyiEpsilon(7.0), "ErdosRenyiEpsilon(epsilon=7.0, keep_dense=())"),
        (ErdosRenyiEpsilon({"input": 7}), "ErdosRenyiEpsilon(epsilon=(('input', 7),), keep_dense=())"),
        (InputOnly(0.2), "InputOnly(density=0.2, keep_dense=())"),
        (Explicit({"input": 0.05}), "Explicit(densities=(('input', 0.05),), default=1.0)"),
        (WithInput(0.01, ERK(0.1)), "WithInput(density=0.01, rest=ERK(density=0.1, keep_dense=()))"),
    ],
)
def test_rules_print_as_they_are_built_and_survive_pickling(rule, text):
    assert repr(rule) == text
    again = pickle.loads(pickle.dumps(rule))
    assert again == rule
    assert hash(again) == hash(rule)


def test_rules_are_equal_however_they_are_written():
    assert ER(0.1, keep_dense="output") == ER(0.1, keep_dense=["output"]) == distribution("er", 0.1, {"output"})
    assert ER(0.1, keep_dense=["0", "output"]) == ER(0.1, keep_dense=("output", "0"))
    assert Explicit({"0": 0.1, "2": 0.2}) == Explicit({"2": 0.2, "0": 0.1}) == Explicit((("0", 0.1), ("2", 0.2)))
    assert ER(0.1) != ERK(0.1)


def test_every_distribution_can_be_had_by_name():
    for name, rule in DISTRIBUTIONS.items():
        assert distribution(name, 0.5) == rule(0.5)
        assert len(distribution(name, 0.5)(mlp(17, 6))) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Uniform(0), r"density=0 is outside \(0, 1\]"),
        (lambda: ERK(1.5), r"density=1\.5 is outside \(0, 1\]"),
        (lambda: InputOnly(float("nan")), r"density=nan is outside \(0, 1\]"),
        (lambda: WithInput(-0.1, ERK(0.1)), r"density=-0\.1 is outside \(0, 1\]"),
        (lambda: Explicit({"input": 2}), r"densities\['input'\]=2 is outside \(0, 1\]"),
        (lambda: Explicit({}, default=0), r"default=0 is outside \(0, 1\]"),
        (lambda: ErdosRenyiEpsilon(0), "epsilon=0 for 'input' is not a positive, finite number"),
        (lambda: ErdosRenyiEpsilon({"hidden": float("inf")}), "epsilon=inf for 'hidden' is not"),
        (lambda: n_links((4, 4), 0), r"density=0 is outside \(0, 1\]"),
        (lambda: n_links((4, 4), 0.01), r"density=0\.01 leaves a layer of shape \(4, 4\).*one link is a density of 0\.0625"),
        (lambda: LayerSpec("0", (4, 4), "inptu"), "role='inptu' of layer '0' is not one of 'input', 'hidden', 'output'"),
        (lambda: LayerSpec("0", (4, 0), "input"), r"shape=\(4, 0\) of layer '0' is not \(out, in, \.\.\.\)"),
        (lambda: Uniform(0.1)([]), "layers is empty"),
        (lambda: distribution("erkk", 0.1), "distribution='erkk' is not one of 'uniform', 'er', .*closest is 'erk'"),
        (lambda: ERK(0.1, keep_dense="ouput")(mlp(17, 6)), "keep_dense names 'ouput', .*closest is 'output'"),
        (lambda: Explicit({"mu.1": 0.1})(mlp(17, 6, "mu.")), "densities names 'mu.1', .*closest is 'mu\\.[024]'"),
        (lambda: ErdosRenyiEpsilon({"hiden": 7})(mlp(17, 6)), "epsilon names 'hiden', .*closest is 'hidden'"),
        (lambda: ErdosRenyiEpsilon({"input": 7})(mlp(17, 6)), "epsilon has no entry for 'hidden' layer '2'"),
        (
            lambda: ErdosRenyiEpsilon(0.001)(mlp(17, 6)),
            "epsilon=0.001 leaves layer '0' .*one link is an epsilon of 0.003663",
        ),
        (lambda: InputOnly(0.1)(mlp(17, 6)[1:]), "no input layer to apply to"),
        (lambda: InputOnly(0.1, keep_dense="0")(mlp(17, 6)), r"no input layer to apply to beside keep_dense=\('0',\)"),
        (lambda: InputOnly(1e-6)(mlp(17, 6)), r"density=1e-06 leaves a layer of shape \(256, 17\) without a link"),
        (lambda: Explicit({"output": 1e-6})(mlp(17, 6)), r"leaves a layer of shape \(6, 256\) without a link"),
        (lambda: ERK(0.1, keep_dense="hidden")(mlp(17, 6)), "kept dense, 'hidden', are 0.9176 of all places; .* is 0.9176"),
        (lambda: Uniform(0.5, keep_dense=ROLES)(mlp(17, 6)), "kept dense, .*, are 1 of all places; .* is 1$"),
        (lambda: ER(1e-5)(mlp(17, 6)), "fewer than one link for each of 3 layers with 71424 places"),
        (lambda: Uniform(0.001)(mlp(17, 1)), r"layer '4' of shape \(1, 256\) would be left without a link; .* is 0.001954$"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()

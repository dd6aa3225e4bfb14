"""Global densities: the published tables, the budget, and what one that cannot be met is told."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.density_rule import ROLES, LayerSpec, n_links
from siftrl.sparse.global_density import ER, ERK, ERKPlus, Intermediate, Uniform, UniformPlus

TASKS = {"HalfCheetah": (17, 6), "Hopper": (11, 3), "Ant": (111, 8), "Humanoid": (376, 17)}
RULES = [Uniform, UniformPlus, Intermediate, ER, ERK, ERKPlus]


def mlp(n_in: int, n_out: int, prefix: str = "") -> list[LayerSpec]:
    """The layers of a network of two times 256 units."""
    shapes = (256, n_in), (256, 256), (n_out, 256)
    return [LayerSpec(f"{prefix}{2 * i}", shape, role) for i, (shape, role) in enumerate(zip(shapes, ROLES, strict=True))]


def actor(task: str) -> list[LayerSpec]:
    return mlp(*TASKS[task])


def critic(task: str, prefix: str = "") -> list[LayerSpec]:
    return mlp(sum(TASKS[task]), 1, prefix)


def places(layers: list[LayerSpec]) -> int:
    return sum(layer.size for layer in layers)


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


# Two convolutions and a linear layer: (32, 4, 8) and (64, 32, 4), or the same with square kernels.
@pytest.mark.parametrize(
    ("kernels", "sums"),
    [
        ([(8,), (4,)], {ER: (36 * 8, 96 * 4, 74), ERK: (44, 100, 74)}),
        ([(8, 8), (4, 4)], {ER: (36 * 64, 96 * 16, 74), ERK: (52, 104, 74)}),
    ],
    ids=["1d", "2d"],
)
@pytest.mark.parametrize("rule", [ER, ERK])
def test_erk_counts_the_kernels_dimensions_and_er_does_not(rule, kernels, sums):
    shapes = [(32, 4, *kernels[0]), (64, 32, *kernels[1]), (10, 64)]
    layers = [LayerSpec(str(i), shape, role) for i, (shape, role) in enumerate(zip(shapes, ROLES, strict=True))]
    budget = 0.02 * places(layers)
    links_per_unit = budget / sum(sums[rule])
    expected = [links_per_unit * total / layer.size for total, layer in zip(sums[rule], layers, strict=True)]
    assert max(expected) < 1
    assert rule(0.02)(layers) == pytest.approx(expected)


def test_uniform_plus_has_a_dense_input_and_a_floor_under_the_output():
    layers = actor("HalfCheetah")  # 4 352, 65 536 and 1 536 places
    assert UniformPlus(0.1)(layers) == pytest.approx([1, (7142.4 - 4352 - 0.2 * 1536) / 65536, 0.2])
    assert UniformPlus(0.1, output_floor=0.5)(layers) == pytest.approx([1, (7142.4 - 4352 - 0.5 * 1536) / 65536, 0.5])
    above_the_floor = (0.5 * 71424 - 4352) / (65536 + 1536)
    assert UniformPlus(0.5)(layers) == pytest.approx([1, above_the_floor, above_the_floor])
    # The floor holds for the layer, not for the global density: 0.22 of all places leaves less than 0.2 here.
    assert UniformPlus(0.22)(layers)[2] == 0.2
    assert UniformPlus(0.1, keep_dense="output")(layers)[::2] == [1, 1]


def test_erk_plus_shares_out_what_the_output_leaves():
    layers = actor("Humanoid")  # dense it would have 0.7355
    dense, half = ERKPlus(0.1)(layers), ERKPlus(0.1, output_density=0.5)(layers)
    assert dense == ERK(0.1, keep_dense="output")(layers)
    assert half[2] == 0.5
    assert half[0] / half[1] == pytest.approx((376 + 256) / 376 * 256 / 512)
    assert links(layers, dense) == pytest.approx(0.1 * places(layers), abs=1.5)
    assert links(layers, half) == pytest.approx(0.1 * places(layers), abs=1.5)
    assert ERKPlus(0.1, keep_dense="output", output_density=0.5)(layers)[2] == 1


def test_the_intermediate_rule_lies_between_uniform_and_erdos_renyi():
    layers = actor("Ant")
    densities = Intermediate(0.1)(layers)
    assert densities[0] / densities[1] == pytest.approx((256 / 111) ** 0.2)
    assert densities[2] / densities[1] == pytest.approx((256 / 8) ** 0.2)
    spreads = [max(d) / min(d) for d in (Uniform(0.1)(layers), densities, ER(0.1)(layers))]
    assert spreads == sorted(spreads)
    assert Intermediate(0.1, exponent=0)(layers) == Uniform(0.1)(layers)


@pytest.mark.parametrize("rule", RULES)
def test_layers_kept_dense_are_paid_for_by_the_others(rule):
    layers = [LayerSpec(layer.name, layer.shape, "hidden") for layer in mlp(1700, 6)]
    densities = rule(0.2, keep_dense=["2", "4"])(layers)
    assert densities[1:] == [1.0, 1.0]
    assert links(layers, densities) == round(0.2 * places(layers))


@pytest.mark.parametrize(
    "rule", [Uniform(0.3), UniformPlus(0.6), Intermediate(0.1), ER(0.1), ERK(0.1, keep_dense="output"), ERKPlus(0.1)]
)
def test_twin_critics_pooled_are_a_single_critic_twice(rule):
    pooled = rule([*critic("Ant", "qf0."), *critic("Ant", "qf1.")])
    assert pooled == pytest.approx(2 * rule(critic("Ant")))


SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 300)) | st.tuples(*[st.integers(1, 12)] * 4)


@st.composite
def networks(draw) -> list[LayerSpec]:
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=6))
    return [LayerSpec(f"layer{i}", shape, draw(st.sampled_from(ROLES))) for i, shape in enumerate(shapes)]


@given(
    layers=networks(),
    rule=st.sampled_from([*RULES, lambda density, keep_dense: ERKPlus(density, keep_dense, output_density=0.5)]),
    density=st.floats(1e-4, 0.9999),
    keep_dense=st.sampled_from([(), ("input",), ("output", "hidden")]),
)
def test_the_budget_is_met_or_the_nearest_that_can_be_is_named(layers, rule, density, keep_dense):
    try:
        densities = rule(density, keep_dense)(layers)
    except ValueError as error:
        if "leaves a layer of shape" in str(error):  # the output's own density
            return
        nearest = float(re.search(r"nearest possible density is ([\d.e-]+)$", str(error)).group(1))
        assert nearest != density
        density = nearest
        densities = rule(density, keep_dense)(layers) if nearest < 1 else [1.0] * len(layers)
    assert all(0 < share <= 1 for share in densities)
    budget = density * places(layers)
    assert abs(links(layers, densities) - budget) <= (len(layers) + 1) / 2
    kept = [share for layer, share in zip(layers, densities, strict=True) if layer.role in keep_dense]
    assert kept == [1.0] * len(kept)


def test_the_density_named_is_possible_also_where_it_is_half_a_link():
    layers = [LayerSpec("0", (10, 32), "hidden"), LayerSpec("2", (42, 60), "input")]
    with pytest.raises(ValueError, match=r"nearest possible density is 0\.887501$"):
        Uniform(0.5, keep_dense="input")(layers)
    assert links(layers, Uniform(0.887501, keep_dense="input")(layers)) == 2521


@given(layers=networks(), rule=st.sampled_from(RULES))
def test_density_one_is_dense(layers, rule):
    assert rule(1.0)(layers) == rule(1, keep_dense="input")(layers) == [1.0] * len(layers)


def test_a_uniform_density_comes_back_as_given():
    for density in (0.1, 0.05, 1 / 3):
        assert Uniform(density)(mlp(17, 6)) == [density] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Uniform(0), r"density=0 is outside \(0, 1\]"),
        (lambda: ERK(1.5), r"density=1\.5 is outside \(0, 1\]"),
        (lambda: UniformPlus(0.5, output_floor=0), r"output_floor=0 is outside \(0, 1\]"),
        (lambda: ERKPlus(0.5, output_density=2), r"output_density=2 is outside \(0, 1\]"),
        (lambda: ERKPlus(1, output_density=0.5), "output_density=0.5 must be 1 where density=1 makes all dense"),
        (lambda: Intermediate(0.5, exponent=-1), "exponent=-1 is not a finite number of 0 or more"),
        (lambda: Intermediate(0.5, exponent=float("nan")), "exponent=nan is not"),
        (lambda: Uniform(0.1)([]), "layers is empty"),
        (
            lambda: ERK(0.1, keep_dense="ouput")(mlp(17, 6)),
            r"keep_dense must be one of input, hidden, output, 0, 2, 4, not 'ouput'\. Did you mean output\?",
        ),
        (lambda: ERK(0.1, keep_dense="hidden")(mlp(17, 6)), "density of their own, '2', take 0.9176 of all.* is 0.9176"),
        (lambda: Uniform(0.5, keep_dense=ROLES)(mlp(17, 6)), "density of their own, .*, take 1 of all places; .* is 1$"),
        (lambda: UniformPlus(0.2)(mlp(1700, 6)), "density of their own, '0', '4', take 0.8671 of all places"),
        (lambda: ERKPlus(0.2, output_density=1e-6)(mlp(17, 6)), r"density=1e-06 leaves a layer of shape \(6, 256\)"),
        (
            lambda: ERKPlus(0.995, output_density=0.5)(mlp(17, 6)),
            "density=0.995 cannot be met: '4' would have to be denser than the rule says; .* is 0.9892$",
        ),
        (lambda: ER(1e-5)(mlp(17, 6)), "fewer than one link for each of 3 layers with 71424 places"),
        (lambda: Uniform(0.001)(mlp(17, 1)), r"layer '4' of shape \(1, 256\) would be left without a link; .* is 0.001954$"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()

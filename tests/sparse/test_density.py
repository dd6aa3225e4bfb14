"""Density rules by name, and as values: printed, compared, hashed, pickled."""

import importlib
import pickle

import pytest
from siftrl.sparse import density as density_rules
from siftrl.sparse.density import (
    DISTRIBUTIONS,
    ER,
    ERK,
    ROLES,
    ConstantFanIn,
    Density,
    ErdosRenyiEpsilon,
    ERKPlus,
    Explicit,
    InputOnly,
    Intermediate,
    LayerSpec,
    MatchedToNoise,
    Uniform,
    UniformPlus,
    WithInput,
    distribution,
    n_links,
)

MLP = [LayerSpec("0", (256, 17), ROLES[0]), LayerSpec("2", (256, 256), ROLES[1]), LayerSpec("4", (6, 256), ROLES[2])]

RULES = [
    (Uniform(0.1), "Uniform(density=0.1, keep_dense=())"),
    (UniformPlus(0.1), "UniformPlus(density=0.1, keep_dense=(), output_floor=0.2)"),
    (Intermediate(0.1), "Intermediate(density=0.1, keep_dense=(), exponent=0.2)"),
    (ER(0.1, keep_dense=["output"]), "ER(density=0.1, keep_dense=('output',))"),
    (ERK(0.1), "ERK(density=0.1, keep_dense=())"),
    (ERKPlus(0.1, output_density=0.5), "ERKPlus(density=0.1, keep_dense=(), output_density=0.5)"),
    (ErdosRenyiEpsilon(7.0), "ErdosRenyiEpsilon(epsilon=7.0, keep_dense=())"),
    (ErdosRenyiEpsilon({"input": 7}), "ErdosRenyiEpsilon(epsilon=(('input', 7),), keep_dense=())"),
    (InputOnly(0.2), "InputOnly(density=0.2, keep_dense=())"),
    (Explicit({"input": 0.05}), "Explicit(densities=(('input', 0.05),), default=1.0)"),
    (WithInput(0.01, ERK(0.1)), "WithInput(density=0.01, rest=ERK(density=0.1, keep_dense=()))"),
    (MatchedToNoise(153), "MatchedToNoise(n_noise=153, rest=Uniform(density=1.0, keep_dense=()))"),
    (ConstantFanIn(ER(0.1)), "ConstantFanIn(rule=ER(density=0.1, keep_dense=()))"),
]


@pytest.mark.parametrize(("rule", "text"), RULES)
def test_rules_print_as_they_are_built_and_survive_pickling(rule, text):
    assert repr(rule) == text
    again = pickle.loads(pickle.dumps(rule))
    assert again == rule
    assert hash(again) == hash(rule)


def test_every_rule_can_be_had_from_here():
    modules = [importlib.import_module(f"siftrl.sparse.{kind}_density") for kind in ("global", "layer", "composed")]
    rules = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Density) and value.__module__ == module.__name__
    }
    without_a_base = {name for name in rules if not getattr(density_rules, name, Density).__abstractmethods__}
    assert {type(rule).__name__ for rule, _ in RULES} == without_a_base
    assert set(density_rules.__all__) <= set(vars(density_rules))


def test_rules_are_equal_however_they_are_written():
    assert ER(0.1, keep_dense="output") == ER(0.1, keep_dense=["output"]) == distribution("er", 0.1, {"output"})
    assert ER(0.1, keep_dense=["0", "output"]) == ER(0.1, keep_dense=("output", "0"))
    assert Explicit({"0": 0.1, "2": 0.2}) == Explicit({"2": 0.2, "0": 0.1}) == Explicit((("0", 0.1), ("2", 0.2)))
    assert ER(0.1) != ERK(0.1)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_distribution_can_be_had_by_name(name):
    rule = distribution(name, 0.5, keep_dense="output")
    assert rule == DISTRIBUTIONS[name](0.5, ["output"])
    densities = rule(MLP)
    assert densities[2] == 1.0
    assert all(0 < density <= 1 for density in densities)


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name not in ("input", "constant-fan-in")])
def test_a_global_density_is_met_to_within_rounding(name):
    counts = [n_links(layer.shape, density) for layer, density in zip(MLP, distribution(name, 0.15)(MLP), strict=True)]
    assert sum(counts) == pytest.approx(0.15 * 71424, abs=1.5)


def test_the_constant_fan_in_by_name_is_erks_whole_links():
    assert distribution("constant-fan-in", 0.1, "output") == ConstantFanIn(ERK(0.1, "output"))


@pytest.mark.parametrize(("name", "answer"), [("erkk", r"'erkk'\. Did you mean erk\?$"), ("zipf", r"'zipf'\.$")])
def test_an_unknown_distribution_is_answered_with_the_valid_ones(name, answer):
    with pytest.raises(ValueError, match=rf"distribution must be one of uniform, uniform\+, .*, input, not {answer}"):
        distribution(name, 0.1)

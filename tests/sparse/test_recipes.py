"""Recipes as a table, and what a user's wishes do to them."""

import pickle
from dataclasses import replace

import pytest
from siftrl.sparse.density import (
    ER,
    ERK,
    ConstantFanIn,
    ErdosRenyiEpsilon,
    InputOnly,
    LayerSpec,
    MatchedToNoise,
    Uniform,
    WithInput,
)
from siftrl.sparse.drop import GlobalMagnitude, Magnitude, RandomDrop, SetSigned, Threshold, WholeFeatures
from siftrl.sparse.grow import EvidenceGrowth, FanInGrowth, GradientGrowth, MomentumGrowth, NeverTriedFirst, RandomGrowth
from siftrl.sparse.recipes import RECIPES, Recipe, resolve
from siftrl.sparse.schedules import Falling, Schedule

MLP = [LayerSpec("0", (256, 170), "input"), LayerSpec("2", (256, 256), "hidden"), LayerSpec("4", (6, 256), "output")]

# Name: density, drop, grow, period, fraction, decay. Published or stated in the recipe's docstring.
EXPECTED = {
    "dense": (Uniform(1.0), None, None, None, None, None),
    "static": (ERK(0.2), None, None, None, None, None),
    "set": (ERK(0.2), SetSigned(), RandomGrowth(), 1000, 0.05, "constant"),
    "rigl": (ERK(0.2), Magnitude(), GradientGrowth(window_updates=1), 1000, 0.3, "cosine"),
    "snfs": (ERK(0.2), Magnitude(), MomentumGrowth(window_updates=50), 1000, 0.5, "cosine"),
    "itop": (ERK(0.2), Magnitude(), NeverTriedFirst(), 4000, 0.5, "constant"),
    "gmp": (Falling(Uniform(1.0), ERK(0.1)), GlobalMagnitude(floor=0.01), RandomGrowth(), 1000, 0.0, "constant"),
    "granet": (Falling(ERK(0.5), ERK(0.1)), GlobalMagnitude(floor=0.01), GradientGrowth(), 1000, 0.5, "cosine"),
    "srigl": (ConstantFanIn(ERK(0.1)), Magnitude(), FanInGrowth(), 1000, 0.3, "cosine"),
    "ds": (ErdosRenyiEpsilon({"input": 7, "hidden": 64}, ("output",)), SetSigned(), RandomGrowth(), 1000, 0.05, "constant"),
    "anf": (InputOnly(0.2), Magnitude(), RandomGrowth(), 1000, 0.05, "constant"),
    "anf-gradient": (InputOnly(0.2), Magnitude(), GradientGrowth(window_updates=100), 1000, 0.05, "constant"),
    "anf-features": (InputOnly(0.2), WholeFeatures(), RandomGrowth(), 1000, 0.05, "constant"),
    "anf-shared": (InputOnly(0.2), Magnitude(), EvidenceGrowth(), 1000, 0.05, "constant"),
    "anf-falling": (Falling(InputOnly(0.2), InputOnly(0.02)), Magnitude(), RandomGrowth(), 1000, 0.05, "constant"),
    "sift": (InputOnly(0.2), None, None, None, None, None),
    "sift-anew": (InputOnly(0.2), None, None, None, None, None),
    "oracle": (InputOnly(0.2), None, None, None, None, None),
    "graesser-static": (ERK(0.1), None, None, None, None, None),
    "graesser-set": (ERK(0.1), Magnitude(), RandomGrowth(), 250, 0.3, "cosine"),
    "graesser-rigl": (ERK(0.1), Magnitude(), GradientGrowth(), 1000, 0.5, "cosine"),
    "graesser-prune": (Falling(Uniform(1.0), ERK(0.1), 0.25), Magnitude(), RandomGrowth(), 1000, 0.0, "constant"),
    "rlx2": (ER(0.1), Magnitude(), GradientGrowth(window_updates=1), 10_000, 0.5, "cosine"),
}


def budget(recipe):
    """The rule that a user's wish for a density replaces."""
    return getattr(recipe.density, "end", getattr(recipe.density, "rule", recipe.density))


def test_factors_replace_a_recipes_own_density_and_keep_the_rest():
    own = resolve("ds").density
    assert resolve("ds", epsilon={"input": 40}).density == replace(own, epsilon={"input": 40, "hidden": 64})
    static = resolve("static", epsilon={"input": 7, "hidden": 64})
    assert (static.density, static.rewires) == (own, False)
    assert resolve("gmp", epsilon={}).density == replace(resolve("gmp").density, end=own)
    with pytest.raises(ValueError, match="epsilon says how dense"):
        resolve("ds", epsilon={"input": 40}, density=0.1)


@pytest.mark.parametrize("name", RECIPES)
class TestEveryRecipe:
    def test_it_is_what_its_row_says(self, name):
        recipe = RECIPES[name]()
        schedule = recipe.schedule
        fields = (None,) * 3 if schedule is None else (schedule.period_updates, schedule.fraction, schedule.decay)
        assert (recipe.density, recipe.drop, recipe.grow, *fields) == EXPECTED[name]

    def test_it_never_regrows_and_never_stops_by_itself(self, name):
        recipe = RECIPES[name]()
        assert recipe.grow is None or not recipe.grow.allow_regrowth
        assert recipe.schedule is None or recipe.schedule.stop_updates is None

    def test_it_allots_a_legal_density_to_every_layer(self, name):
        assert all(0 < density <= 1 for density in RECIPES[name]().density(MLP))

    def test_it_resolves_compares_and_pickles(self, name):
        assert resolve(name) == RECIPES[name]() == pickle.loads(pickle.dumps(resolve(name)))

    def test_every_kind_of_budget_applies(self, name):
        assert budget(resolve(name, density=0.1)) == ERK(0.1)
        assert budget(resolve(name, density=0.1, distribution="uniform")) == Uniform(0.1)
        assert budget(resolve(name, input_density=0.05)) == InputOnly(0.05)
        assert budget(resolve(name, density=0.1, input_density=0.05)) == WithInput(0.05, ERK(0.1))

    def test_a_budget_leaves_the_method_as_it_is(self, name):
        own, wished = resolve(name).density, resolve(name, density=0.05).density
        if isinstance(own, Falling | ConstantFanIn):
            assert type(wished) is type(own)
        if isinstance(own, Falling):
            assert (wished.start, wished.begin) == (own.start, own.begin)
            assert any(end < start for start, end in zip(wished(MLP), wished.end(MLP), strict=True))

    def test_schedule_fields_replace_the_recipes_own(self, name):
        if not resolve(name).rewires:
            with pytest.raises(ValueError, match="never rewires"):
                resolve(name, period_updates=7)
            return
        recipe = resolve(name, period_updates=7, stop_updates=70)
        assert recipe.schedule == replace(resolve(name).schedule, period_updates=7, stop_updates=70)
        assert (recipe.drop, recipe.grow) == (resolve(name).drop, resolve(name).grow)


def test_a_recipe_passes_through():
    recipe = Recipe(ERK(0.3), RandomDrop(), RandomGrowth(), Schedule())
    assert resolve(recipe) is recipe
    assert resolve(recipe, fraction=0.5).schedule.fraction == 0.5


@pytest.mark.parametrize(
    ("recipe", "wishes", "message"),
    [
        ("riglet", {}, r"recipe must be one of .*, not 'riglet'\. Did you mean rigl\?"),
        ("", {}, r"recipe must be one of dense, .*, not ''\.$"),
        ("set", {"period": 5}, r"parameter must be one of .*, not 'period'\. Did you mean period_updates\?"),
        ("set", {"density": 0.1, "distribution": "erdos"}, r"distribution must be one of .*, not 'erdos'\.$"),
        ("set", {"distribution": "erk"}, "needs a density"),
        ("set", {"density": 0.0}, "density=0.0"),
        ("set", {"input_density": 1.5}, "density=1.5"),
        ("set", {"fraction": 1.5}, "fraction=1.5"),
    ],
)
def test_bad_wishes_are_named(recipe, wishes, message):
    with pytest.raises(ValueError, match=message):
        resolve(recipe, **wishes)


@pytest.mark.parametrize("recipe", [None, 3, {"actor": "set"}, RECIPES["set"]])
def test_what_is_no_recipe_is_refused(recipe):
    with pytest.raises(TypeError, match="must be a name or a Recipe"):
        resolve(recipe)


@pytest.mark.parametrize("missing", ["drop", "grow", "schedule"])
def test_a_recipe_rewires_wholly_or_not_at_all(missing):
    parts = {"drop": Magnitude(), "grow": RandomGrowth(), "schedule": Schedule(), missing: None}
    with pytest.raises(ValueError, match="all be given or all be None"):
        Recipe(ERK(0.1), **parts)


FALL = Falling(ERK(0.5), ERK(0.1))


@pytest.mark.parametrize(
    "density",
    [
        WithInput(0.05, FALL),
        MatchedToNoise(9, FALL),
        ConstantFanIn(FALL),
        ConstantFanIn(WithInput(0.05, FALL)),
        Falling(FALL, ERK(0.05)),
        Falling(ERK(0.9), FALL),
    ],
)
def test_a_fall_within_another_rule_is_refused(density):
    grow = FanInGrowth() if isinstance(density, ConstantFanIn) else RandomGrowth()
    with pytest.raises(ValueError, match=r"density=.* must have its Falling rule outermost"):
        Recipe(density, Magnitude(), grow, Schedule(stop_updates=5000))


@pytest.mark.parametrize(
    ("density", "drop", "grow", "message"),
    [
        (Falling(ERK(0.5), ERK(0.1)), Threshold(0.1), RandomGrowth(), r"drop=Threshold\(threshold=0\.1\) must drop exact"),
        (Falling(ERK(0.5), ERK(0.1)), None, None, "drop=None must drop exact numbers of links for a density that falls"),
        (Falling(ERK(0.5), ERK(0.1)), Magnitude(), FanInGrowth(), "density=Falling.* must be a ConstantFanIn rule"),
        (ERK(0.1), Magnitude(), FanInGrowth(), "density=ERK.* must be a ConstantFanIn rule: grow=FanInGrowth"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(density, drop, grow, message):
    with pytest.raises(ValueError, match=message):
        Recipe(density, drop, grow, Schedule() if drop else None)

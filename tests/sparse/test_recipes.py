"""Recipes as a table, and what a user's wishes do to them."""

import pickle
from dataclasses import replace

import pytest
from siftrl.sparse.criteria import GradientGrowth, RandomGrowth, magnitude, random_links, set_signed
from siftrl.sparse.density import ERK, ErdosRenyiEpsilon, InputOnly, LayerSpec, Uniform, WithInput
from siftrl.sparse.recipes import RECIPES, Recipe, resolve
from siftrl.sparse.schedules import Schedule

MLP = [LayerSpec("0", (256, 170), "input"), LayerSpec("2", (256, 256), "hidden"), LayerSpec("4", (6, 256), "output")]

# Name: density, drop, grow, period, fraction, decay. Published or stated in the recipe's docstring.
EXPECTED = {
    "dense": (Uniform(1.0), None, None, None, None, None),
    "static": (ERK(0.2), None, None, None, None, None),
    "set": (ERK(0.2), set_signed, RandomGrowth(), 1000, 0.05, "constant"),
    "rigl": (ERK(0.2), magnitude, GradientGrowth(), 1000, 0.3, "cosine"),
    "anf": (InputOnly(0.2), magnitude, RandomGrowth(), 1000, 0.05, "constant"),
    "ds": (
        ErdosRenyiEpsilon({"input": 7.0, "hidden": 64.0}, keep_dense=("output",)),
        set_signed,
        RandomGrowth(),
        1000,
        0.05,
        "constant",
    ),
}


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
        assert resolve(name, density=0.1).density == ERK(0.1)
        assert resolve(name, density=0.1, distribution="uniform").density == Uniform(0.1)
        assert resolve(name, input_density=0.05).density == InputOnly(0.05)
        assert resolve(name, density=0.1, input_density=0.05).density == WithInput(0.05, ERK(0.1))

    def test_schedule_fields_replace_the_recipes_own(self, name):
        if not resolve(name).rewires:
            with pytest.raises(ValueError, match="never rewires"):
                resolve(name, period_updates=7)
            return
        recipe = resolve(name, period_updates=7, stop_updates=70)
        assert recipe.schedule == replace(resolve(name).schedule, period_updates=7, stop_updates=70)
        assert (recipe.drop, recipe.grow) == (resolve(name).drop, resolve(name).grow)


def test_a_recipe_passes_through():
    recipe = Recipe(ERK(0.3), random_links, RandomGrowth(), Schedule())
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
    parts = {"drop": magnitude, "grow": RandomGrowth(), "schedule": Schedule(), missing: None}
    with pytest.raises(ValueError, match="all be given or all be None"):
        Recipe(ERK(0.1), **parts)

"""The search space: what goes with the recipe, less what is fixed, plus what is wished."""

import dataclasses

import pytest
from siftrl.agents import SAC
from siftrl.envs import make_ene
from siftrl.sparse.recipes import RECIPES
from siftrl.training.agent import agent_arguments
from siftrl.training.config import RunConfig
from siftrl.tuning.defaults import own_values
from siftrl.tuning.space import distributions, search_space
from siftrl.tuning.values import Choices, Range

ALWAYS = {"learning_rate", "weight_decay"}
REWIRING = ALWAYS | {"period_updates", "drop_fraction"}
OF_RECIPE = {
    "dense": ALWAYS,
    "static": ALWAYS | {"density"},
    "graesser-static": ALWAYS | {"density"},
    "ds": REWIRING,
    "rlx2": REWIRING,
    "gmp": ALWAYS | {"density", "period_updates"},
    "graesser-prune": ALWAYS | {"density", "period_updates"},
    "anf": REWIRING | {"input_density"},
    "anf-falling": REWIRING | {"input_density"},
    "set": REWIRING | {"density"},
    "granet": REWIRING | {"density"},
    "srigl": REWIRING | {"density"},
}


@pytest.mark.parametrize("recipe", OF_RECIPE)
def test_each_recipe_is_searched_over_what_it_has(recipe):
    assert search_space(RunConfig(recipe=recipe)).keys() == OF_RECIPE[recipe]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("algo", ["sac", "td3"])
def test_the_recipes_own_values_are_in_its_space(recipe, algo):
    base = RunConfig(recipe=recipe, algo=algo)
    space = search_space(base)
    own = own_values(base)
    assert all(own[name] in values for name, values in space.items())


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_agent_can_be_made_at_both_ends_of_everything(recipe):
    env = make_ene("Pendulum-v1", noise_fraction=0.99)
    base = RunConfig(recipe=recipe, n_timesteps=2000)
    space = search_space(base)
    for end in (0, -1):
        config = dataclasses.replace(base, **{name: values.extremes[end] for name, values in space.items()})
        policy_kwargs, _ = agent_arguments(config, env, config.n_timesteps)
        SAC("SparseMlpPolicy", env, policy_kwargs=policy_kwargs, buffer_size=1, device="cpu")


def test_short_runs_rewire_twice_before_their_schedule_ends():
    assert search_space(RunConfig(recipe="set", n_timesteps=3000))["period_updates"] == Range(100, 1160)
    assert "period_updates" not in search_space(RunConfig(recipe="set", n_timesteps=300)), "there is no room for it"
    assert search_space(RunConfig(recipe="set"))["period_updates"] == Range(100, 5000)


def test_what_is_given_or_kept_is_not_searched():
    base = RunConfig(recipe="anf", input_density=0.1, learning_rate=1e-3)
    assert search_space(base, ["input_density", "learning_rate"], kept=["weight_decay"]).keys() == {
        "period_updates", "drop_fraction"
    }  # fmt: skip


def test_a_wish_narrows_or_adds():
    space = search_space(RunConfig(recipe="ds"), wishes={"density": Range(0.1, 0.2), "batch_size": Choices((64, 256))})
    assert space["density"] == Range(0.1, 0.2)
    assert space["batch_size"] == Choices((64, 256))


@pytest.mark.parametrize("wish", ["input_epsilon", "actor_density"])
def test_who_wishes_for_links_by_layer_or_network_has_said_how_many(wish):
    values = Range(1.0, 20.0) if wish == "input_epsilon" else Range(0.1, 0.2)
    assert "density" not in search_space(RunConfig(recipe="set"), wishes={wish: values})


def test_the_recipes_own_weight_decay_is_among_the_choices():
    assert search_space(RunConfig(hparams="paper"))["weight_decay"] == Choices((0.0, 1e-6, 1e-4, 2e-4, 1e-3))


@pytest.mark.parametrize(
    ("options", "arguments", "sentence"),
    [
        ({"recipe": "sett"}, {}, r"recipe must be one of .*, not 'sett'\. Did you mean set\?"),
        ({"density": 0.1}, {"given": ["density"], "wishes": {"density": Range(0.1, 0.5)}},
         r"density is both fixed to 0\.1 and searched"),
        ({"recipe": "dense"}, {"kept": ["density"]}, "density cannot be kept: only learning-rate, weight-decay would be"),
        ({}, {"kept": ["weight_decay"], "wishes": {"weight_decay": Choices((0.0,))}}, "cannot be kept: it is searched"),
        ({"recipe": "dense"}, {"kept": ["learning_rate", "weight_decay"]}, "nothing is left to search"),
        ({"recipe": "static"}, {"wishes": {"period_updates": Range(100, 200)}},
         "period-updates cannot be searched: recipe static never rewires"),
        ({}, {"wishes": {"density": Range(0.1, 1.5)}}, r"density must be above 0 and at most 1, not 1\.5"),
        ({"recipe": "set"}, {"wishes": {"distribution": Choices(("erk", "unifrom"))}},
         "not 'unifrom'. Did you mean uniform"),
        ({"recipe": "set", "n_timesteps": 3000}, {"wishes": {"learning_starts": Range(100, 5000)}},
         r"learning-starts must be below n-timesteps \(3000\), not 5000"),
        ({"recipe": "set"}, {"wishes": {"recipe": Choices(("set", "rigel"))}}, "not 'rigel'. Did you mean rigl"),
        ({"recipe": "set"}, {"wishes": {"recipe": Choices(("set", "anf"))}},
         "recipes of one search must have the same hyper-parameters; set has density, .*, and anf has input-density"),
        ({"recipe": "set"}, {"wishes": {"recipe": Choices(("set", "dense"))}},
         "period-updates cannot be searched: recipe dense never rewires"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_in_one_sentence(options, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        search_space(RunConfig(**options), **arguments)


def test_growth_rules_are_compared_within_one_search():
    wish = {"recipe": Choices(("set", "rigl", "snfs"))}
    assert "recipe" in search_space(RunConfig(recipe="set"), wishes=wish)


def test_optuna_gets_the_same_space():
    space = {
        "density": Range(0.01, 0.5),
        "batch_size": Range(64, 256),
        "drop_fraction": Range(0.0, 0.5),
        "recipe": Choices(("set",)),
    }
    found = distributions(space)
    assert (found["density"].low, found["density"].high, found["density"].log) == (0.01, 0.5, True)
    assert found["batch_size"].to_external_repr(64.0) == 64
    assert not found["drop_fraction"].log
    assert found["recipe"].choices == ("set",)

"""A recipe's own values are those that its runs train with."""

import pytest
from siftrl.sparse.recipes import RECIPES
from siftrl.training.config import RunConfig
from siftrl.tuning.defaults import own_values

NUMBERS = ("learning_rate", "weight_decay", "period_updates", "drop_fraction", "density", "input_density")


@pytest.mark.parametrize("hparams", ["sb3", "paper"])
@pytest.mark.parametrize("algo", ["sac", "td3"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_giving_the_own_values_changes_no_hyper_parameter(recipe, algo, hparams):
    base = RunConfig(recipe=recipe, algo=algo, hparams=hparams)
    own = own_values(base)
    again = own_values(RunConfig(**{**base.to_dict(), **{name: own[name] for name in NUMBERS if name in own}}))
    assert again == own


def test_what_is_given_is_the_own_value():
    assert own_values(RunConfig(recipe="set", density=0.03, learning_rate=1e-2))["density"] == 0.03


def test_own_values_of_some_recipes():
    own = own_values(RunConfig(recipe="graesser-set", hparams="paper"))
    assert (own["density"], own["period_updates"], own["drop_fraction"], own["weight_decay"]) == (0.1, 250, 0.3, 2e-4)
    assert "period_updates" not in own_values(RunConfig(recipe="static"))
    assert not {"density", "input_density"} & own_values(RunConfig(recipe="ds")).keys()
    assert not {"density", "input_density"} & own_values(RunConfig(recipe="rlx2")).keys()
    assert own_values(RunConfig(algo="td3"))["learning_rate"] == 1e-3


def test_a_quiet_start_has_its_own_random_steps():
    assert own_values(RunConfig(recipe="set", quiet_start=True))["learning_starts"] == 1_000

"""What a configuration's options become as arguments of the policy and the algorithm."""

import pytest
from siftrl.training.agent import agent_arguments
from siftrl.training.config import RunConfig
from siftrl.training.environments import make_vec_env


def arguments(**options):
    config = RunConfig(env="Pendulum-v1", noise=0.5, **options)
    return agent_arguments(config, make_vec_env(config.ene_kwargs(), seed=0), planned_timesteps=10_000)


@pytest.mark.parametrize("hparams", ["sb3", "paper"])
def test_single_hyper_parameters_go_before_those_of_the_preset(hparams):
    own = {"learning_rate": 5e-4, "batch_size": 32, "learning_starts": 7}
    policy_kwargs, algorithm_kwargs = arguments(hparams=hparams, weight_decay=0.5, **own)
    assert own.items() <= algorithm_kwargs.items()
    assert policy_kwargs["optimizer_kwargs"] == {"weight_decay": 0.5}


def test_the_period_counts_updates_of_the_critics_for_both_networks():
    schedules = arguments(algo="td3", period_updates=60, drop_fraction=0.3)[0]["recipe_kwargs"]
    assert schedules == {
        "actor": {"period_updates": 30, "fraction": 0.3},
        "critic": {"period_updates": 60, "fraction": 0.3},
    }


def test_a_schedule_that_falls_ends_at_a_share_of_the_updates_that_remain_after_the_warm_up():
    schedules = arguments(recipe="rigl", learning_starts=2_000)[0]["recipe_kwargs"]
    assert schedules["actor"]["stop_updates"] == int(0.8 * 8_000)


def test_a_schedule_for_what_never_rewires_is_refused():
    with pytest.raises(ValueError, match="never rewires"):
        arguments(recipe="dense", period_updates=10)

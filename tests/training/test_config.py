"""RunConfig: every field has a flag, a checked value and a way through JSON."""

import dataclasses
import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.envs import make_ene
from siftrl.training.config import RunConfig
from siftrl.training.options import OptionParser, spelling

FIELDS = dataclasses.fields(RunConfig)

# One valid value for each field, none of them its default.
OTHER_VALUES = {
    "algo": "td3",
    "recipe": "set",
    "hparams": "paper",
    "density": 0.25,
    "input_density": 0.125,
    "distribution": "erk",
    "actor_density": 0.25,
    "critic_density": 0.125,
    "input_epsilon": 40.0,
    "hidden_epsilon": 80.0,
    "width": 128,
    "quiet_start": True,
    "learning_rate": 1e-3,
    "batch_size": 64,
    "weight_decay": 1e-4,
    "learning_starts": 20,
    "period_updates": 50,
    "drop_fraction": 0.5,
    "env": "Hopper-v5",
    "n_envs": 3,
    "noise": 0.95,
    "noise_distribution": "autoregressive",
    "noise_std": 2.5,
    "noise_correlation": 0.5,
    "replay_noise": "fresh",
    "permute": True,
    "permute_every": 100,
    "permutation_seed": 7,
    "on_permute": "remap",
    "n_timesteps": 123,
    "seed": 5,
    "buffer_size": 1000,
    "trained_agent": "logs/x",
    "log_folder": "elsewhere",
    "tensorboard_log": "tb",
    "eval_freq": 17,
    "eval_episodes": 2,
    "save_freq": 19,
    "progress": True,
    "verbose": 0,
    "device": "cpu",
    "threads": 2,
}


def test_the_table_of_values_is_complete():
    assert set(OTHER_VALUES) == {field.name for field in FIELDS}
    assert all(OTHER_VALUES[field.name] != field.default for field in FIELDS)


def test_options_that_need_others_are_refused_in_new_runs_alone():
    for options in ({"on_permute": "clear"}, {"permutation_seed": 1}, {"permute": True, "on_permute": "remap"}):
        config = RunConfig(**options)
        with pytest.raises(ValueError, match="needs --permute"):
            config.check_new()
    for options in ({}, {"permute": True, "permutation_seed": 1}, {"permute_every": 9, "on_permute": "clear"}):
        RunConfig(**options).check_new()


def test_threads_may_be_torchs_own_number_as_in_runs_of_earlier_versions():
    assert RunConfig.from_dict({**RunConfig().to_dict(), "threads": None}).threads is None
    with pytest.raises(ValueError, match="n-envs must be of type int, not None"):
        RunConfig(n_envs=None)


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_each_field_goes_through_json_and_through_its_flag(name):
    companions = {"noise_distribution": "autoregressive"} if name == "noise_correlation" else {}
    config = RunConfig(**{name: OTHER_VALUES[name]}, **companions)
    assert RunConfig.from_json(config.to_json()) == config
    parser = OptionParser(prog="train.py")
    parser.add_options(RunConfig)
    value = [] if OTHER_VALUES[name] is True else [str(OTHER_VALUES[name])]
    assert RunConfig(**parser.parse_options([f"--{spelling(name)}", *value]), **companions) == config


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field.type.startswith(("int", "float"))], ids=lambda f: f.name
)
def test_numbers_have_a_rule_and_refuse_minus_one(field):
    with pytest.raises(ValueError, match=spelling(field.name)):
        RunConfig(**{field.name: -1})


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**9), st.integers(0, 2**32 - 1))
def test_numbers_survive_json_exactly(noise, steps, seed):
    config = RunConfig(noise=noise, n_timesteps=steps, seed=seed)
    assert RunConfig.from_json(config.to_json()) == config


def test_unknown_options_are_named_with_the_closest_one():
    with pytest.raises(ValueError, match=r"no option 'nosie'\. Did you mean noise\?"):
        RunConfig.from_dict({"nosie": 0.9})
    with pytest.raises(ValueError, match="JSON object"):
        RunConfig.from_json(json.dumps([1]))


def test_one_order_for_good_excludes_a_new_one_now_and_then():
    with pytest.raises(ValueError, match="exclude each other"):
        RunConfig(permute=True, permute_every=10)


def test_a_correlation_is_that_of_noise_with_a_memory():
    assert RunConfig(noise_distribution="autoregressive", noise_correlation=0.5).noise_correlation == 0.5
    with pytest.raises(ValueError, match="noise-correlation is that of autoregressive noise, and this is brownian"):
        RunConfig(noise_distribution="brownian", noise_correlation=0.5)


def test_factors_of_layers_are_gathered_by_role():
    assert RunConfig().epsilon() is None
    assert RunConfig(input_epsilon=40).epsilon() == {"input": 40}
    assert RunConfig(input_epsilon=40, hidden_epsilon=80).epsilon() == {"input": 40, "hidden": 80}


def test_the_environment_is_described_in_words_that_make_ene_knows():
    assert set(RunConfig().ene_kwargs()) <= set(inspect.signature(make_ene).parameters)

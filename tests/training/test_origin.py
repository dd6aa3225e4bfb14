"""Continuing: what may change, and how many steps remain."""

from pathlib import Path

import pytest
from siftrl.training.archive import Provenance
from siftrl.training.config import RunConfig
from siftrl.training.origin import Origin, continued_config


def origin(done=400, **options):
    config = RunConfig(**{"env": "Hopper-v5", "noise": 0.5, "n_timesteps": 1000, "log_folder": "a", **options})
    return Origin(Path("checkpoint.zip"), Provenance(config, 0, done), has_replay=True)


def test_without_a_number_the_steps_that_the_run_lacks_follow():
    config = continued_config({"trained_agent": "run"}, origin())
    assert config.n_timesteps == 1000
    assert (config.env, config.noise, config.trained_agent) == ("Hopper-v5", 0.5, "run")


def test_a_number_means_further_steps():
    assert continued_config({"n_timesteps": 50}, origin()).n_timesteps == 450


def test_a_run_that_is_over_needs_a_number():
    with pytest.raises(ValueError, match=r"has done its 1,000 steps; say how many further ones with -n"):
        continued_config({}, origin(done=1000))


def test_recording_and_machine_may_change():
    given = {"log_folder": "b", "eval_freq": 7, "device": "cpu", "verbose": 0, "progress": True}
    config = continued_config(given, origin())
    assert given.items() <= config.to_dict().items()


@pytest.mark.parametrize(
    "given", [{"noise": 0.6}, {"algo": "td3"}, {"recipe": "set"}, {"seed": 1}, {"buffer_size": 5}, {"n_envs": 2}]
)
def test_what_was_learnt_from_may_not_change(given):
    with pytest.raises(ValueError, match="cannot become"):
        continued_config(given, origin())
    same = {name: getattr(origin().provenance.config, name) for name in given}
    assert continued_config(same, origin()).n_timesteps == 1000

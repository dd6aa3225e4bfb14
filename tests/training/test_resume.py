"""Resuming: what may change in a run that goes on in its folder, and how many steps remain."""

import json

import pytest
from siftrl.training.config import RunConfig
from siftrl.training.resume import resumed_config

SAVED = RunConfig(env="Hopper-v5", noise=0.5, n_timesteps=1000, log_folder="a", eval_freq=70)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": SAVED.to_dict()}))
    return tmp_path


def test_the_run_keeps_its_options_and_its_end(folder):
    assert resumed_config({"trained_agent": str(folder)}, folder, 400, is_over=False) == SAVED


def test_a_number_means_further_steps(folder):
    assert resumed_config({"n_timesteps": 50}, folder, 1000, is_over=True).n_timesteps == 1050


def test_a_run_that_is_over_says_so(folder):
    with pytest.raises(ValueError, match=r"has done its 1,000 steps; say how many further ones with -n"):
        resumed_config({}, folder, 1000, is_over=True)
    # Stopped in its last evaluation, or in a run of more steps since.
    assert resumed_config({}, folder, 1000, is_over=False) == SAVED
    assert resumed_config({}, folder, 900, is_over=True) == SAVED


def test_machine_and_display_may_change(folder):
    given = {"device": "cpu", "threads": 1, "verbose": 0, "progress": True}
    assert given.items() <= resumed_config(given, folder, 400, is_over=False).to_dict().items()


@pytest.mark.parametrize("given", [{"noise": 0.6}, {"seed": 1}, {"eval_freq": 5}, {"log_folder": "b"}, {"save_freq": 1}])
def test_all_else_stays(given, folder):
    with pytest.raises(ValueError, match="in the run to go on with and cannot become"):
        resumed_config(given, folder, 400, is_over=False)
    same = {name: getattr(SAVED, name) for name in given}
    assert resumed_config(same, folder, 400, is_over=False) == SAVED


def test_where_events_go_has_many_spellings(folder, monkeypatch):
    saved = RunConfig(tensorboard_log="tb").to_dict()  # as a run of an earlier version says it
    (folder / "config.json").write_text(json.dumps({"config": saved}))
    monkeypatch.chdir(folder)
    whole = str(folder / "tb")
    for given in ({}, {"tensorboard_log": "tb"}, {"tensorboard_log": "./x/../tb"}, {"tensorboard_log": whole}):
        assert resumed_config(given, folder, 400, is_over=False).tensorboard_log == whole
    with pytest.raises(ValueError, match=r"tensorboard-log is .*/tb in the run to go on with and cannot become .*/other"):
        resumed_config({"tensorboard_log": "other"}, folder, 400, is_over=False)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"config": {"algo": "x"}}'])
def test_options_that_cannot_be_read_are_named(content, folder):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"cannot read the options of the run, .*config\.json"):
        resumed_config({}, folder, 400, is_over=False)

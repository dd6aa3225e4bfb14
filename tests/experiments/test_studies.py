"""The study files: every run can be made, and there are as many as each part says."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import siftrl
from siftrl.agents.presets import PRESETS
from siftrl.sweeps.study import Study
from siftrl.training.agent import learning_starts

FOLDER = Path(siftrl.__file__).parent / "experiments"
STUDIES = ["anf", "ds", "graesser", "rlx2", "transfer", "noise"]

every_study = pytest.mark.parametrize("name", STUDIES)


@cache
def load(name):
    return Study.from_file(FOLDER / f"{name}.toml")


@every_study
def test_a_study_is_named_like_its_file(name):
    assert load(name).name == name


@every_study
def test_each_part_has_as_many_runs_as_it_states(name):
    text = (FOLDER / f"{name}.toml").read_text()
    stated = [int(number) for number in re.findall(r"^\[\[parts\]\]  # (\d+) runs$", text, re.MULTILINE)]
    parts = [part["name"] for part in tomllib.loads(text)["parts"]]
    assert [len(load(name).runs(parts=[part])) for part in parts] == stated


@every_study
def test_each_configuration_builds_an_agents_arguments(name):
    configs = {run.config for run in load(name).runs(seeds=1)}
    for config in configs:
        assert config.recipe in PRESETS
        assert learning_starts(config) >= 0  # which the whole preset is built for


@every_study
def test_a_hundredth_of_a_study_is_a_study(name):
    study = load(name)
    small = study.runs(scale=0.01, seeds=1)
    assert {(run.method, run.parts) for run in small} == {(run.method, run.parts) for run in study.runs(seeds=1)}
    for run in small:
        assert run.config.n_timesteps % run.config.eval_freq == 0
        assert run.config.learning_starts < run.config.n_timesteps

"""Which agents a path means, and what their methods are called."""

import json
import shutil
import zipfile
from hashlib import sha256

import pytest
import stable_baselines3 as sb3
from siftrl.robustness.subjects import find_subjects, method_names
from siftrl.training.archive import PROVENANCE
from siftrl.training.config import RunConfig
from siftrl.training.launch import run_hash


def test_a_zip_a_run_and_a_folder_of_runs(runs):
    every = find_subjects([runs])
    assert [subject.name for subject in every] == [
        "sac-dense/InvertedPendulum-v5_0_s0_8",
        "sac-dense/InvertedPendulum-v5_0_s1_8",
        "sac-set/InvertedPendulum-v5_0_s0_8",
    ]
    assert len({subject.fingerprint for subject in every}) == 3
    run = every[0].path.parent
    assert find_subjects([run]) == find_subjects([run / "model.zip"]) == every[:1]
    assert find_subjects([run, runs, run]) == every  # each once


def test_a_fingerprint_is_of_the_weights(runs, tmp_path):
    (subject, other, _) = find_subjects([runs])
    copy = shutil.copy(subject.path, tmp_path / "copy.zip")
    assert find_subjects([copy])[0].fingerprint == subject.fingerprint != other.fingerprint


def test_a_fingerprint_stays_when_a_later_version_has_more_options(runs):
    (subject, *_) = find_subjects([runs])
    with zipfile.ZipFile(subject.path) as archive:
        weights = archive.read("policy.pth")
    assert subject.fingerprint == sha256(run_hash(subject.config).encode() + weights).hexdigest()[:12]


def test_agents_with_the_same_weights_are_others_where_their_runs_differ(runs, tmp_path):
    (subject, *_) = find_subjects([runs])
    twin = tmp_path / "twin.zip"
    with zipfile.ZipFile(subject.path) as old, zipfile.ZipFile(twin, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == PROVENANCE:
                told = json.loads(content)
                told["config"]["noise_std"] = 2.0
                content = json.dumps(told)
            new.writestr(name, content)
    assert find_subjects([twin])[0].fingerprint != subject.fingerprint


def test_methods_are_named_by_what_differs():
    def names(*options):
        return method_names([RunConfig(**one) for one in options])

    assert names({"recipe": "set", "seed": 0}, {"recipe": "set", "seed": 1}) == ["sac set"] * 2
    assert names({"recipe": "set", "env": "Ant-v5"}, {"recipe": "set", "noise": 0.5}) == ["sac set"] * 2
    assert names({"recipe": "set", "log_folder": "a"}, {"recipe": "set", "threads": 2}) == ["sac set"] * 2
    assert names({"recipe": "set", "density": 0.5}, {"recipe": "set"}) == ["sac set, density 0.5", "sac set, density None"]
    # An option of the agent is told of the recipe that has several of it, one of the training of all.
    assert names({"recipe": "set", "density": 0.5, "n_timesteps": 9}, {"recipe": "dense", "n_timesteps": 5}) == [
        "sac set, n-timesteps 9",
        "sac dense, n-timesteps 5",
    ]


def test_what_is_no_agent_gets_one_sentence(runs, tmp_path):
    with pytest.raises(ValueError, match="there is no run folder or model at"):
        find_subjects([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="holds no trained model"):
        find_subjects([tmp_path])
    foreign = tmp_path / "foreign.zip"
    sb3.SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, device="cpu").save(foreign)
    with pytest.raises(ValueError, match="was not saved by train"):
        find_subjects([foreign])


def test_a_task_that_would_import_a_module_is_refused(runs, tmp_path):
    path = tmp_path / "forged.zip"
    model = find_subjects([runs])[0].path
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == PROVENANCE:
                provenance = json.loads(content)
                provenance["config"]["env"] = "antigravity:Task-v0"
                content = json.dumps(provenance)
            target.writestr(name, content)
    with pytest.raises(ValueError, match="imports the module antigravity"):
        find_subjects([path])

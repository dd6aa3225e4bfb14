"""Model archives: readable by SB3, aware of their run, and checked before anything is unpickled."""

import json
import zipfile

import pytest
import stable_baselines3 as sb3
from siftrl.training.archive import PROVENANCE, Provenance, inspect_model, open_archive, read_provenance, save_model
from siftrl.training.config import RunConfig

HERE = Provenance(RunConfig(env="Pendulum-v1", noise=0.25), permutation=3, num_timesteps=77)


@pytest.fixture(scope="module")
def model():
    return sb3.SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, policy_kwargs={"net_arch": [4]}, device="cpu")


def test_the_provenance_travels_with_the_model(model, tmp_path):
    save_model(model, tmp_path / "model.zip", HERE)
    assert read_provenance(tmp_path / "model.zip") == HERE
    assert sb3.SAC.load(tmp_path / "model.zip").policy is not None
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


def test_a_model_of_other_origin_has_none(model, tmp_path):
    model.save(tmp_path / "model.zip")
    assert read_provenance(tmp_path / "model.zip") is None


@pytest.mark.parametrize("algorithm", ["SAC", "TD3", "PPO", "DQN"])
def test_algorithm_and_features_are_told_without_unpickling(algorithm, tmp_path):
    task = "CartPole-v1" if algorithm == "DQN" else "Pendulum-v1"
    path = tmp_path / "model.zip"
    getattr(sb3, algorithm)("MlpPolicy", task, device="cpu").save(path)
    saved = inspect_model(path)
    assert (saved.algorithm, saved.n_features) == (algorithm.lower(), 4 if algorithm == "DQN" else 3)


def write_zip(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)


def test_empty_cut_and_other_files_are_named(model, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        open_archive(path)
    path.write_text("no zip at all")
    with pytest.raises(ValueError, match="no intact zip"):
        open_archive(path)
    model.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    # SB3's zips hold zips of torch, the last whole one of which a reader may find at the cut.
    with pytest.raises(ValueError, match=r"no intact zip|holds no model"):
        inspect_model(path)


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "model.zip"
    write_zip(path, data="x" * 1000)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its member data does not match"):
        open_archive(path)


def test_a_zip_of_something_else_is_no_model(tmp_path):
    path = tmp_path / "model.zip"
    write_zip(path, holiday__jpg="picture")
    with pytest.raises(ValueError, match="holds no model"):
        inspect_model(path)
    write_zip(path, data="{", policy__pth="")
    with pytest.raises(ValueError, match="no JSON"):
        inspect_model(path)
    write_zip(path, data=json.dumps({"gamma": 1}), policy__pth="")
    with pytest.raises(ValueError, match="none of the algorithms known here: SAC, TD3, PPO, DQN"):
        inspect_model(path)


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"format": 99}), json.dumps({"format": 1, "config": {"algo": "x"}}), "{}"]
)
def test_a_damaged_provenance_is_named(content, tmp_path):
    path = tmp_path / "model.zip"
    write_zip(path, **{PROVENANCE: content})
    with pytest.raises(ValueError, match="cannot read which run made"):
        read_provenance(path)

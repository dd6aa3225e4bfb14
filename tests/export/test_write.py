"""Every format: the policy's own actions, or no file."""

import json
import zipfile

import numpy as np
import pytest
from siftrl.export import npz
from siftrl.export.actor import actor_of
from siftrl.export.formats import FORMATS
from siftrl.export.runner import Actor
from siftrl.export.write import export_actor, largest_difference

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", ["npz", "onnx"])
def test_the_file_acts_as_the_policy(model, name, tmp_path):
    assert_file_acts_as(model, name, tmp_path)


@pytest.mark.parametrize("model", ["sifted", "dense with tanh", "sparse TD3"], indirect=True)
@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"npz", "onnx"}))
def test_so_do_files_that_take_long_to_write(model, name, tmp_path):
    assert_file_acts_as(model, name, tmp_path)


def assert_file_acts_as(model, name, tmp_path):
    path = tmp_path / f"actor{FORMATS[name].suffix}"
    exported = export_actor(model, path, about={"task": "none"})
    assert exported.nbytes == path.stat().st_size
    act = FORMATS[name].loaded().runtime(path.read_bytes())
    observations = 3 * np.random.default_rng(5).standard_normal((50, 200), np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    for batch in (1, 50):
        actions = act(observations[:batch])
        assert actions.dtype == np.float32
        np.testing.assert_allclose(actions, expected[:batch], atol=2e-5)


def test_the_same_actor_gives_the_same_bytes(model):
    assert npz.encode(actor_of(model)) == npz.encode(actor_of(model))


def test_what_would_act_otherwise_is_not_written(sifted_model, tmp_path, monkeypatch):
    path = tmp_path / "actor.npz"
    path.write_bytes(b"before")
    right = npz.runtime
    monkeypatch.setattr(npz, "runtime", lambda content: lambda observations: right(content)(observations) + 1e-4)
    with pytest.raises(ValueError, match="not written: the actions of format npz would differ"):
        export_actor(sifted_model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["actor.npz"]
    assert path.read_bytes() == b"before"
    assert export_actor(sifted_model, path, tolerance=1e-3).difference > 1e-5


def test_a_difference_is_measured_in_halves_of_the_range(sifted_model):
    # The first action goes from -1 to 3, the second from -2 to 0.5.
    moved = np.float32([0.2, 0.0])
    difference = largest_difference(
        sifted_model, lambda observations: sifted_model.predict(observations, deterministic=True)[0] + moved
    )
    assert difference == pytest.approx(0.1, rel=1e-4)
    assert largest_difference(sifted_model, lambda observations: np.full((len(observations), 2), np.nan)) != difference


def test_actions_that_are_no_numbers_are_not_written(sifted_model, tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "runtime", lambda content: lambda observations: np.full((len(observations), 2), np.nan))
    with pytest.raises(ValueError, match="not written"):
        export_actor(sifted_model, tmp_path / "actor.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_says_where_it_comes_from(sifted_model, name, tmp_path):
    about = {"environment": {"env_id": "Täsk"}, "num_timesteps": 3}
    path = tmp_path / f"actor{FORMATS[name].suffix}"
    export_actor(sifted_model, path, about=about)
    if name == "npz":
        with np.load(path) as arrays:
            text = str(arrays["about"])
    elif name == "onnx":
        import onnx

        text = onnx.load(path).metadata_props[0].value
    else:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(next(member for member in archive.namelist() if member.endswith("about.json")))
    assert json.loads(text) == about


def test_features_that_are_not_read_need_not_be_there(sifted_model, tmp_path):
    export_actor(sifted_model, tmp_path / "actor.npz")
    actor = Actor(tmp_path / "actor.npz")
    observation = np.random.default_rng(1).standard_normal(200, np.float32)
    without = np.full(200, np.nan, np.float32)
    without[[3, 50, 199]] = observation[[3, 50, 199]]
    assert actor.reads.tolist() == [3, 50, 199]
    assert np.array_equal(actor(without), actor(observation))
    assert np.array_equal(actor.act(observation[actor.reads]), actor(observation))

"""Checkpoints: written whole or not at all, the two newest kept, a damaged one passed over, nothing lost to a full disk."""

import errno
import os
from types import SimpleNamespace

import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.training import checkpoint as subject
from siftrl.training.archive import Provenance, save_model
from siftrl.training.checkpoint import (
    PeriodicCheckpoint,
    checkpoints,
    is_checkpoint,
    model_of,
    newest_checkpoint,
    restore_replay,
    save_checkpoint,
)
from siftrl.training.config import RunConfig


def make_model(buffer_size=1000, steps=0):
    model = sb3.SAC(
        "MlpPolicy",
        "Pendulum-v1",
        buffer_size=buffer_size,
        learning_starts=10**6,
        policy_kwargs={"net_arch": [4]},
        device="cpu",
        seed=0,
    )
    return model.learn(steps)


@pytest.fixture(scope="module")
def model():
    return make_model(steps=20)


def save(folder, model, steps, **state):
    return save_checkpoint(folder, model, Provenance(RunConfig(), num_timesteps=steps), state)


def names(folder):
    return [path.name for path in checkpoints(folder)]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_model_replay_and_state_come_back(model, tmp_path):
    path = save(tmp_path, model, 20, numbers=np.arange(3))
    found = newest_checkpoint(tmp_path)
    assert (found.path, found.provenance.num_timesteps, list(found.state["numbers"])) == (path, 20, [0, 1, 2])
    loaded = sb3.SAC.load(model_of(path), env=model.get_env())
    restore_replay(loaded, path)
    assert loaded.num_timesteps == 20
    assert loaded.replay_buffer.pos == 20
    np.testing.assert_array_equal(loaded.replay_buffer.observations, model.replay_buffer.observations)


def test_checkpoints_and_models_are_told_apart(model, tmp_path):
    path = save(tmp_path, model, 20)
    save_model(model, tmp_path / "model.zip", Provenance(RunConfig()))
    assert is_checkpoint(path)
    assert not is_checkpoint(tmp_path / "model.zip")


def test_the_two_newest_are_kept(model, tmp_path):
    for steps in (9, 10, 100):  # by number, not by name
        save(tmp_path, model, steps)
    assert names(tmp_path) == ["checkpoint_100.zip", "checkpoint_10.zip"]


def test_those_of_a_future_that_was_left_go_and_the_one_before_stays(model, tmp_path):
    for steps in (10, 20):
        save(tmp_path, model, steps)
    (tmp_path / "checkpoint_90.zip").write_bytes(b"damaged")
    save(tmp_path, model, 30)
    assert names(tmp_path) == ["checkpoint_30.zip", "checkpoint_20.zip"]


@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(b""), lambda path: os.truncate(path, 5000)])
def test_a_damaged_one_is_named_and_the_one_before_it_used(damage, model, tmp_path, capsys):
    save(tmp_path, model, 10, age="old")
    damage(save(tmp_path, model, 20, age="new"))
    assert newest_checkpoint(tmp_path).state == {"age": "old"}
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: the checkpoint {tmp_path / 'checkpoint_20.zip'} is damaged")
    assert len(warning.splitlines()) == 1


def test_without_an_intact_one_there_is_nothing_to_go_on_from(model, tmp_path):
    with pytest.raises(ValueError, match="has no checkpoint to go on from: it was stopped before its first"):
        newest_checkpoint(tmp_path)
    flip(save(tmp_path, model, 20))
    with pytest.raises(ValueError, match="has no checkpoint to go on from: those that are there are damaged"):
        newest_checkpoint(tmp_path)


def test_other_versions_are_named(model, tmp_path, monkeypatch, capsys):
    save(tmp_path, model, 20)
    monkeypatch.setattr(subject, "versions", lambda: {"numpy": "0.0.1"})
    newest_checkpoint(tmp_path)
    assert "was written with other versions (siftrl " in capsys.readouterr().err


def test_without_room_nothing_is_written_and_nothing_lost(model, tmp_path, monkeypatch):
    save(tmp_path, model, 10)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(subject.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match=r"a checkpoint takes .* MB, but 1\.0 kB are free"):
        save(tmp_path, model, 20)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_arrays_of_the_state_need_room_too(model, tmp_path, monkeypatch):
    monkeypatch.setattr(subject.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**25))
    save(tmp_path, model, 10)
    with pytest.raises(OSError, match="are free"):
        save(tmp_path, model, 20, features={"file": np.zeros(2**25, np.uint8)})
    assert names(tmp_path) == ["checkpoint_10.zip"]


@pytest.mark.parametrize("fails_at", ["write_replay", "write_snapshot"])
def test_a_write_that_fails_loses_nothing(fails_at, model, tmp_path, monkeypatch):
    def fail(archive, *_):
        archive.write("half", b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    save(tmp_path, model, 10)
    monkeypatch.setattr(subject, fails_at, fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, model, 20)
    assert os.listdir(tmp_path) == ["checkpoint_10.zip"]
    assert newest_checkpoint(tmp_path).provenance.num_timesteps == 10


@pytest.mark.parametrize("n_envs", [1, 3])
def test_saving_follows_the_count_of_environment_steps(n_envs):
    env = sb3.common.env_util.make_vec_env("Pendulum-v1", n_envs=n_envs)
    model = sb3.SAC("MlpPolicy", env, buffer_size=300, learning_starts=10**6, device="cpu")
    saved = []

    def save():
        rows = model.replay_buffer.pos * n_envs
        saved.append((model.num_timesteps, rows))

    model.learn(40, callback=PeriodicCheckpoint(10, save))
    model.learn(20, callback=PeriodicCheckpoint(10, save), reset_num_timesteps=False)
    # Training ends where the next steps would be collected: the last save is the run's own.
    assert [steps for steps, _ in saved] == ([10, 20, 30, 50] if n_envs == 1 else [12, 21, 30, 51, 60])
    assert all(steps == rows for steps, rows in saved)


def test_training_goes_on_where_the_disk_fails_a_checkpoint(capsys):
    def save():
        raise OSError(errno.ENOSPC, "No space left on device")

    model = make_model()
    assert model.learn(25, callback=PeriodicCheckpoint(10, save)).num_timesteps == 25
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: no checkpoint after 10 environment steps: [Errno 28] No space left")

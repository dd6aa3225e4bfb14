"""Checkpoints: model and replay in one file, no bytes for empty rows, nothing lost."""

import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.training.archive import Provenance, save_model
from siftrl.training.checkpoint import PeriodicCheckpoint, is_checkpoint, model_of, restore_replay, save_checkpoint
from siftrl.training.config import RunConfig

PROVENANCE = Provenance(RunConfig())


def make_model(buffer_size, steps):
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


def arrays(buffer):
    return {name: value for name, value in vars(buffer).items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("buffer_size", [7, 20, 1000], ids=["overwritten", "just full", "young"])
def test_the_replay_comes_back_to_the_bit(buffer_size, tmp_path):
    model = make_model(buffer_size, steps=20)
    save_checkpoint(model, tmp_path / "checkpoint.zip", PROVENANCE)
    loaded = sb3.SAC.load(model_of(tmp_path / "checkpoint.zip"), env=model.get_env())
    restore_replay(loaded, tmp_path / "checkpoint.zip")
    assert loaded.num_timesteps == 20
    assert (loaded.replay_buffer.pos, loaded.replay_buffer.full) == (model.replay_buffer.pos, model.replay_buffer.full)
    assert arrays(model.replay_buffer).keys() == arrays(loaded.replay_buffer).keys()
    for name, value in arrays(model.replay_buffer).items():
        np.testing.assert_array_equal(arrays(loaded.replay_buffer)[name], value, err_msg=name)


def test_empty_rows_take_no_space_on_the_disk(tmp_path):
    save_checkpoint(make_model(100_000, steps=20), tmp_path / "checkpoint.zip", PROVENANCE)
    assert (tmp_path / "checkpoint.zip").stat().st_size < 200_000


def test_arrays_that_only_look_like_storage_stay_whole(tmp_path):
    model = make_model(1000, steps=5)
    model.replay_buffer.lookup = np.arange(1000)
    save_checkpoint(model, tmp_path / "checkpoint.zip", PROVENANCE)
    restore_replay(model, tmp_path / "checkpoint.zip")
    np.testing.assert_array_equal(model.replay_buffer.lookup, np.arange(1000))


def test_checkpoints_and_models_are_told_apart(tmp_path):
    model = make_model(10, steps=1)
    save_checkpoint(model, tmp_path / "checkpoint.zip", PROVENANCE)
    save_model(model, tmp_path / "model.zip", PROVENANCE)
    assert is_checkpoint(tmp_path / "checkpoint.zip")
    assert not is_checkpoint(tmp_path / "model.zip")


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

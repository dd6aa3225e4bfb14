"""siftrl-export: from runs and zips, without code of the file, with one sentence for bad input."""

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest
import siftrl.train
import stable_baselines3 as sb3
from siftrl.export.command import main
from siftrl.export.runner import Actor

TASK = ["--env", "InvertedPendulum-v5", "--noise", "0.9", "--recipe", "set", "--width", "16"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short sparse run."""
    logs = tmp_path_factory.mktemp("logs")
    argv = [*TASK, "-n", "120", "--seed", "4", "--eval-freq", "0", "--buffer-size", "200", "--verbose", "0"]
    assert siftrl.train.main([*argv, "-f", str(logs)]) == 0
    return next(logs.rglob("config.json")).parent


def test_a_run_becomes_a_file_beside_its_model(run, capsys):
    assert main([str(run)]) == 0
    output = capsys.readouterr().out
    actor = Actor(run / "model.npz")
    assert f"{run / 'model.npz'}: " in output
    assert f"It reads {len(actor.reads)} of 40 features." in output
    assert "by the numpy runner" in output
    observations = np.random.default_rng(7).standard_normal((20, 40), np.float32)
    expected, _ = sb3.SAC.load(run / "model.zip", device="cpu").predict(observations, deterministic=True)
    np.testing.assert_allclose(actor(observations), expected, atol=3e-5)  # actions go from -3 to 3
    with np.load(run / "model.npz") as arrays:
        about = json.loads(str(arrays["about"]))
    assert about["environment"]["env_id"] == "InvertedPendulum-v5"
    assert about["environment"]["noise_fraction"] == 0.9
    assert (about["algorithm"], about["num_timesteps"]) == ("sac", 120)


@pytest.mark.parametrize("suffix", [".onnx", ".pt", ".pt2"])
def test_the_suffix_names_the_format(suffix, run, tmp_path, capsys):
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime")
    assert main([str(run), "-o", str(tmp_path / f"actor{suffix}")]) == 0
    assert (tmp_path / f"actor{suffix}").stat().st_size > 1_000
    assert "this file (" in capsys.readouterr().out


def test_nothing_in_a_model_of_trainpy_is_unpickled(run, tmp_path, monkeypatch):
    unpickled = []
    monkeypatch.setattr("stable_baselines3.common.save_util.cloudpickle.loads", unpickled.append)
    assert main([str(run), "-o", str(tmp_path / "actor.npz")]) == 0
    assert not unpickled
    main([str(run / "model.zip"), "--env", "InvertedPendulum-v5", "-o", str(tmp_path / "again.npz")])
    assert not unpickled
    with contextlib.suppress(Exception):  # what SB3's own way takes
        sb3.SAC.load(run / "model.zip", device="cpu")
    assert unpickled


def test_a_model_of_other_origin_needs_its_task(tmp_path, capsys):
    path = tmp_path / "foreign.zip"
    sb3.TD3("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, buffer_size=1, device="cpu").save(path)
    assert main([str(path)]) == 2
    assert "name it with --env, if you trust the file" in capsys.readouterr().err
    assert main([str(path), "--env", "Pendulum-v1"]) == 0
    assert Actor(tmp_path / "foreign.npz").high.tolist() == [2.0]


def ppo(folder):
    sb3.PPO("MlpPolicy", "Pendulum-v1", device="cpu").save(folder / "ppo.zip")
    return str(folder / "ppo.zip")


BAD_INPUT = [
    (lambda run, tmp: [], "RUN_OR_ZIP"),
    (lambda run, tmp: [str(tmp / "nowhere")], "there is no run folder or model"),
    (lambda run, tmp: [str(run), "--format", "onxx"], "Did you mean onnx?"),
    (lambda run, tmp: [str(run), "-o", "actor.bin"], "must end in .npz, .onnx, .pt, .pt2"),
    (lambda run, tmp: [str(run), "--format", "onnx", "-o", "actor.npz"], "must end in .onnx"),
    (lambda run, tmp: [str(run), "-o", str(tmp / "no" / "actor.npz")], "there is no folder"),
    (lambda run, tmp: [str(run), "--noise", "1"], "noise must be at least 0 and below 1"),
    (lambda run, tmp: [str(run), "--noise", "0.3"], "env and noise are for models of other origin"),
    (lambda run, tmp: [str(run), "--env", "Ant-v5"], "env and noise are for models of other origin"),
    (lambda run, tmp: [ppo(tmp), "--env", "Pendulum-v1"], "SAC and TD3, not those of PPO"),
    (lambda run, tmp: [str(run), "--outptu", "a.npz"], "Did you mean --output?"),
]


@pytest.mark.parametrize(("make_argv", "message"), BAD_INPUT, ids=[message for _, message in BAD_INPUT])
def test_bad_input_is_one_sentence(make_argv, message, run, tmp_path, capfd):
    before = {*run.iterdir()}
    assert main(make_argv(run, tmp_path)) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("siftrl-export: error: ")
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert {*run.iterdir()} == before
    assert not list(tmp_path.glob("*.npz"))


def test_it_can_be_called_as_a_module():
    command = [sys.executable, "-m", "siftrl.export", "--help"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "siftrl-export RUN_OR_ZIP" in output

"""train.py: whole runs, continued runs, interrupted runs, and what bad input gets."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from siftrl.agents import SAC
from siftrl.agents.presets import PRESETS
from siftrl.train import main
from siftrl.training.archive import read_provenance
from siftrl.training.config import RunConfig
from siftrl.training.folder import FolderLock

ROOT = Path(__file__).parents[1]
QUICK = ["--env", "InvertedPendulum-v5", "--noise", "0.5", "--recipe", "dense", "--buffer-size", "1000", "--verbose", "0"]


def run_folders(log_folder):
    return sorted(path.parent for path in Path(log_folder).rglob("config.json"))


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return set(events.Tags()["scalars"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished sparse run with everything switched on, and what it printed."""
    logs = tmp_path_factory.mktemp("logs")
    argv = [*QUICK, "--recipe", "set", "--density", "0.3", "-n", "300", "--seed", "3", "--eval-freq", "100"]
    argv += ["--eval-episodes", "2", "--save-freq", "150", "--permute-every", "120", "-f", str(logs), "--verbose", "1"]
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *parts, **_: lines.append(" ".join(map(str, parts))))
        assert main(argv) == 0
    (folder,) = run_folders(logs)
    return folder, argv, "\n".join(lines)


def test_the_run_folder_holds_what_is_promised(finished):
    folder, argv, _ = finished
    assert folder.parts[-2:] == ("sac-set", "InvertedPendulum-v5_0.5_s3_1")
    names = {path.name for path in folder.iterdir() if not path.name.startswith("events.")}
    assert names == {
        "0.monitor.csv",
        "best_model.zip",
        "checkpoint_150.zip",
        "checkpoint_300.zip",
        "command.txt",
        "config.json",
        "evaluations.npz",
        "features.npz",
        "model.zip",
    }
    assert shlex.split((folder / "command.txt").read_text())[-len(argv) :] == argv


def test_the_configuration_repeats_the_run(finished):
    folder, *_ = finished
    content = json.loads((folder / "config.json").read_text())
    config = RunConfig.from_dict(content["config"])
    assert (config.recipe, config.density, config.n_timesteps, config.permute_every) == ("set", 0.3, 300, 120)
    assert content["policy_kwargs"]["density"] == 0.3
    assert content["device"] == ("cuda" if torch.cuda.is_available() else "cpu")


def test_evaluations_are_recorded_and_printed(finished):
    folder, _, output = finished
    with np.load(folder / "evaluations.npz") as evaluations:
        assert list(evaluations["timesteps"]) == [100, 200, 300]
        mean = evaluations["results"][0].mean()
    assert f"100 steps: return {mean:,.1f} ± " in output
    assert f"python evaluate.py {folder}" in output
    assert str(folder / "model.zip") in output


def test_the_model_knows_where_it_comes_from(finished):
    folder, *_ = finished
    provenance = read_provenance(folder / "model.zip")
    assert provenance.config.env == "InvertedPendulum-v5"
    assert provenance.num_timesteps == 300
    assert provenance.permutation == 2
    assert SAC.load(folder / "model.zip").num_timesteps == 300


def test_tensorboard_has_the_promised_keys(finished):
    folder, *_ = finished
    keys = scalars(folder)
    assert {"eval/mean_reward", "eval/std_reward", "eval/mean_ep_length", "rollout/ep_rew_mean", "ene/permutation"} <= keys
    assert {"sparsity/actor/latent_pi.0", "sparsity/qf1/4", "filter/actor/links_per_real_feature"} <= keys
    assert {"filter/qf0/links_per_noise_feature", "filter/qf0/strength_ratio", "train/critic_loss"} <= keys


def test_a_new_run_goes_on_from_a_checkpoint(finished, tmp_path):
    folder, *_ = finished
    argv = ["-i", str(folder / "checkpoint_300.zip"), "-n", "60", "-f", str(tmp_path), "--eval-freq", "0", "--verbose", "0"]
    assert main(argv) == 0
    (continued,) = run_folders(tmp_path)
    before, after = SAC.load(folder / "model.zip"), SAC.load(continued / "model.zip")
    assert after.num_timesteps == 360
    assert after._n_updates == before._n_updates + 60
    steps = [next(iter(model.critic.optimizer.state.values()))["step"] for model in (before, after)]
    assert steps[1] == steps[0] + 60
    config = json.loads((continued / "config.json").read_text())["config"]
    assert (config["n_timesteps"], config["permute_every"]) == (360, 120)
    from siftrl.training.checkpoint import restore_replay

    restore_replay(after, continued / "checkpoint_360.zip")
    assert after.replay_buffer.pos == 360


def test_a_lone_model_goes_on_without_its_replay(finished, tmp_path):
    folder, *_ = finished
    argv = ["-i", str(folder / "best_model.zip"), "-n", "20", "-f", str(tmp_path), "--verbose", "0"]
    assert main(argv) == 0
    (continued,) = run_folders(tmp_path)
    best = read_provenance(folder / "best_model.zip").num_timesteps
    assert read_provenance(continued / "model.zip").num_timesteps == best + 20


def test_a_run_goes_on_in_its_folder(finished, tmp_path, capsys):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    assert main(["-i", str(tmp_path)]) == 2
    assert "has done its 300 steps; say how many further ones with -n" in capsys.readouterr().err
    assert main(["-i", str(folder), "--noise", "0.7"]) == 2
    assert "noise is 0.5 in the run to go on with and cannot become 0.7" in capsys.readouterr().err
    (folder / ".checkpoint_330.zip.abc.tmp").write_text("half of one, left behind by a kill")
    assert main(["-i", str(folder), "-n", "120"]) == 0
    assert not list(folder.glob(".*.tmp"))
    assert f"Goes on from {folder / 'checkpoint_300.zip'} after 300 environment steps" in capsys.readouterr().out
    assert run_folders(tmp_path) == [folder]
    assert json.loads((folder / "config.json").read_text())["config"]["n_timesteps"] == 420
    provenance = read_provenance(folder / "model.zip")
    assert (provenance.num_timesteps, provenance.planned_timesteps) == (420, 300)
    assert [line.split()[-2:] for line in (folder / "command.txt").read_text().splitlines()][1:] == [["-n", "120"]]
    with np.load(folder / "evaluations.npz") as evaluations:
        assert list(evaluations["timesteps"]) == [100, 200, 300, 400]


def test_a_run_without_an_intact_checkpoint_is_one_sentence(finished, tmp_path, capsys):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    for path in folder.glob("checkpoint_*.zip"):
        os.truncate(path, 1000)
    assert main(["-i", str(folder)]) == 2
    *warnings, error = capsys.readouterr().err.splitlines()
    assert [f"checkpoint_{steps}.zip is damaged" in warning for steps, warning in zip((300, 150), warnings, strict=True)]
    assert error.endswith("has no checkpoint to go on from: those that are there are damaged.")


def test_a_run_that_is_still_going_on_is_left_alone(finished, tmp_path, capsys):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    lock = FolderLock(folder)
    assert main(["-i", str(folder), "-n", "10"]) == 2
    assert "is still going on in another process" in capsys.readouterr().err
    lock.release()


def test_several_environments_share_the_budget_of_steps_and_updates(tmp_path):
    tensorboard = tmp_path / "tb"
    argv = ["-n", "200", "--n-envs", "4", "--eval-freq", "0", "-f", str(tmp_path), "-tb", str(tensorboard)]
    assert main([*QUICK, *argv, "--algo", "td3"]) == 0
    (folder,) = run_folders(tmp_path)
    assert sorted(path.name for path in folder.glob("*.monitor.csv")) == [f"{rank}.monitor.csv" for rank in range(4)]
    assert not list(folder.glob("events.*"))
    assert "train/critic_loss" in scalars(tensorboard / "td3-dense" / folder.name)
    model = read_provenance(folder / "model.zip")
    assert model.num_timesteps == 200
    from siftrl.agents import TD3

    # SB3's learning_starts of 100, then one update for each environment step.
    assert TD3.load(folder / "model.zip")._n_updates == 100


def test_events_beside_the_logs_stay_those_of_one_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [*QUICK, "-n", "40", "--eval-freq", "20", "--eval-episodes", "1", "-tb", "tb"]
    assert main([*argv, "-f", "one"]) == 0
    (folder,) = run_folders(tmp_path / "one")
    assert json.loads((folder / "config.json").read_text())["config"]["tensorboard_log"] == str(tmp_path / "tb")
    capsys.readouterr()
    assert main([*argv, "-f", "two"]) == 2
    errors = capsys.readouterr().err
    events = tmp_path / "tb" / "sac-dense" / folder.name
    assert f"must be a folder where no other run of this name has written events, not {tmp_path / 'tb'}" in errors
    assert str(events) in errors
    assert len(errors.splitlines()) == 1
    assert not os.path.exists("two")
    # From within its folder, and with another spelling.
    monkeypatch.chdir(folder)
    assert main(["-i", ".", "-n", "20", "-tb", "../../../tb", "--verbose", "0"]) == 0
    monkeypatch.chdir(folder.parent)
    assert main(["-i", folder.name, "-n", "20", "--verbose", "0"]) == 0
    assert len(list(events.glob("events.*"))) == 3
    assert set((tmp_path / "tb").rglob("events.*")) == set(events.glob("events.*"))


def test_ctrl_c_leaves_a_model_that_loads_and_goes_on(tmp_path):
    argv = [*QUICK, "-n", "1000000", "--eval-freq", "150", "--eval-episodes", "1", "--threads", "1", "--verbose", "1"]
    command = [sys.executable, "train.py", *argv, "-f", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "150 steps: return" in line:
            process.send_signal(signal.SIGINT)
            break
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT, errors
    assert "Traceback" not in errors
    (folder,) = run_folders(tmp_path)
    assert f"The model is {folder / 'model.zip'}" in output
    assert f"python train.py -i {folder}" in output
    model = SAC.load(folder / "model.zip")
    assert 150 <= model.num_timesteps < 1_000_000
    assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]


def test_commands_to_go_on_with_can_be_pasted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("siftrl.training.run.Run._learn", lambda run: setattr(run.stop, "signal", 2))
    assert main([*QUICK, "-n", "10", "-f", str(tmp_path / "my runs")]) == 130
    (folder,) = run_folders(tmp_path)
    output = capsys.readouterr().out.splitlines()
    assert shlex.split(output[-2].removeprefix("Evaluate it: ")) == ["python", "evaluate.py", str(folder)]
    assert shlex.split(output[-1].removeprefix("Go on with it: ")) == ["python", "train.py", "-i", str(folder)]


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(28, "No space left on device", "x.zip"), 1, "[Errno 28] No space left on device: 'x.zip'"),
        (MemoryError("2 GB"), 1, "memory ran out: 2 GB."),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
@pytest.mark.parametrize("where", ["siftrl.training.run.Run.record", "siftrl.training.run.Run.carry_out"])
def test_what_fails_a_run_is_one_sentence(where, error, code, sentence, tmp_path, capsys, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(where, fail)
    assert main([*QUICK, "-n", "10", "-f", str(tmp_path / "logs")]) == code
    errors = capsys.readouterr().err
    assert errors.startswith("python train.py: ")
    assert sentence in errors
    assert len(errors.splitlines()) == 1


def test_a_run_that_diverges_is_one_sentence(tmp_path, capsys):
    argv = [*QUICK, "-n", "200", "--learning-rate", "1e3", "--eval-freq", "0", "-f", str(tmp_path)]
    assert main(argv) == 1
    errors = capsys.readouterr().err
    assert "error: training has diverged, as was noticed after 10" in errors
    assert "learning-rate must be smaller than 1000. What was saved before is whole." in errors
    assert len(errors.splitlines()) == 1
    assert not list(tmp_path.rglob("model.zip"))


def test_help_loads_no_torch_and_names_every_preset():
    code = """if True:
        import sys
        from siftrl.train import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        print("torch" in sys.modules)
    """
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.endswith("\nFalse\n")
    text = " ".join(output.split()).replace("- ", "-")  # lines break at hyphens
    assert all(f" {name}" in text for name in PRESETS)
    assert "python train.py -i logs/" in text


BAD_INPUT = [
    (["--algo", "sca"], "Did you mean sac?"),
    (["--recipe", "riggl"], "rigl"),
    (["--recipee", "set"], "Did you mean --recipe?"),
    (["--hparams", "papers"], "Did you mean paper?"),
    (["--env", "HalfCheeta-v5"], "HalfCheetah-v5"),
    (["--env", "FrozenLake-v1"], "Box observation space"),
    (["--env", "CartPole-v1"], "SAC needs continuous actions"),
    (["--noise", "1"], "noise must be at least 0 and below 1, not 1.0"),
    (["--noise", "-0.1"], "noise must be at least 0 and below 1"),
    (["--noise", "nan"], "noise must be at least 0 and below 1"),
    (["--noise", "most"], "must be a number, not 'most'"),
    (["--noise-distribution", "gauss"], "one of normal, uniform, imitate"),
    (["--replay-noise", "frsh"], "Did you mean fresh?"),
    (["--on-permute", "kep"], "Did you mean keep?"),
    (["--density", "0"], "density must be above 0"),
    (["--recipe", "set", "--density", "0.000001"], "density"),
    (["--input-density", "1e-9"], "without a link"),
    (["--density", "0.1", "--distribution", "erkk"], "erk"),
    (["-n", "0"], "n-timesteps must be at least 1, not 0"),
    (["-n", "-5"], "n-timesteps must be at least 1, not -5"),
    (["-n", "many"], "must be a whole number, not 'many'"),
    (["--eval-episodes", "0"], "eval-episodes must be at least 1"),
    (["--eval-freq", "-1"], "eval-freq must be 0 or more"),
    (["--seed", "4294967296"], "seed must be from 0 to 4294967295"),
    (["--n-envs", "0"], "n-envs must be from 1 to 1000"),
    (["--buffer-size", "0"], "buffer-size must be at least 1"),
    (["--buffer-size", "1e15", "-n", "1e15"], "Use a smaller replay (--buffer-size "),
    (["--device", "gpu"], "device must be auto, cpu, cuda"),
    (["--device", "cuda:99"], "device cuda:99 is not there"),
    (["--threads", "100000"], "threads must be at most"),
    (["--permute", "--permute-every", "10"], "exclude each other"),
    (["--on-permute", "remap"], "on-permute remap is about new orders, and needs --permute-every to bring them."),
    (["--on-permute", "clear", "--permute"], "needs --permute-every"),
    (["--permutation-seed", "1"], "permutation-seed 1 is that of the orders, and needs --permute or --permute-every."),
    (["-i", "nowhere"], "there is no run folder or model at nowhere"),
    (["-i", str(ROOT / "docs")], "holds no run: no config.json in it or below"),
    (["-i", __file__], "is no intact zip"),
    (["-f", __file__], "cannot write to the log folder"),
    (["-tb", __file__], "cannot write TensorBoard events"),
]


@pytest.mark.parametrize(
    ("argv", "message"), BAD_INPUT, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_sentence_and_leaves_nothing(argv, message, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*QUICK, "-n", "10", *argv]) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("python train.py: error: ")
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert os.listdir(tmp_path) == []

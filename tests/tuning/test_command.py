"""siftrl-tune: a search from the command line, and what bad input gets."""

import json
import tomllib

import pytest
from siftrl.training.file_lock import FileLock
from siftrl.training.progress import checkpoints
from siftrl.tuning import command
from siftrl.tuning.command import main
from siftrl.tuning.plan import read_plan
from siftrl.tuning.search import study_of

QUICK = ["--recipe", "static", "--env", "Pendulum-v1", "--noise", "0.5", "-n", "1000", "--name", "demo"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_search_its_continuation_its_test_and_its_report(tmp_path, fake_runs, capsys):
    assert main([*QUICK, "--trials", "2"]) == 0
    assert main([*QUICK, "--trials", "3", "--test-seeds", "2", "--workers", "2"]) == 0
    shown = capsys.readouterr().out
    assert [line.split(":")[0] for line in shown.splitlines() if line.startswith("trial ")] == [
        "trial   0 of 2", "trial   1 of 2", "trial   2 of 3"
    ]  # fmt: skip
    assert "Test on seeds 0 to 1" in shown
    seeds = {path.name.split("_")[2] for path in (tmp_path / "searches" / "demo" / "runs").glob("*/*")}
    assert seeds == {"s1000", "s1001", "s0", "s1"}
    assert main(["--name", "demo", "--show"]) == 0
    assert capsys.readouterr().out == shown[shown.index("3 trials: 3 whole.") :]


def test_a_search_trains_real_agents(tmp_path, capsys):
    options = [
        "--env", "InvertedPendulum-v5", "-n", "120", "--eval-episodes", "1", "--batch-size", "8", "--width", "16",
        "--device", "cpu",
    ]  # fmt: skip
    assert main([*QUICK, *options, "--trials", "1", "--tuning-seeds", "1"]) == 0
    folder = tmp_path / "searches" / "demo"
    run = next(folder.glob("runs/sac-static/InvertedPendulum-v5_0.5_s1000_*"))
    assert json.loads((run / "config.json").read_text())["config"]["batch_size"] == 8
    assert not checkpoints(run), "a whole trial's replays take no more room"
    assert tomllib.loads((folder / "best.toml").read_text())["methods"]["best"]["recipe"] == "static"
    assert "1 trial: 1 whole." in capsys.readouterr().out


def test_a_search_that_others_have_not_ended_is_not_tested_yet(tmp_path, fake_runs, capsys):
    assert main([*QUICK, "--trials", "1"]) == 0
    folder = tmp_path / "searches" / "demo"
    plan = read_plan(folder)
    number = study_of(plan, folder).ask().number
    with FileLock(folder / "locks" / str(number)):
        assert main([*QUICK, "--trials", "2", "--test-seeds", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Not tested: other processes are at their last trials." in shown
    assert "2 trials: 1 whole, 1 not finished." in shown
    assert not list(folder.rglob("*_s0_*"))


def test_a_search_is_tested_by_one_process_at_a_time(tmp_path, fake_runs, capsys):
    assert main([*QUICK, "--trials", "1"]) == 0
    folder = tmp_path / "searches" / "demo"
    with FileLock(folder / "locks" / "test"):
        assert main([*QUICK, "--trials", "1", "--test-seeds", "1"]) == 0
    assert "Not tested: another process is at it." in capsys.readouterr().out
    assert not list(folder.rglob("*_s0_*"))
    assert main([*QUICK, "--trials", "1", "--test-seeds", "1"]) == 0
    assert "Test on seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipe", "sett"], "recipe must be one of"),
        (["--trails", "3"], "unknown argument --trails. Did you mean --trials?"),
        (["--log-folder", "x"], "unknown argument --log-folder."),
        (["--trials", "0"], "trials must be at least 1, not 0."),
        (["--name", "a/b"], "name must be the name of one folder, not 'a/b'."),
        (["--name", ".."], "name must be the name of one folder, not '..'."),
        (["--search", "densty=0.1:0.5"], "Did you mean density?"),
        (["--search", "density=0.1:0.5", "--search", "density=0.2:0.3"], "density is searched twice: 0.1:0.5 and 0.2:0.3."),
        (["--search", "density=0.1:0.5", "--density", "0.2"], "density is both fixed to 0.2 and searched: leave out one."),
        (["--keep", "drop"], "the option of keep must be one of"),
        (["--test-seeds", "5", "--seed", "996"], "seed and test-seeds must stay below 1000"),
        (["--seed", "1000"], "seed and test-seeds must stay below 1000"),
        (["--name", "nowhere", "--show"], "there is no search in searches/nowhere."),
        (["--eval-freq", "0"], "eval-freq must be from 1 to n-timesteps"),
        (["--recipe", "anf", "--hparams", "paper", "-n", "3000"], "n-timesteps must be above 25000"),
    ],
)
def test_wrong_input_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, arguments, sentence):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("siftrl-tune: error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_optuna_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert main(QUICK) == 2
    assert "pip install 'siftrl[tune]'" in capsys.readouterr().err


def test_a_search_whose_own_values_fail_ends_with_1(fake_runs, monkeypatch, capsys):
    monkeypatch.setattr(fake_runs, "poll", lambda self: 2)
    assert main(QUICK) == 1
    assert "the recipe's own values cannot be trained with: error: it broke" in capsys.readouterr().err


def test_a_test_that_fails_hides_nothing_that_was_found(fake_runs, monkeypatch, capsys):
    assert main([*QUICK, "--trials", "2"]) == 0
    monkeypatch.setattr(fake_runs, "poll", lambda self: 3)
    assert main([*QUICK, "--trials", "2", "--test-seeds", "1"]) == 1
    shown = capsys.readouterr()
    assert "error: it broke" in shown.err
    assert shown.out.count("2 trials: 2 whole.") == 2


def test_the_examples_of_the_help_are_searches(monkeypatch):
    plans = []
    monkeypatch.setattr(command, "_search", lambda plan, *_: plans.append(plan) or 0)
    lines = [line.split() for line in command._EPILOG.splitlines() if line.startswith("  siftrl-tune ")]
    for _, *arguments in lines:
        if "--show" not in arguments:
            assert main(arguments) == 0, arguments
    assert len(plans) == len(lines) - 1

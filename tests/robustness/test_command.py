"""The command: what it writes, that it goes on, and what bad input gets."""

import json
import shutil
import subprocess
import sys
import zipfile

import pytest
from siftrl.robustness.command import main


def call(runs, folder, *argv):
    return main([str(runs), "-o", str(folder), "--episodes", "2", "--device", "cpu", *map(str, argv)])


def test_a_comparison_writes_its_record_table_figure_and_figures(runs, tmp_path, capsys):
    report = tmp_path / "report.json"
    folder = tmp_path / "new" / "out"
    arguments = ("--corruptions", "bias,swap,bias", "--severities", "5, 1", "--json", report)
    assert call(runs, folder, *arguments) == 0
    output = capsys.readouterr().out
    assert "| sac dense | 2 |" in output
    assert (folder / "robustness.md").read_text() in output + "\n"
    assert (folder / "robustness.png").read_bytes().startswith(b"\x89PNG")
    lines = (folder / "results.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 + 3 * (1 + 2 * 2)
    figures = json.loads(report.read_text())
    assert [list(agent["scores"]) for agent in figures["agents"]] == [["bias", "swap"]] * 3
    assert list(figures["agents"][0]["scores"]["bias"]) == ["1", "5"]
    # All of that is recorded: a second call measures nothing and says the same.
    assert call(runs, folder, *arguments) == 0
    assert (folder / "results.csv").read_text().splitlines() == lines
    assert capsys.readouterr().out == output


def test_tasks_with_noise_have_other_noise_too(noisy, tmp_path):
    assert call(noisy, tmp_path, "--severities", "1", "--json", tmp_path / "report.json") == 0
    (agent,) = json.loads((tmp_path / "report.json").read_text())["agents"]
    assert list(agent["scores"])[-3:] == ["fgsm", "noise-std", "noise-distribution"]
    assert agent["task"] == "InvertedPendulum-v5, 50 % noise"


BAD_INPUT = [
    (["--corruptions", "gausian"], "Did you mean gaussian?"),
    (["--severities", "0,1"], "severities must be numbers from 1 to 5 with commas between them, not '0,1'"),
    (["--episodes", "0"], "episodes must be at least 1, not 0"),
    (["--features", "reel"], "Did you mean real?"),
    (["--corruptions", "noise-std"], "corruptions must not hold noise-std for sac-dense/"),
    (["--features", "real"], "features must be all for sac-dense/"),
    (["--severity", "1"], "Did you mean --severities?"),
    (["--json", "nowhere/report.json"], "there is no folder nowhere"),
]


@pytest.mark.parametrize(("argv", "message"), BAD_INPUT, ids=[message for _, message in BAD_INPUT])
def test_bad_input_is_one_sentence_and_writes_nothing(argv, message, runs, tmp_path, capfd):
    assert call(runs, tmp_path / "out", *argv) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("siftrl-robustness: error: ")
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_is_one_sentence(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call(runs, tmp_path / "file") == 2
    assert "cannot write to the folder" in capsys.readouterr().err
    (tmp_path / "results.csv").write_text("a,b\n")
    assert call(runs, tmp_path) == 2
    assert "must have the columns" in capsys.readouterr().err


def test_an_agent_of_several_that_is_not_whole_is_left_out(runs, tmp_path, capsys):
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    unreadable, unplayable, *_ = sorted(folder.rglob("model.zip"))
    unreadable.write_bytes(b"no zip")
    without(unplayable, "data")
    assert call(folder, tmp_path / "out", "--severities", "1", "--corruptions", "bias") == 0
    output, errors = capsys.readouterr()
    lines = errors.splitlines()
    assert [line.startswith("siftrl-robustness: left out: ") for line in lines] == [True, True]
    assert str(unreadable) in lines[0]
    assert str(unplayable) in lines[1]
    assert [f"Left out: {line.removeprefix('siftrl-robustness: left out: ')}" in output for line in lines] == [True, True]
    rows = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 + 2  # the references, and one agent's clean episodes and biased ones

    for model in folder.rglob("model.zip"):
        model.write_bytes(b"no zip")
    assert call(folder, tmp_path / "none") == 2
    assert "none of the 3 agents can be read" in capsys.readouterr().err.splitlines()[-1]


def without(archive, member):
    """Take a member out of a zip."""
    with zipfile.ZipFile(archive) as file:
        kept = {name: file.read(name) for name in file.namelist() if name != member}
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in kept.items():
            file.writestr(name, content)


def test_help_and_typos_load_nothing_heavy():
    code = (
        "import sys; from siftrl.robustness.command import main; main(['a', '--seeed', '1']); "
        "heavy = ('torch', 'stable_baselines3', 'gymnasium.envs.mujoco', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert "Did you mean --seed?" in result.stderr

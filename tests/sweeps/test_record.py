"""Records: rows of finished runs that stay when their folders are gone."""

import csv
import shutil

import numpy as np
import pytest
from siftrl.sweeps import command, record
from siftrl.sweeps.record import Record
from siftrl.sweeps.study import Part, Study
from siftrl.training.launch import run_hash

PARTS = (Part("noise", ("anf",), {"noise": (0.5, 0.9), "input_density": (0.1,), "seed": (0, 1)}),)
STUDY = Study("x", {"env": "Pendulum-v1", "n_timesteps": 200}, {"anf": {"recipe": "anf"}}, PARTS)
FILE = """
name = "x"
[options]
env = "Pendulum-v1"
n_timesteps = 200
[methods.anf]
recipe = "anf"
[[parts]]
name = "noise"
noise = [0.5, 0.9]
input_density = 0.1
seed = [0, 1]
"""


@pytest.fixture
def finished(monkeypatch):
    """Folders of runs that count as finished."""
    folders = set()
    monkeypatch.setattr(record, "is_finished", folders.__contains__)
    return folders


def finish(run, parent, finished):
    folder = run.folder(parent)
    folder.mkdir(parents=True)
    np.savez(folder / "evaluations.npz", timesteps=[100, 200], results=[[1.0, 2.0], [3.0, 4.0004]])
    finished.add(folder)


def test_finished_runs_are_added_once_and_stay_when_their_folders_are_gone(tmp_path, finished):
    path, runs = tmp_path / "record.csv", STUDY.runs()
    finish(runs[0], tmp_path, finished)
    Record(path, STUDY).add(runs, tmp_path)
    shutil.rmtree(runs[0].folder(tmp_path))
    finished.clear()
    finish(runs[2], tmp_path, finished)
    again = Record(path, STUDY)
    again.add(runs, tmp_path)
    again.add(runs, tmp_path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [run_hash(runs[i].config) for i in (0, 0, 2, 2)]
    first = {"method": "anf", "env": "Pendulum-v1", "noise": "0.5", "seed": "0", "n_timesteps": "200", "step": "100"}
    assert rows[0] == {"run": run_hash(runs[0].config), **first, "mean_return": "1.5", "std_return": "0.5"}
    assert rows[3]["mean_return"] == "3.5"
    assert Record(path, STUDY).lacks(runs) == [runs[1], runs[3]]


def test_two_processes_keep_each_others_rows(tmp_path, finished):
    path, runs = tmp_path / "record.csv", STUDY.runs()
    finish(runs[0], tmp_path, finished)
    finish(runs[1], tmp_path, finished)
    one, other = Record(path, STUDY), Record(path, STUDY)
    one.add(runs[:1], tmp_path)
    other.add(runs[:2], tmp_path)
    with path.open(newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == [run_hash(runs[i].config) for i in (0, 0, 1, 1)]


def test_methods_that_share_a_run_have_rows_of_their_own(tmp_path, finished):
    methods = {"thin": {"recipe": "anf", "input_density": 0.1}, "anf": {"recipe": "anf"}}
    parts = (Part("a", ("thin",), {"seed": (0,)}), Part("b", ("anf",), {"input_density": (0.1, 0.2), "seed": (0,)}))
    study = Study("x", {"env": "Pendulum-v1", "n_timesteps": 200}, methods, parts)
    thin, anf, _ = study.runs()
    assert run_hash(thin.config) == run_hash(anf.config)
    finish(thin, tmp_path, finished)
    record = Record(tmp_path / "record.csv", study)
    record.add([thin], tmp_path)
    assert record.lacks(study.runs()) == study.runs()[1:]
    record.add(study.runs(), tmp_path)
    assert [row["method"] for row in record.rows] == ["thin", "thin", "anf", "anf"]
    assert record.lacks(study.runs()) == study.runs()[2:]


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"must have the columns run,method,env,noise,seed,n_timesteps,step"):
        Record(path, STUDY)
    assert path.read_text() == "a,b\n1,2\n"


def test_the_command_leaves_out_what_is_recorded(tmp_path, finished, capsys, monkeypatch):
    study, path, runs = tmp_path / "x.toml", tmp_path / "record.csv", STUDY.runs()
    study.write_text(FILE)
    parent = tmp_path / "studies" / "x"
    for run in runs[:3]:
        finish(run, parent, finished)
    options = [str(study), "--folder", str(parent.parent), "--record", str(path)]
    swept = []
    monkeypatch.setattr(command, "_sweep", lambda study, runs, *_: swept.extend(runs) or 0)
    assert command.main(options) == 0
    assert swept == runs[3:]
    shutil.rmtree(parent)
    assert command.main([*options, "--list"]) == 0
    shown = capsys.readouterr().out
    assert (shown.count("done "), shown.count("open  ")) == (3, 1)
    assert "4 runs, 3 of them finished; 800 environment steps, 200 of them in open runs" in shown


def test_when_all_is_recorded_nothing_starts(tmp_path, finished, capsys):
    study, runs = tmp_path / "x.toml", STUDY.runs()
    study.write_text(FILE)
    for run in runs:
        finish(run, tmp_path / "x", finished)
    assert command.main([str(study), "--folder", str(tmp_path), "--record", str(tmp_path / "r.csv")]) == 0
    assert capsys.readouterr().out == f"All runs are in {tmp_path / 'r.csv'}.\n"


def test_a_record_in_no_folder_is_refused(tmp_path, capsys):
    study = tmp_path / "x.toml"
    study.write_text(FILE)
    assert command.main([str(study), "--record", str(tmp_path / "no" / "r.csv")]) == 2
    assert "must be a file in a folder that exists" in capsys.readouterr().err

"""Results: a row for each evaluation, parts with shared runs, and tables of finished runs."""

import csv

import numpy as np
import pytest
from siftrl.sweeps import results
from siftrl.sweeps.results import RESULTS, SUMMARY, counting_runs, evaluations, last_return, write_results
from siftrl.sweeps.study import Part, Study

PARTS = (
    Part("noise", ("anf", "dense"), {"noise": (0.5, 0.9), "seed": (0, 1)}),
    Part("density", ("anf",), {"noise": (0.9,), "input_density": (0.1, 0.2), "seed": (0,)}),
    Part("shared", ("dense",), {"noise": (0.9,), "seed": (0,)}),
)


@pytest.fixture
def study():
    return Study("x", {"env": "Pendulum-v1"}, {"anf": {"recipe": "anf"}, "dense": {"recipe": "dense"}}, PARTS)


def play(folder, n_evaluations=2, level=0.0):
    folder.mkdir(parents=True, exist_ok=True)
    steps = np.arange(1, n_evaluations + 1) * 100
    np.savez(folder / "evaluations.npz", timesteps=steps, results=[[level + step, level + step + 2] for step in steps])


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_evaluation_and_part(study, tmp_path):
    for run in study.runs():
        play(run.folder(tmp_path), level=run.config.seed)
    write_results(study, study.runs(), tmp_path)
    rows = read(tmp_path / RESULTS)
    assert list(rows[0]) == ["part", "method", "env", "noise", "input_density", "seed", "step", "mean_return", "std_return"]
    assert len(rows) == 2 * (8 + 2 + 1)
    assert [row["method"] for row in rows if row["part"] == "shared"] == ["dense", "dense"]
    first = {"part": "noise", "method": "anf", "env": "Pendulum-v1", "noise": "0.5", "input_density": "", "seed": "0"}
    assert rows[0] == {**first, "step": "100", "mean_return": "101.0", "std_return": "1.0"}
    assert {row["input_density"] for row in rows if row["part"] == "density"} == {"0.1", "0.2"}


def test_a_folder_without_evaluations_has_none(tmp_path):
    assert evaluations(tmp_path / "nowhere") == []
    (tmp_path / "evaluations.npz").write_text("half of one")
    assert evaluations(tmp_path) == []


def test_a_scaled_study_has_files_of_its_own(study, tmp_path):
    write_results(study, study.runs(), tmp_path)
    before = (tmp_path / RESULTS).read_bytes()
    runs = study.runs(0.1)
    play(runs[0].folder(tmp_path))
    write_results(study, runs, tmp_path, 0.1)
    assert (tmp_path / RESULTS).read_bytes() == before
    assert len(read(tmp_path / "results-0.1.csv")) == 2 * len(runs[0].parts)
    assert (tmp_path / "summary-0.1.md").exists()


def test_all_that_has_begun_counts(study, tmp_path):
    assert counting_runs(study, 1.0, tmp_path) == study.runs()
    assert len(counting_runs(study, 0.5, tmp_path)) == len(study.runs(0.5)) < len(study.runs(0.5, seeds=2))
    begun = study.runs(0.5, seeds=2)[-1]
    play(begun.folder(tmp_path))
    assert len(counting_runs(study, 0.5, tmp_path)) == len(study.runs(0.5)) + 1
    assert begun in counting_runs(study, 0.5, tmp_path)


def test_tables_are_of_finished_runs(study, tmp_path, monkeypatch):
    finished = {run.folder(tmp_path) for run in study.runs() if run.config.noise == 0.9}
    monkeypatch.setattr(results, "is_finished", lambda folder: folder in finished)
    for run in study.runs():
        play(run.folder(tmp_path), level=10 * run.config.seed)
    write_results(study, study.runs(), tmp_path)
    summary = (tmp_path / SUMMARY).read_text()
    assert summary.startswith("# x\n\n6 of 10 runs are finished; the tables are of these.\n\n## noise\n")
    assert "| Pendulum-v1, noise 0.9 | dense | 2 | 206 |" in summary
    assert "| Pendulum-v1, noise 0.9, input_density 0.1 | anf | 1 | 201 |" in summary
    assert "noise 0.5" not in summary


def test_what_no_table_can_hold_is_said(study, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "is_finished", lambda folder: True)
    for run in study.runs():
        play(run.folder(tmp_path), n_evaluations=2 if run.method == "anf" else 3)
    write_results(study, study.runs(), tmp_path)
    assert "No table: methods on Pendulum-v1, noise 0.5 must be trained equally long" in (tmp_path / SUMMARY).read_text()


def test_nothing_played_is_a_head_without_rows(study, tmp_path):
    write_results(study, study.runs(), tmp_path)
    assert read(tmp_path / RESULTS) == []
    assert (tmp_path / SUMMARY).read_text() == "# x\n\n0 of 10 runs are finished; the tables are of these.\n"


def test_of_a_damaged_file_nothing_is_read(tmp_path):
    play(tmp_path, level=1.0)
    assert last_return(tmp_path) == 202
    path = tmp_path / "evaluations.npz"
    whole = path.read_bytes()
    for n_bytes in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:n_bytes])
        assert evaluations(tmp_path) == []
        assert last_return(tmp_path) is None

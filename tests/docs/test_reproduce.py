"""The page of papers: published rows speak of runs that exist, and of the right ones; results find their cells."""

import csv
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import siftrl
from siftrl.sweeps.study import Study

PAGE = runpy.run_path(str(Path(siftrl.__file__).parent / "docs" / "reproduce.py"))
STUDIES = PAGE["STUDIES"]


def published(name):
    return PAGE["read_rows"](PAGE["PUBLISHED"] / f"{name}.csv")


def test_the_page_is_what_the_files_say():
    assert PAGE["PAGE"].read_text() == PAGE["render"](), "run `make docs`"


def fields_of(run):
    """What a published row may ask for, for each part of the run."""
    fields = {**run.config.to_dict(), "method": run.method}
    return [{**fields, "part": part} for part in run.parts]


@pytest.mark.parametrize("name", [name for name in STUDIES if published(name)])
def test_each_published_row_speaks_of_runs_of_the_study(name):
    runs = [(run, fields_of(run)) for run in Study.from_file(PAGE["EXPERIMENTS"] / f"{name}.toml").runs()]
    of_row = [[run for run, parts in runs if any(PAGE["selects"](row, part) for part in parts)] for row in published(name)]
    assert all(of_row)
    for row, chosen in zip(published(name), of_row, strict=True):
        settings = {replace(run.config, seed=0) for run in chosen}
        tasks = {run.config.env for run in chosen}
        assert len(settings) == len(tasks) or not row["method"], f"{row} mixes {settings}"


def test_every_paper_that_has_published_rows_is_on_the_page():
    assert {path.stem for path in PAGE["PUBLISHED"].glob("*.csv")} <= set(STUDIES)


def write_results(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def runs(tmp_path):
    """Two seeds of a sparse agent that reaches half of the dense one's 100 on one task, and twice its 400 on another."""
    curves = [
        (part, method, env, width, seed, step, value * step / 200 + seed)
        for part, method, width, values in (
            ("a", "set", "256", (50, 800)),
            ("b", "dense", "256", (100, 400)),
            ("b", "dense", "32", (1000, 1000)),
        )
        for env, value in zip(("Hopper-v5", "Ant-v5"), values, strict=True)
        for seed in (0, 1)
        for step in (100, 200)
    ]
    names = ("part", "method", "env", "width", "seed", "step", "mean_return")
    write_results(tmp_path / "x.csv", [dict(zip(names, curve, strict=True)) for curve in curves])
    return PAGE["read_runs"](tmp_path / "x.csv")


def row(**cells):
    return {
        "figure": "f",
        "parts": "a",
        "method": "set",
        "select": "",
        "measure": "final return",
        "step": "",
        "reference": "b",
        **cells,
    }


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"select": "env=Hopper-v5"}, "50 (50 to 51); 2 seeds, 200 steps"),
        ({"select": "env=Hopper-v5", "measure": "return", "step": "100"}, "26 (25 to 26); 2 seeds, 200 steps"),
        ({"select": "env=Hopper-v5", "measure": "mean return"}, "38 (38 to 38); 2 seeds, 200 steps"),
        ({"select": "env=Hopper-v5", "measure": "return", "step": "300"}, "not run"),
        ({"select": "env=Ant-v5", "measure": "share of dense"}, "2.00 (2.00 to 2.00); 2 seeds, 200 steps"),
        ({"measure": "share of dense"}, "1.25 (1.25 to 1.25); 2 seeds, 200 steps"),
        ({"select": "env=Hopper-v5 width=256.0 or env=Walker2d-v5"}, "50 (50 to 51); 2 seeds, 200 steps"),
        ({"method": "rigl"}, "not run"),
        ({"parts": "b"}, "not run"),
        ({"parts": "a b", "method": "dense", "select": "env=Ant-v5 width=256"}, "400 (400 to 401); 2 seeds, 200 steps"),
    ],
)
def test_a_published_row_finds_its_results(runs, cells, expected):
    assert PAGE["here"](row(**cells), runs) == expected


def test_a_single_seed_has_no_interval(runs):
    only = [run for run in runs if run.fields["seed"] == "0"]
    assert PAGE["here"](row(select="env=Ant-v5"), only) == "800; 1 seed, 200 steps"


def test_runs_of_different_lengths_are_told_apart(runs):
    shorter = [run._replace(steps=run.steps // 2) if run.fields["seed"] == "1" else run for run in runs]
    assert PAGE["here"](row(select="env=Ant-v5"), shorter) == "800 (800 to 801); 2 seeds, 100 to 200 steps"


def test_a_figure_shows_what_was_found_below_what_was_published(runs):
    rows = [
        row(row="Hopper", agent="tiny", published="70", method="rigl"),
        row(row="Ant", agent="set", published="150", select="env=Ant-v5"),
    ]
    assert PAGE["figure_table"](rows, runs)[2:] == [
        "| Hopper | published | 70 |  |",
        "| Ant | published |  | 150 |",
        "| | here |  | 800 (800 to 801); 2 seeds, 200 steps |",
    ]


def test_parts_without_a_figure_show_what_ran(tmp_path):
    study = Study.from_file(PAGE["EXPERIMENTS"] / "transfer.toml").runs(parts=["kept", "cleared"], methods=["sac"])
    names = ("part", "method", "env", "noise", "replay_noise", "seed", "step", "mean_return")
    curve = [("kept", "sac", "HalfCheetah-v5", 0.95, "exact", 0, step, 7 * step) for step in (10, 20)]
    write_results(tmp_path / "x.csv", [dict(zip(names, point, strict=True)) for point in curve])
    lines = PAGE["other_parts"]("transfer", ["kept", "cleared"], PAGE["read_runs"](tmp_path / "x.csv"), study)
    assert "* `siftrl-sweep experiments/transfer.toml --parts kept` (10 runs)" in lines
    assert "* `siftrl-sweep experiments/transfer.toml --parts cleared` (5 runs), not run" in lines
    assert lines[-3:] == [
        "| kept replay_noise=exact | published | not found |",
        "| | here | 140; 1 seed, 20 steps |",
        "",
    ]


def test_an_unknown_measure_is_named(runs):
    with pytest.raises(ValueError, match="measure 'median' of 'f'"):
        PAGE["here"](row(measure="median"), runs)

"""Methods are compared in a figure and a table that belong together."""

import pytest
from siftrl.reports.blocks import Drawer
from siftrl.reports.group_sections import group_sections
from siftrl.reports.groups import group_runs
from siftrl.reports.runs import read_run


@pytest.fixture
def told(make_run):
    def tell(*options):
        runs = [read_run(make_run(f"{number}", **given)) for number, given in enumerate(options)]
        return group_sections(group_runs(runs), Drawer())

    return tell


def test_a_task_has_its_table_and_its_figure(told):
    curves = [((float(seed),), (seed + 2.0,)) for seed in range(3)]
    (section,) = told(*({"seed": seed, "returns": curve} for seed, curve in enumerate(curves)))
    (block,) = section.blocks
    assert section.title == "Pendulum-v1, noise 0.75"
    assert block.tables[0].rows == [["sac sift", "3", "3", "2 to 4", "2"]]
    assert "final returns: sac sift 3.0 (3 runs)" in block.figures[0].svg
    assert ">sac sift<" in block.figures[0].svg


def test_long_names_are_numbers_in_the_figure(told):
    recipe = "graesser-static"
    (section,) = told(*({"recipe": recipe, "density": d, "learning_rate": r} for d, r in ((0.1, 1e-4), (0.2, 2e-4))))
    (block,) = section.blocks
    assert [row[0] for row in block.tables[0].rows] == [
        f"1: sac {recipe}, density 0.1, learning-rate 0.0001", f"2: sac {recipe}, density 0.2, learning-rate 0.0002"
    ]  # fmt: skip
    assert ">method 2<" in block.figures[0].svg


def test_what_is_left_out_is_said(told):
    (section,) = told({"n_timesteps": 400}, {"n_timesteps": 400, "seed": 1, "returns": ((1.0,), (2.0,))})
    (sentence,) = section.blocks[-1].text
    assert "has come to step 200 of 400" in sentence


def test_runs_that_cannot_be_compared_are_told_of(told, monkeypatch):
    monkeypatch.setattr("siftrl.reports.groups.Group.rows", lambda group: [])
    (section,) = told({})
    assert section.blocks[0].text[0].startswith("No comparison: rows must hold at least one evaluation")

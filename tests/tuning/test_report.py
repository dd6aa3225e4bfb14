"""What is shown and written of a search."""

import shutil
import tomllib

import pytest
from siftrl.reports.statistics import iqm
from siftrl.training.config import RunConfig
from siftrl.training.stopping import StopRequest
from siftrl.tuning.comparison import COMPARISON, Comparison, compare, last_comparison
from siftrl.tuning.figure import search_figure
from siftrl.tuning.options import SearchOptions
from siftrl.tuning.parameters import as_method
from siftrl.tuning.plan import make_plan
from siftrl.tuning.report import BEST, FIGURE, comparison_table, report
from siftrl.tuning.search import study_of


@pytest.fixture
def found(searched, tmp_path, fake_runs):
    """A search that has come to its end: its study, plan and folder, to write to."""
    plan, folder = searched
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return study_of(plan, tmp_path), plan, tmp_path


def cells(table):
    return [[*column.cells] for column in table.columns]


def test_a_report_has_the_best_trial_the_recipes_own_and_every_parameter(found, capsys):
    study, plan, folder = found
    report(study, plan, folder)
    shown = capsys.readouterr().out
    assert shown.startswith("13 trials: ")
    assert f"{study.best_value:,.1f}" in shown
    assert "* 0" in shown
    assert "Importance" in shown
    assert all(name.split("_")[0] in shown for name in plan.space)
    assert (folder / FIGURE).read_bytes().startswith(b"\x89PNG")


def test_the_best_parameters_are_a_method_of_a_study(found):
    study, plan, folder = found
    report(study, plan, folder)
    method = tomllib.loads((folder / BEST).read_text())["methods"]["best"]
    assert method == {"recipe": "set", "width": 32, **study.best_params}


def test_a_method_holds_what_is_not_at_its_default():
    config = RunConfig(recipe="anf", algo="td3", hparams="paper", noise=0.5, distribution='a"b', density=1e-05)
    assert tomllib.loads(as_method(config, "x"))["methods"]["x"] == {
        "algo": "td3", "recipe": "anf", "hparams": "paper", "distribution": 'a"b', "density": 1e-05
    }  # fmt: skip


def test_a_method_says_how_its_networks_start():
    assert "quiet_start = true" in as_method(RunConfig(recipe="set", quiet_start=True), "best")


def test_a_search_without_a_whole_trial_says_so(tmp_path, capsys):
    plan = make_plan({"recipe": "dense", "n_timesteps": 1000}, SearchOptions(), {})
    report(study_of(plan, tmp_path), plan, tmp_path)
    assert capsys.readouterr().out == "0 trials.\n"
    assert not (tmp_path / BEST).exists()


def test_each_parameter_has_its_panel(found):
    study, plan, _ = found
    panels = [axes for axes in search_figure(study.trials, plan.space).axes if axes.axison]
    labels = [axes.get_xlabel() for axes in panels]
    assert labels == ["trial", *(name.replace("_", " ") for name in plan.space)]
    points = sum(len(collection.get_offsets()) for collection in panels[0].collections)
    assert points == len(study.trials)


def test_best_and_own_are_compared_on_the_same_seeds_that_the_search_never_saw(found, capsys):
    study, plan, folder = found
    best = study.best_trial
    made = compare(plan, best.number, best.params, range(3), folder, workers=2, stop=StopRequest())
    assert made == last_comparison(folder) == Comparison(best.number, [0, 1, 2], made.best, made.own)
    # A fake run's return falls by one from seed to seed, and by one more on the way to its last evaluation.
    assert [made.own[0] - value for value in made.own] == pytest.approx([0, 1, 2])
    assert [one - other for one, other in zip(made.best, made.own, strict=True)] == pytest.approx(
        [made.best[0] - made.own[0]] * 3
    )
    rows = cells(comparison_table(made))
    assert rows[2][0] == f"{iqm(made.best):,.1f}"
    report(study, plan, folder)
    shown = capsys.readouterr().out
    assert "Test on seeds 0 to 2" in shown
    assert "3 seeds: too few for a claim" in shown


def test_a_test_of_what_is_no_longer_the_best_is_not_shown(found, capsys):
    study, plan, folder = found
    (folder / COMPARISON).write_text('{"trial": 1000, "seeds": [0], "best": [1.0], "own": [1.0]}')
    report(study, plan, folder)
    assert "Test on" not in capsys.readouterr().out

"""Figures show each method's statistic with its interval, and few runs one by one."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from siftrl.reports.curves import Curves
from siftrl.reports.figures import curves_figure, draw_curves, evaluations_figure
from siftrl.reports.statistics import mean, stratified_bootstrap

STEPS = np.array([10, 20, 30])


def curves(n_runs):
    returns = np.random.default_rng(n_runs).normal(size=(n_runs, 3)) ** 3
    return Curves(STEPS, returns, np.arange(n_runs))


def drawn(**methods):
    axes = Figure().subplots()
    draw_curves(axes, methods, colours=dict.fromkeys(methods, "C0"), statistic=mean)
    return axes


@pytest.mark.parametrize("n_runs", [3, 5])
def test_the_band_is_the_interval_of_each_point(n_runs):
    of = curves(n_runs)
    axes = drawn(anf=of)
    ((line,), (band,)) = axes.lines, axes.collections
    assert line.get_ydata() == pytest.approx(of.returns.mean(0))
    low, high, _ = stratified_bootstrap(of.returns[:, None], mean)
    assert band.get_datalim(axes.transData).intervaly == pytest.approx([low.min(), high.max()])


@pytest.mark.parametrize("n_runs", [1, 2])
def test_fewer_than_three_runs_are_drawn_one_by_one(n_runs):
    axes = drawn(anf=curves(n_runs))
    assert len(axes.lines) == n_runs
    assert not axes.collections
    assert axes.get_legend_handles_labels()[1] == ["anf"]


@pytest.mark.parametrize("n_tasks", [1, 2, 4])
def test_each_task_has_a_panel_and_each_method_one_entry_in_the_legend(n_tasks):
    tasks = {f"task {k}": {"anf": curves(5), "dense": curves(3)} for k in range(n_tasks)}
    figure = curves_figure(tasks, dashed=["dense"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(tasks)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["anf", "dense"]
    assert [line.get_linestyle() for line in figure.axes[0].lines] == ["-", "--"]
    assert figure.axes[0].lines[0].get_color() != figure.axes[0].lines[1].get_color()


def test_a_figure_can_be_saved(tmp_path):
    curves_figure({"Ant-v5": {"anf": curves(5)}}).savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_curve_of_one_run_has_the_spread_of_its_episodes():
    returns = np.array([[1.0, 3.0], [2.0, 6.0], [0.0, 0.0]])
    figure = evaluations_figure(STEPS, returns)
    ((line,), (band,)) = figure.axes[0].lines, figure.axes[0].collections
    assert line.get_ydata().tolist() == [2, 4, 0]
    assert band.get_datalim(figure.axes[0].transData).intervaly.tolist() == [0, 6]
    assert not evaluations_figure(STEPS, returns[:, :1]).axes[0].collections


@pytest.mark.parametrize("n_runs", [1, 3])
def test_a_single_evaluation_is_a_point(n_runs):
    axes = drawn(anf=Curves(STEPS[:1], np.ones((n_runs, 1)), np.arange(n_runs)))
    assert {line.get_marker() for line in axes.lines} == {"o"}
    assert {line.get_marker() for line in drawn(anf=curves(n_runs)).lines} == {"None"}


def test_a_method_without_a_colour_gets_matplotlibs_own():
    figure = curves_figure({"task": {"anf": curves(3), "dense": curves(5)}}, colours={"anf": "red"})
    assert [line.get_color() for line in figure.axes[0].lines] == ["red", "C1"]

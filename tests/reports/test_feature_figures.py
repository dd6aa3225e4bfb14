"""Figures show the features' numbers, all real ones, and nothing where there are no links."""

import numpy as np
import pytest
from siftrl.reports.feature_figures import bars, degree_figure, map_figure, map_rows, over_time_figure, ranking_figure
from siftrl.reports.listening import listening
from siftrl.reports.theme import NOISE, REAL


@pytest.fixture
def heard(make_history):
    return listening(make_history(), ("x", "y", "z"))


def test_lines_are_medians_and_bands_hold_the_middle(heard):
    (axes,) = over_time_figure(heard, "actor", "links").axes
    real, noise = axes.lines
    assert real.get_ydata().tolist() == np.median(heard.links["actor"][:, :3], 1).tolist()
    assert noise.get_ydata().tolist() == np.median(heard.links["actor"][:, 3:], 1).tolist()
    assert (real.get_color(), noise.get_color()) == (REAL, NOISE)
    band = axes.collections[1].get_datalim(axes.transData).intervaly
    low, high = np.quantile(heard.links["actor"][:, 3:], (0.1, 0.9), axis=1)
    assert band == pytest.approx([low.min(), high.max()])


def test_new_orders_are_marked(make_history):
    heard = listening(make_history(permuted=True), None)
    for axes in (over_time_figure(heard, "actor", "links").axes[0], map_figure(heard, "actor").axes[0]):
        dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
        assert dotted == [200, 300, 400]


def test_without_the_truth_each_feature_has_a_line(make_history):
    (axes,) = over_time_figure(listening(make_history(n_real=0), None), "actor", "strength").axes
    assert len(axes.lines) == 12
    assert not axes.collections


def test_without_noise_there_is_one_kind(make_history):
    figure = over_time_figure(listening(make_history(n_real=12), None), "actor", "links")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["real: median", "10-90 %"]


def test_the_map_has_all_real_features_and_the_strongest_noise(make_history):
    heard = listening(make_history(n_real=3, n_features=200), None)
    rows = map_rows(heard, "actor")
    assert sorted(rows[:3]) == [0, 1, 2]
    strength = heard.strength["actor"][-1]
    assert len(rows) == 63
    assert (np.diff(strength[rows[:3]]) <= 0).all()
    assert strength[rows[3:]].min() >= strength[np.setdiff1d(np.arange(200), rows)].max()


def test_the_map_is_blank_where_there_are_no_links(heard):
    axes, _ = map_figure(heard, "actor").axes
    shown = axes.images[0].get_array()
    links = heard.links["actor"][:, map_rows(heard, "actor")].T
    assert (shown.mask[:, -1] == (links[:, -1] == 0)).all()
    assert shown.mask[-1].all()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["real\n(3)", "noise\n(9)"]
    # Four records at equal distances: columns show the nearest one.
    strength = heard.strength["actor"][:, map_rows(heard, "actor")].T
    assert shown[0, 0] == strength[0, 0]
    assert shown[0, -1] == strength[0, -1]
    assert shown[0, 30] == strength[0, 1]


def test_a_single_record_and_a_network_without_links_can_be_shown(make_history):
    heard = listening(make_history(n=1), None)
    for of_network in (heard.links["actor"], heard.strength["actor"]):
        of_network[:] = 0
    for figure in (map_figure, ranking_figure, degree_figure):
        figure(heard, "actor").canvas.draw()
    over_time_figure(heard, "actor", "links").canvas.draw()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", [slice(None), slice(2, 5)])
@pytest.mark.filterwarnings("error")
def test_training_that_diverged_can_be_shown(make_history, value, which):
    history = make_history()
    history.strength["actor"][-1, which] = value
    heard = listening(history, None)
    for figure in (map_figure, ranking_figure):
        figure(heard, "actor").canvas.draw()
    over_time_figure(heard, "actor", "strength").canvas.draw()
    assert not {*range(12)[which]} & {*bars(heard, "actor")}


def test_the_ranking_has_names_and_leaves_out_what_is_not_heard(heard):
    (axes,) = ranking_figure(heard, "actor").axes
    assert len(bars(heard, "actor")) == len(axes.patches) == 11
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted(widths, reverse=True)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert set(labels[:3]) == {"x", "y", "z"}
    assert "noise at 11" not in labels


def test_the_ranking_has_at_most_thirty(make_history):
    assert len(bars(listening(make_history(n_features=80), None), "actor")) == 30


@pytest.mark.parametrize("n_features", [12, 200])
def test_the_histogram_counts_every_feature(make_history, n_features):
    (axes,) = degree_figure(listening(make_history(n_features=n_features), None), "actor").axes
    assert sum(bar.get_height() for bar in axes.patches) == n_features
    assert axes.get_yscale() == "linear"


def test_an_uneven_histogram_has_a_logarithmic_axis(make_history):
    heard = listening(make_history(n_features=200), None)
    heard.links["actor"][-1, 3:] = 0
    (axes,) = degree_figure(heard, "actor").axes
    assert axes.get_yscale() == "log"

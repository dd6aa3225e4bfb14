"""The figure: its panels and what they show."""

import pytest
from siftrl.robustness.figure import severity_figure
from siftrl.robustness.scores import Robustness


def agent(method, seed, **scores):
    return Robustness(method, "Ant-v5", seed, 90.0, -10.0, 5.0, scores)


def test_a_panel_for_the_mean_and_each_corruption():
    agents = [agent("sac set", seed, bias={1: 0.9, 5: 0.5}, delay={1: 0.7, 5: 0.1}) for seed in range(3)]
    agents.append(agent("sac dense", 0, bias={1: 0.8, 5: 0.4}, delay={1: 0.6, 5: 0.0}))
    figure = severity_figure(agents)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["mean", "bias", "delay"]
    assert figure.axes[1].get_title(loc="right") == "0.05 to 0.8 standard deviations"
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(lines["sac set"].get_xdata()) == [0, 1, 5]
    assert list(lines["sac set"].get_ydata()) == pytest.approx([1, 0.8, 0.3])
    assert list(lines["sac dense"].get_ydata()) == pytest.approx([1, 0.7, 0.2])


def test_there_must_be_something_to_draw():
    nobody = Robustness("sac set", "Ant-v5", 0, -20.0, -10.0, 5.0, {"bias": {1: float("nan")}})
    with pytest.raises(ValueError, match="none is"):
        severity_figure([nobody])

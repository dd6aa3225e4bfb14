"""Scores, areas, and how rows become agents."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.robustness.scores import area, robustness, score

returns = st.floats(-1e4, 1e4)


@given(random=returns, gap=st.floats(1, 1e4), shift=returns, scale=st.floats(0.1, 10))
def test_a_score_knows_no_units(random, gap, shift, scale):
    clean = random + gap
    assert score(clean, clean, random) == pytest.approx(1)
    assert score(random, clean, random) == pytest.approx(0, abs=1e-9)
    disturbed = (clean + 2 * random) / 3
    moved = score(disturbed * scale + shift, clean * scale + shift, random * scale + shift)
    assert moved == pytest.approx(score(disturbed, clean, random), abs=1e-6)


def test_who_has_learnt_nothing_has_nothing_to_lose():
    assert math.isnan(score(-5.0, clean=-10.0, random=-10.0))
    assert math.isnan(area({1: math.nan, 2: math.nan}))


@given(value=st.floats(-2, 2), severities=st.sets(st.integers(1, 5), min_size=1))
def test_an_area_is_a_mean_that_begins_at_one(value, severities):
    assert area(dict.fromkeys(severities, 1.0)) == pytest.approx(1)
    first, last = min(severities), max(severities)
    expected = ((1 + value) / 2 * first + value * (last - first)) / last
    assert area(dict.fromkeys(severities, value)) == pytest.approx(expected)


def row(agent, corruption, severity, mean_return, method="sac set", env="Ant-v5"):
    key = {"agent": agent, "env": env, "corruption": corruption, "severity": str(severity)}
    return {**key, "method": method, "task": env, "seed": "3", "mean_return": str(mean_return)}


ROWS = [
    row("", "random", 0, -10),
    row("", "still", 0, 5),
    row("a", "clean", 0, 90),
    row("a", "bias", 5, -10),
    row("a", "bias", 3, 40),
    row("a", "delay", 5, 90),
    row("a", "delay", 3, 90),
    row("b", "clean", 0, -20),
    row("b", "bias", 5, -30),
]


def test_rows_become_agents():
    first, second = robustness(ROWS)
    assert (first.method, first.task, first.seed) == ("sac set", "Ant-v5", 3)
    assert (first.clean, first.random, first.still) == (90, -10, 5)
    assert first.scores == {"bias": {5: 0.0, 3: 0.5}, "delay": {5: 1.0, 3: 1.0}}
    assert first.areas == {"bias": pytest.approx((0.75 * 3 + 0.25 * 2) / 5), "delay": 1.0}
    assert first.mean_area == pytest.approx((0.55 + 1) / 2)
    assert (first.worst, first.has_learnt) == ("bias", True)
    assert not second.has_learnt
    assert second.to_dict()["mean_area"] is None
    assert second.to_dict()["scores"] == {"bias": {"5": None}}


@pytest.mark.parametrize("missing", range(3))
def test_rows_without_their_references_get_one_sentence(missing):
    with pytest.raises(ValueError, match="agent a need a row 'clean' of it and rows 'random' and 'still' of Ant-v5"):
        robustness(ROWS[:missing] + ROWS[missing + 1 :])

"""The experiment on screening: its noise is what it says, and its table tells what its rows do."""

import numpy as np
import pytest
from siftrl.experiments import screening


@pytest.mark.parametrize("kind", screening.NOISE)
def test_each_kind_of_noise_has_its_shape_and_its_seed(kind):
    noise, again, other = (screening.NOISE[kind](np.random.default_rng(s), 60, 7, "Pendulum-v1") for s in (0, 0, 1))
    assert noise.shape == (61, 7)
    assert np.array_equal(noise, again)
    assert not np.array_equal(noise, other)


def test_memory_over_time_is_what_the_kind_says():
    rng = np.random.default_rng(0)

    def correlation(kind):
        noise = screening.NOISE[kind](rng, 4_000, 5, "Pendulum-v1")
        return np.mean([np.corrcoef(column[:-1], column[1:])[0, 1] for column in noise.T])

    assert abs(correlation("independent")) < 0.03
    assert correlation("autoregressive") == pytest.approx(0.95, abs=0.01)
    assert correlation("brownian") > 0.99


def test_the_bare_task_is_found_and_counted(monkeypatch):
    monkeypatch.setattr(screening, "N_STEPS", (300, 600))
    rows = list(screening.examine("Hopper-v5", "independent", seed=0))
    assert [row["steps"] for row in rows] == [300, 600]
    assert rows[1] == {**rows[1], "features": 1_100, "moving": 11, "found": 11, "missed": "", "false": 0}
    monkeypatch.setattr(screening, "TASKS", ("Hopper-v5",))
    monkeypatch.setattr(screening, "NOISE", {"independent": None})
    assert "| Hopper-v5 | independent | " in screening.summary(rows)
    assert "| 11 of 11 (0, 0) |\n" in screening.summary(rows)

"""The experiment on screening: it examines what an agent would see, and its table tells what its rows do."""

import numpy as np
import pytest
from siftrl.envs import make_ene
from siftrl.experiments import screening


@pytest.mark.parametrize("kind", [kind for kind in screening.NOISE if kind != "shadow"])  # which takes a while to record
def test_transitions_are_those_of_the_bare_task_among_noise(kind):
    whole, bare = screening.play("Pendulum-v1", screening.NOISE[kind], 0, 250), make_ene("Pendulum-v1", 0)
    bare.action_space.seed(0)
    np.testing.assert_array_equal(whole.observations[0, :3], bare.reset(seed=0)[0])
    following, reward, *_ = bare.step(bare.action_space.sample())
    np.testing.assert_array_equal(whole.next_observations[0, :3], following)
    assert whole.rewards[0] == np.float32(reward)
    episode_goes_on = np.arange(249) != 199
    np.testing.assert_array_equal(whole.observations[1:][episode_goes_on], whole.next_observations[:-1][episode_goes_on])
    assert (whole.observations[200] != whole.next_observations[199]).any()


def test_every_kind_is_what_its_name_says():
    def correlation(kind):
        noise = screening.play("Pendulum-v1", screening.NOISE[kind], 0, 200).observations[:, 3:30]
        return np.mean([np.corrcoef(column[:-1], column[1:])[0, 1] for column in noise.T])

    assert abs(correlation("normal")) < 0.1
    assert 0.85 < correlation("autoregressive") < 0.97
    assert correlation("brownian") > 0.95
    assert screening.play("Pendulum-v1", screening.NOISE["normal, std 16"], 0, 200).observations[
        :, 3:
    ].std() == pytest.approx(16, rel=0.05)


def test_a_run_that_was_stopped_goes_on(monkeypatch, tmp_path):
    examined = []

    def examine(*wanted):
        examined.append(wanted)
        row = dict.fromkeys(screening.COLUMNS, 5) | dict(zip(("task", "noise", "seed"), wanted, strict=True))
        return [row | {"steps": n} for n in screening.N_STEPS]

    monkeypatch.setattr(screening, "examine", examine)
    path = tmp_path / "rows.csv"
    with monkeypatch.context() as first:
        first.setattr(screening, "CASES", [(task, "brownian") for task in screening.TASKS])
        screening.complete(path)
    assert len(examined) == len(set(examined)) == 15
    table = screening.summary(screening.read(path))
    assert table.count("| brownian |") == 5
    assert "| normal |" not in table
    screening.complete(path)
    assert len(examined) == len(set(examined)) == 5 * 6 * 3
    assert len(screening.read(path)) == 5 * 6 * 3 * 4


def test_the_bare_task_is_found_and_counted(monkeypatch):
    monkeypatch.setattr(screening, "N_STEPS", (300, 600))
    monkeypatch.setattr(screening, "SEEDS", (0,))
    rows = list(screening.examine("Hopper-v5", "normal", seed=0))
    assert [row["steps"] for row in rows] == [300, 600]
    assert rows[1] == {**rows[1], "features": 1_100, "moving": 11, "found": 11, "missed": ""}
    assert rows[1]["false"] <= 1
    monkeypatch.setattr(screening, "TASKS", ("Hopper-v5",))
    monkeypatch.setattr(screening, "NOISE", {"normal": None})
    assert "| Hopper-v5 | normal | " in screening.summary(rows)
    assert f"| 11 of 11 ({rows[1]['false']}, {rows[1]['false']}) |\n" in screening.summary(rows)

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


def test_the_table_shows_what_all_seeds_were_examined_for():
    rows = [
        dict.fromkeys(screening.COLUMNS, 5) | {"task": task, "noise": "brownian", "seed": seed, "steps": n}
        for task in screening.TASKS
        for seed in screening.SEEDS
        for n in screening.N_STEPS
    ]
    assert screening.summary(rows).count("| brownian |") == len(screening.TASKS)
    assert screening.summary(rows[:-1]).count("| brownian |") == len(screening.TASKS) - 1
    assert "| normal |" not in screening.summary(rows)


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

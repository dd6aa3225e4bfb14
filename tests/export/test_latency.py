"""Timing: every rival has its turns, and the dense one reads all features."""

import numpy as np
from siftrl.export.actor import actor_of
from siftrl.export.latency import dense_rival, latencies


def test_each_rival_has_as_many_turns_and_its_median_but_for_the_first_round(monkeypatch):
    turns, now = [], 0.0
    monkeypatch.setattr("time.process_time", lambda: now)

    def rival(name, seconds):
        def act(observation):
            nonlocal now
            turns.append((name, observation.shape))
            now += 1.0 if len(turns) <= 20 else seconds

        return act

    microseconds = latencies({"a": rival("a", 0.25), "b": rival("b", 0.5)}, 7, rounds=1)
    assert turns == 2 * (10 * [("a", (1, 7))] + 10 * [("b", (1, 7))])
    assert microseconds == {"a": 0.25e6, "b": 0.5e6}


def test_time_limits_the_rounds():
    turns = []
    latencies({"a": turns.append}, 1, rounds=10**9, seconds=0)
    assert len(turns) == 40


def test_the_dense_rival_has_the_actors_widths(sifted_model):
    act = dense_rival(actor_of(sifted_model))
    assert act(np.zeros((3, 200), np.float32)).shape == (3, 2)

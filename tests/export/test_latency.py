"""Timing: every rival has its turns, and the dense one reads all features."""

import numpy as np
from siftrl.export.actor import actor_of
from siftrl.export.latency import dense_rival, latencies


def test_each_rival_has_as_many_turns():
    turns = []
    rivals = {name: lambda observation, name=name: turns.append((name, observation.shape)) for name in "ab"}
    microseconds = latencies(rivals, 7, rounds=3)
    assert turns == 4 * (10 * [("a", (1, 7))] + 10 * [("b", (1, 7))])
    assert microseconds.keys() == {"a", "b"}
    assert all(value >= 0 for value in microseconds.values())


def test_time_limits_the_rounds():
    turns = []
    latencies({"a": turns.append}, 1, rounds=10**9, seconds=0)
    assert len(turns) == 40


def test_the_dense_rival_has_the_actors_widths(sifted_model):
    act = dense_rival(actor_of(sifted_model))
    assert act(np.zeros((3, 200), np.float32)).shape == (3, 2)

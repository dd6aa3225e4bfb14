"""Forgetting: a buffer that forgot its oldest rows is one that never saw them."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from siftrl.agents.replay import NoiseReplayBuffer
from siftrl.agents.replay_rows import forget_oldest, n_filled, observed, oldest_rows, reorder, storage
from siftrl.envs import NoiseSource
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer

ROWS, N_ENVS = 12, 2
SPACE, ACTIONS = spaces.Box(-1, 1, (37,)), spaces.Box(-1, 1, (3,))  # more than a cache line, and less
SOURCE = NoiseSource(3, 7)


def plain(kind=ReplayBuffer, **options):
    return kind(ROWS * N_ENVS, SPACE, ACTIONS, device="cpu", n_envs=N_ENVS, **options)


def noisy(**options):
    space = spaces.Box(-np.inf, np.inf, (10,), np.float32)
    return NoiseReplayBuffer(ROWS * N_ENVS, space, ACTIONS, "cpu", N_ENVS, noise_source=SOURCE, **options)


MAKERS = {
    "plain": plain,
    "n-step": lambda: plain(NStepReplayBuffer, n_steps=3, gamma=0.9),
    "noise": noisy,
    "noise, n-step": lambda: noisy(n_steps=3, gamma=0.9),
}


def with_noise(buffer, rng, keys):
    """Observations that the buffer takes: real features, and in a noisy one what belongs to the keys."""
    observations = rng.normal(size=(N_ENVS, *buffer.obs_shape)).astype(np.float32)
    if isinstance(buffer, NoiseReplayBuffer):
        SOURCE.fill(keys, observations[:, SOURCE.n_real :])
    return observations


def add(buffer, number):
    """Store transition ``number``, which is the same each time."""
    rng = np.random.default_rng(number)
    keys = np.array([[5, number + 1], [6, number + 1]], np.uint64)
    earlier = with_noise(buffer, rng, keys - np.array([0, 1], np.uint64))
    done = rng.random(N_ENVS) < 0.2
    infos = [{"noise_key": key, "TimeLimit.truncated": bool(rng.random() < 0.5)} for key in keys]
    actions = rng.uniform(-1, 1, (N_ENVS, 3))
    buffer.add(earlier, with_noise(buffer, rng, keys), actions, rng.normal(size=N_ENVS), done, infos)


def assert_same(buffer, expected):
    assert (buffer.pos, buffer.full) == (expected.pos, expected.full)
    for (name, rows), (_, theirs) in zip(storage(buffer), storage(expected), strict=True):
        np.testing.assert_array_equal(rows[: n_filled(buffer)], theirs[: n_filled(buffer)], err_msg=name)
    if n_filled(buffer) == 0:
        return
    np.random.seed(0)
    batch = buffer.sample(32)
    np.random.seed(0)
    for name, ours, theirs in zip(batch._fields, batch, expected.sample(32), strict=True):
        assert (ours is None and theirs is None) or torch.equal(ours, theirs), name


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@given(seen=st.integers(1, 40), data=st.data(), later=st.integers(0, 20))
def test_it_is_as_if_they_had_never_been(make, seen, data, later):
    buffer, expected = make(), make()
    for number in range(seen):
        add(buffer, number)
    filled = n_filled(buffer)
    forgotten = data.draw(st.integers(1, filled))
    forget_oldest(buffer, forgotten)
    for number in range(seen - filled + forgotten, seen):
        add(expected, number)
    assert_same(buffer, expected)
    for number in range(seen, seen + later):
        add(buffer, number)
        add(expected, number)
    assert_same(buffer, expected)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_rows_move_in_place(make):
    buffer = make()
    for number in range(17):
        add(buffer, number)
    before = {name: (rows, rows.ctypes.data) for name, rows in storage(buffer)}
    assert {"observations", "next_observations", "actions", "rewards", "dones", "timeouts"} <= set(before)
    assert ({"noise_keys", "orders"} <= set(before)) == isinstance(buffer, NoiseReplayBuffer)
    forget_oldest(buffer, 5)
    for name, rows in storage(buffer):
        assert rows is before[name][0]
        assert rows.ctypes.data == before[name][1]


def test_forgetting_nothing_leaves_a_full_buffer_full():
    buffer = plain()
    for number in range(15):
        add(buffer, number)
    forget_oldest(buffer, 0)
    assert (buffer.pos, buffer.full) == (3, True)


@pytest.mark.parametrize(("seen", "expected"), [(0, []), (2, [0, 1]), (12, [0, 1, 2]), (14, [2, 3, 4]), (23, [11, 0, 1])])
def test_the_oldest_rows_are_named_in_their_order(seen, expected):
    buffer = plain()
    for number in range(seen):
        add(buffer, number)
    assert oldest_rows(buffer, 3).tolist() == expected


@pytest.mark.parametrize("n_rows", [-1, 4])
def test_there_must_be_as_many(n_rows):
    buffer = plain()
    for number in range(3):
        add(buffer, number)
    with pytest.raises(ValueError, match=rf"n_rows={n_rows} must be from 0 to 3, the rows that are filled"):
        forget_oldest(buffer, n_rows)


def test_a_row_that_needs_its_neighbours_cannot_go():
    saving = plain(optimize_memory_usage=True, handle_timeout_termination=False)
    named = DictReplayBuffer(9, spaces.Dict(a=SPACE), ACTIONS)
    for buffer in (saving, named):
        with pytest.raises(ValueError, match=f"as arrays to be looked into, got a {type(buffer).__name__}"):
            forget_oldest(buffer, 0)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_reordered_transitions_come_back_in_their_new_order_and_others_as_they_were(make):
    buffer, rng = make(), np.random.default_rng(0)
    for number in range(ROWS + 3):
        add(buffer, number)
    rows, n_features = np.arange(ROWS), buffer.obs_shape[0]
    expected = observed(buffer, rows)
    for _ in range(3):  # some are reordered more than once
        where, sources = rng.random((ROWS, N_ENVS)) < 0.5, rng.permutation(n_features)
        expected = [np.where(where.reshape(-1, 1), part[:, sources], part) for part in expected]
        reorder(buffer, where, sources)
        for part, wanted in zip(observed(buffer, rows), expected, strict=True):
            np.testing.assert_array_equal(part, wanted)
    if buffer.__class__ is NoiseReplayBuffer and buffer.n_steps == 1:
        assert_batches_agree(buffer, expected)


def assert_batches_agree(buffer, expected):
    """Both ways of sampling give what was observed, as a set of rows."""
    known = {row.tobytes() for row in expected[0].astype(np.float32)}
    for sample in (buffer.sample, buffer.sample_shared):
        observations = sample(64).observations
        observations = observations if torch.is_tensor(observations) else observations.rows()
        assert {row.tobytes() for row in observations.numpy()} <= known


def test_orders_in_which_nothing_stands_any_longer_are_dropped():
    buffer = noisy()
    for number in range(4):
        add(buffer, number)
    where, sources = np.arange(ROWS)[:, None] < [4, 4], np.random.default_rng(0).permutation(10)
    for _ in range(3):
        reorder(buffer, where, sources)
        assert len(buffer.own_orders) == 1
    assert np.array_equal(buffer.own_orders[0], sources[sources][sources])

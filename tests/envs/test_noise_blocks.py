"""Blocks: where they are read, how they move on, and that no two of them are read alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.envs.noise_blocks import NoiseBlocks
from siftrl.envs.noise_tables import NoiseTable, autoregressive

PERIOD, SERIES = 512, 64


def table(kind, stride=SERIES):
    """A table in which every number says where it stands."""
    length = PERIOD * stride
    numbers = np.concatenate([np.arange(length), np.arange(0 if kind == "rows" else 256), np.zeros(256)])
    return NoiseTable(numbers.astype(np.float32), length, stride=stride, whole_rows=kind == "rows")


def keys(streams, times):
    return np.stack(np.broadcast_arrays(np.uint64(streams), np.uint64(times)), axis=-1).astype(np.uint64).reshape(-1, 2)


@given(
    kind=st.sampled_from(["series", "rows"]),
    stride=st.sampled_from([1, 3, 17, 300]),
    n_noise=st.integers(1, 700),
    stream=st.integers(0, 2**64 - 1),
    start=st.integers(0, 2**64 - 40),
    live=st.integers(0, 700),
)
def test_noise_moves_on_with_time_around_the_table(kind, stride, n_noise, stream, start, live):
    live = min(live, n_noise)
    blocks, length = NoiseBlocks(table(kind, stride), n_noise, live), PERIOD * stride
    times = start + np.arange(40, dtype=np.uint64)
    noise = np.empty((40, n_noise), np.float32)
    blocks.copy(keys(stream, times), noise)
    # At 2⁶⁴ time begins anew, and the period divides it.
    np.testing.assert_array_equal(np.diff(noise[:, :live], axis=0) % length, stride % length)
    assert not noise[:, live:].any()
    if kind == "rows":
        columns = np.arange(live) % stride
        np.testing.assert_array_equal(noise[:, :live] % stride, np.broadcast_to(columns, (40, live)))
        for first in range(0, live, stride):
            assert len({int(row) for row in noise[0, first : min(first + stride, live)] // stride}) == 1, "copies stay whole"


@given(kind=st.sampled_from(["series", "rows"]), n_noise=st.integers(1, 2_000), stream=st.integers(0, 2**64 - 1))
def test_what_is_read_for_one_observation_begins_far_apart(kind, n_noise, stream):
    made = table(kind)
    _, offsets, starts, _ = NoiseBlocks(made, n_noise, n_noise).segments(keys(stream, 0))
    begins = np.unique(offsets[0] // SERIES * SERIES) if kind == "rows" else np.sort(offsets[0])
    n_tracks = len(starts) if kind == "series" else -(-n_noise // SERIES)
    gaps = np.diff(np.concatenate((begins, [begins[0] + made.length])))
    n_read = n_tracks if kind == "series" else n_noise // SERIES + 1  # the rest of a copy has its share too
    assert len(begins) == n_tracks
    assert gaps.min() >= made.length // n_read // 2 - SERIES


def test_streams_begin_anywhere_and_differ():
    made = table("series")
    streams = np.random.default_rng(0).integers(0, 2**63, 20_000).astype(np.uint64)
    offsets = NoiseBlocks(made, 27, 27).segments(keys(streams, 0)).offsets
    assert len(np.unique(offsets, axis=0)) == len(offsets)
    for block in offsets.T:
        counts = np.bincount(block * 16 // made.length, minlength=16)
        assert np.abs(counts / len(streams) - 1 / 16).max() < 0.01


@pytest.mark.parametrize("n_noise", [27, 1_683])
def test_features_and_streams_are_independent(n_noise):
    """Of noise with a short memory, as many numbers count as independent as theory says."""
    made, n = autoregressive(1.0, 0.5), 4_000
    blocks = NoiseBlocks(made, n_noise, n_noise)
    one, other = (np.empty((n, n_noise), np.float32) for _ in range(2))
    blocks.copy(keys(12345, np.arange(n)), one)
    blocks.copy(keys(12346, np.arange(n)), other)
    chosen = np.random.default_rng(0).permutation(n_noise)[:200]
    one, other = one[:, chosen], other[:, chosen]
    limit = 6 * np.sqrt((1 + 0.25) / (1 - 0.25) / n)
    within = one.T @ one / n
    assert np.abs(within - np.diag(np.diag(within))).max() < limit
    assert np.abs(one.T @ other / n).max() < limit
    for lag in (1, 7, 100):
        off = one[:-lag].T @ one[lag:] / n
        np.testing.assert_allclose(np.diag(off), 0.5**lag, atol=limit)
        assert np.abs(off - np.diag(np.diag(off))).max() < limit

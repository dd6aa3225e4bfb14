"""Blocks of a flat array become columns of a batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.gather import gather


@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    rows=st.integers(1, 50),
    n_threads=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_every_block_lands_in_its_place_and_nothing_else_changes(widths, rows, n_threads, seed):
    rng = np.random.default_rng(seed)
    source = rng.standard_normal(500).astype(np.float32)
    widths = np.array(widths)
    starts = 2 + np.cumsum(widths) - widths
    offsets = rng.integers(0, 500 - widths.max() + 1, (rows, len(widths)))
    out = np.full((2 + widths.sum() + 1, rows), 7.0, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("siftrl.sparse.gather._MIN_NUMBERS_FOR_THREADS", 0)
        gather(source, offsets, starts, widths, out, n_threads=n_threads)

    expected = np.full_like(out, 7.0)
    for row in range(rows):
        for start, width, offset in zip(starts, widths, offsets[row], strict=True):
            expected[start : start + width, row] = source[offset : offset + width]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("offset", "start", "width"),
    [(-1, 0, 2), (9, 0, 2), (0, 3, 2)],
)
def test_blocks_outside_the_source_or_the_batch_are_refused(offset, start, width):
    with pytest.raises(IndexError, match="outside"):
        gather(
            np.zeros(10, np.float32),
            np.array([[offset]]),
            np.array([start]),
            np.array([width]),
            np.zeros((4, 1), np.float32),
        )


def test_as_many_offsets_as_columns_are_needed():
    with pytest.raises(IndexError, match="3 rows"):
        gather(
            np.zeros(9, np.float32), np.zeros((3, 1), np.int64), np.array([0]), np.array([2]), np.zeros((2, 4), np.float32)
        )

"""Slices of flat arrays become columns of a batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse import threads
from siftrl.sparse.gather import TILE_ROWS, Slices, copy_blocks, row_bounds


def some_slices(widths, rows, rng):
    """Slices of two sources, and the batch they describe, row-major."""
    sources = [rng.standard_normal(500).astype(np.float32) for _ in range(2)]
    parts, columns = [], []
    for source, part in zip(sources, (widths[: len(widths) // 2], widths[len(widths) // 2 :]), strict=True):
        offsets = rng.integers(0, 500 - 40 + 1, (rows, len(part)))
        parts.append((source, offsets, part))
        for block, width in enumerate(part):
            columns += [source[offsets[:, block] + i] for i in range(width)]
    return Slices.join(*parts), np.stack(columns, axis=1)


SHAPES = {
    "widths": st.lists(st.integers(1, 40), min_size=2, max_size=6),
    "rows": st.integers(1, 50),
    "seed": st.integers(0, 99),
}


@given(**SHAPES, n_threads=st.sampled_from([1, 2]))
def test_a_batch_is_built_from_its_slices(widths, rows, seed, n_threads):
    slices, expected = some_slices(widths, rows, np.random.default_rng(seed))
    assert (slices.n_features, slices.batch) == (sum(widths), rows)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "MIN_WORK_PER_THREAD", 0)
        built = slices.build()
    torch.set_num_threads(before)
    np.testing.assert_array_equal(built.T, expected)


@given(**SHAPES, data=st.data())
def test_a_range_is_copied_to_where_it_belongs_and_nothing_else_changes(widths, rows, seed, data):
    slices, expected = some_slices(widths, rows, np.random.default_rng(seed))
    first, last = sorted(data.draw(st.lists(st.integers(0, sum(widths)), min_size=2, max_size=2, unique=True)))
    first_row = data.draw(st.integers(0, rows - 1))
    last_row = data.draw(st.integers(first_row + 1, rows))
    out = np.full((last - first + 3, last_row - first_row + 3), 7.0, np.float32)
    copy_blocks(slices, first, last, first_row, last_row, out, 2, 1)
    np.testing.assert_array_equal(out[2:-1, 1:-2], expected[first_row:last_row, first:last].T)
    out[2:-1, 1:-2] = 7.0
    assert (out == 7.0).all()


def test_the_batch_may_be_built_in_memory_that_is_given():
    slices, expected = some_slices([3, 4], 5, np.random.default_rng(0))
    out = np.empty((7, 5), np.float32)
    assert slices.build(out) is out
    np.testing.assert_array_equal(out.T, expected)
    with pytest.raises(ValueError, match=r"out must have shape \(7, 5\), got \(5, 7\)"):
        slices.build(np.empty((5, 7), np.float32))


@pytest.mark.parametrize("offset", [-1, 9])
def test_blocks_outside_their_source_are_refused(offset):
    with pytest.raises(IndexError, match="outside its source of 10 numbers"):
        Slices.join((np.zeros(10, np.float32), np.array([[offset]]), [2]))


def test_a_source_stays_writable_for_its_owner():
    source = np.zeros(10, np.float32)
    Slices.join((source, np.array([[0]]), [2]))
    source[0] = 1


@given(st.integers(0, 400), st.integers(1, 20))
def test_rows_are_cut_into_whole_tiles(batch, parts):
    bounds = row_bounds(batch, parts)
    assert bounds[0] == 0
    assert bounds[-1] == batch
    assert (np.diff(bounds) > 0).all() or batch == 0
    assert (bounds[:-1] % TILE_ROWS == 0).all()
    assert len(bounds) - 1 <= parts

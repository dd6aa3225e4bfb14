"""Choosing k of n: exactly so many, no favourites, and never a list of what is empty."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.choice import k_smallest, sample_distinct, sample_empty

# The 99.9 % quantile of chi-square for the degrees of freedom used below.
CHI_SQUARE = {4: 18.5, 14: 36.1}


def chi_square(counts: np.ndarray) -> float:
    """Distance of counts from all being alike."""
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2).sum() / expected)


def tally(draw, n: int, times: int) -> np.ndarray:
    """Count how often each number below n comes up in many draws."""
    rng = np.random.default_rng(0)
    return np.bincount(np.concatenate([draw(rng) for _ in range(times)]), minlength=n)


@given(n=st.integers(0, 300), share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_distinct_samples_are_distinct_and_complete(n, share, seed):
    sample = sample_distinct(n, int(share * n), np.random.default_rng(seed))
    assert sample.dtype == np.int64
    assert sample.size == int(share * n)
    assert np.all(np.diff(sample) > 0)
    assert np.all((sample >= 0) & (sample < n))


@pytest.mark.parametrize("k", [1, 4, 12])
def test_no_empty_place_is_favoured(k):
    occupied = np.array([0, 3, 4, 5, 11, 19])
    empty = np.setdiff1d(np.arange(21), occupied)
    counts = tally(lambda rng: sample_empty(occupied, 21, k, rng), 21, 5000)
    assert counts[occupied].sum() == 0
    assert chi_square(counts[empty]) < CHI_SQUARE[14]


def test_empty_places_are_never_listed():
    occupied = np.arange(10**5) * 10**6
    tracemalloc.start()
    sample = sample_empty(occupied, 10**12, 1000, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sample.size == np.unique(sample).size == 1000
    assert not np.isin(sample, occupied).any()
    assert peak < 10 * occupied.nbytes


@given(scores=st.lists(st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0]), max_size=60), data=st.data())
def test_nothing_smaller_is_left_out(scores, data):
    scores = np.array(scores)
    chosen = k_smallest(scores, data.draw(st.integers(0, scores.size)), np.random.default_rng(0))
    assert max(scores[chosen], default=-np.inf) <= min(np.delete(scores, chosen), default=np.inf)


def test_ties_are_drawn_only_among_those_that_tie():
    scores = np.array([2.0, 1.0, 2.0, 0.0, 2.0, 3.0, 2.0, 2.0])
    counts = tally(lambda rng: k_smallest(scores, 4, rng), 8, 5000)
    assert counts[[1, 3]].tolist() == [5000, 5000]
    assert counts[5] == 0
    assert chi_square(counts[[0, 2, 4, 6, 7]]) < CHI_SQUARE[4]


def test_the_generator_is_not_touched_where_nothing_ties():
    rng = np.random.default_rng(0)
    k_smallest(np.arange(10.0), 4, rng)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: sample_distinct(3, -1, rng), r"k=-1 is outside \[0, 3\]"),
        (lambda rng: sample_empty(np.array([1]), 3, 3, rng), r"k=3 is outside \[0, 2\]"),
        (lambda rng: k_smallest(np.array([1.0]), 2, rng), r"k=2 is outside \[0, 1\]"),
        (lambda rng: k_smallest(np.array([1.0, np.nan]), 1, rng), "scores hold NaN"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))

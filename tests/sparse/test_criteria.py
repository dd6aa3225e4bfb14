"""Drop and grow rules: exact counts, no favourites, and places that are free."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.criteria import (
    DROP_RULES,
    GROW_RULES,
    GradientGrowth,
    RandomGrowth,
    k_smallest,
    magnitude,
    random_links,
    sample_distinct,
    set_signed,
)

# The 99.9 % quantile of chi-square for the degrees of freedom used below.
CHI_SQUARE = {4: 18.5, 9: 27.9, 14: 36.1}


def chi_square(counts: np.ndarray) -> float:
    """Distance of counts from all being alike."""
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2).sum() / expected)


def tally(draw, n: int, times: int) -> np.ndarray:
    """Count how often each number below n comes up in many draws."""
    rng = np.random.default_rng(0)
    return np.bincount(np.concatenate([draw(rng) for _ in range(times)]), minlength=n)


few_values = st.sampled_from([0.0, -0.0, 0.1, -0.1, 0.2, -0.2, 1.0, -1.0])


@st.composite
def weights_and_counts(draw) -> tuple[np.ndarray, int]:
    values = st.lists(few_values | st.floats(-10, 10, width=32), max_size=60)
    weight = np.array(draw(values), dtype=np.float32)
    return weight, draw(st.integers(0, weight.size))


@pytest.mark.parametrize("rule", DROP_RULES.values(), ids=DROP_RULES)
@given(case=weights_and_counts(), seed=st.integers(0, 2**32))
def test_every_drop_rule_drops_exactly_so_many_links(rule, case, seed):
    weight, n_drop = case
    before = weight.copy()
    dropped = rule(weight, n_drop, np.random.default_rng(seed))
    assert dropped.dtype == np.int64
    assert dropped.shape == (n_drop,)
    assert np.all(np.diff(dropped) > 0)
    assert np.all((dropped >= 0) & (dropped < weight.size))
    assert np.array_equal(dropped, rule(weight, n_drop, np.random.default_rng(seed)))
    assert np.array_equal(weight, before)


@given(case=weights_and_counts())
def test_magnitude_keeps_nothing_smaller_than_what_it_drops(case):
    weight, n_drop = case
    dropped = magnitude(weight, n_drop, np.random.default_rng(0))
    kept = np.delete(weight, dropped)
    assert max(np.abs(weight[dropped]), default=0) <= min(np.abs(kept), default=np.inf)


@given(case=weights_and_counts())
def test_set_signed_drops_the_same_fraction_from_either_side(case):
    weight, n_drop = case
    dropped = set_signed(weight, n_drop, np.random.default_rng(0))
    for side in (weight >= 0, weight < 0):
        gone = np.intersect1d(np.flatnonzero(side), dropped)
        kept = np.setdiff1d(np.flatnonzero(side), dropped)
        assert abs(gone.size - n_drop * side.sum() / max(weight.size, 1)) <= 0.5
        assert max(np.abs(weight[gone]), default=0) <= min(np.abs(weight[kept]), default=np.inf)


@pytest.mark.parametrize(
    ("n_drop", "dropped"),
    [
        (2, [1, 5]),  # five of eight are not negative and give 1.25, so one: the zero; the negatives give one
        (3, [1, 2, 5]),  # 1.875, so two
        (5, [1, 2, 4, 5, 7]),  # 3.125, so three
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_set_signed_by_hand(n_drop, dropped):
    weight = np.array([0.5, -0.01, 0.02, -0.5, 0.03, 0.0, 0.9, -0.02], dtype=np.float32)
    assert set_signed(weight, n_drop, np.random.default_rng(0)).tolist() == dropped


def test_magnitude_by_hand():
    weight = np.array([0.5, -0.01, 0.02, -0.5, 0.03, 0.0], dtype=np.float32)
    assert magnitude(weight, 3, np.random.default_rng(0)).tolist() == [1, 2, 5]


@pytest.mark.parametrize("rule", DROP_RULES.values(), ids=DROP_RULES)
def test_ties_fall_on_every_link_alike(rule):
    newborn = np.zeros(10, dtype=np.float32)
    assert chi_square(tally(lambda rng: rule(newborn, 3, rng), 10, 5000)) < CHI_SQUARE[9]


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


@given(
    size=st.integers(1, 400),
    density=st.floats(0, 1),
    share=st.floats(0, 1),
    name=st.sampled_from(list(GROW_RULES)),
    seed=st.integers(0, 2**32),
)
def test_every_grow_rule_grows_exactly_so_many_links_on_empty_places(size, density, share, name, seed):
    occupied = sample_distinct(size, int(density * size), np.random.default_rng(seed))
    n_grow = int(share * (size - occupied.size))
    gradient = np.random.default_rng(seed).integers(-3, 4, size).astype(np.float32)
    grown, again = (
        GROW_RULES[name]()(occupied, size, n_grow, np.random.default_rng(seed), gradient.copy()) for _ in range(2)
    )
    assert grown.dtype == np.int64
    assert grown.shape == (n_grow,)
    assert np.all(np.diff(grown) > 0)
    assert np.all((grown >= 0) & (grown < size))
    assert np.intersect1d(grown, occupied).size == 0
    assert np.array_equal(grown, again)


@pytest.mark.parametrize("n_grow", [1, 4, 12])
def test_random_growth_favours_no_empty_place(n_grow):
    occupied = np.array([0, 3, 4, 5, 11, 19])
    empty = np.setdiff1d(np.arange(21), occupied)
    counts = tally(lambda rng: RandomGrowth()(occupied, 21, n_grow, rng), 21, 5000)
    assert counts[occupied].sum() == 0
    assert chi_square(counts[empty]) < CHI_SQUARE[14]


def test_random_growth_never_lists_the_empty_places():
    occupied = np.arange(10**5) * 10**6
    tracemalloc.start()
    grown = RandomGrowth()(occupied, 10**12, 1000, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown.size == np.unique(grown).size == 1000
    assert not np.isin(grown, occupied).any()
    assert peak < 10 * occupied.nbytes


def test_gradient_growth_takes_the_steepest_empty_places():
    rng = np.random.default_rng(0)
    gradient = rng.permutation(np.linspace(-1, 1, 1001)[1:] + 1e-4).astype(np.float32)
    occupied = sample_distinct(1000, 300, rng)
    before = gradient.copy()
    grown = GradientGrowth()(occupied, 1000, 50, rng, gradient)
    empty = np.setdiff1d(np.arange(1000), occupied)
    assert grown.tolist() == sorted(empty[np.argsort(-np.abs(gradient[empty]))[:50]])
    assert np.array_equal(gradient, before)


def test_gradient_growth_where_nothing_slopes_is_random():
    flat, occupied = np.zeros(15, dtype=np.float32), np.arange(5)
    counts = tally(lambda rng: GradientGrowth()(occupied, 15, 3, rng, flat), 15, 5000)
    assert counts[:5].sum() == 0
    assert chi_square(counts[5:]) < CHI_SQUARE[9]


def test_infinite_gradients_come_first_and_nan_at_a_taken_place_does_not_matter():
    gradient = np.array([np.nan, 1.0, -np.inf, 2.0], dtype=np.float32)
    assert GradientGrowth()(np.array([0]), 4, 2, np.random.default_rng(0), gradient).tolist() == [2, 3]


@given(n=st.integers(0, 300), share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_distinct_samples_are_distinct_and_complete(n, share, seed):
    sample = sample_distinct(n, int(share * n), np.random.default_rng(seed))
    assert sample.dtype == np.int64
    assert sample.size == int(share * n)
    assert np.all(np.diff(sample) > 0)
    assert np.all((sample >= 0) & (sample < n))


def test_rules_say_what_they_need_and_pickle():
    assert {name: rule.needs_gradient for name, rule in GROW_RULES.items()} == {"random": False, "gradient": True}
    for rule in GROW_RULES.values():
        assert rule().allow_regrowth is False
        assert pickle.loads(pickle.dumps(rule(allow_regrowth=True))) == rule(allow_regrowth=True) != rule()
    for drop in DROP_RULES.values():
        assert pickle.loads(pickle.dumps(drop)) is drop


WEIGHT = np.array([1.0, np.nan, -1.0], dtype=np.float32)
TAKEN = np.array([1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: magnitude(WEIGHT, 1, rng), "scores hold NaN"),
        (lambda rng: set_signed(WEIGHT, 1, rng), "scores hold NaN"),
        (lambda rng: magnitude(WEIGHT[:1], 2, rng), r"k=2 is outside \[0, 1\]"),
        (lambda rng: set_signed(WEIGHT[:1], 2, rng), r"n_drop=2 is outside \[0, 1\]"),
        (lambda rng: random_links(WEIGHT, -1, rng), r"k=-1 is outside \[0, 3\]"),
        (lambda rng: RandomGrowth()(TAKEN, 3, 3, rng), r"n_grow=3 is outside \[0, 2\]"),
        (lambda rng: GradientGrowth()(TAKEN, 3, 3, rng, np.zeros(3)), r"n_grow=3 is outside \[0, 2\]"),
        (lambda rng: GradientGrowth()(TAKEN, 3, 1, rng), r"gradient is None; .* of shape \(3,\)"),
        (lambda rng: GradientGrowth()(TAKEN, 3, 1, rng, np.zeros((1, 3))), r"gradient is of shape \(1, 3\)"),
        (lambda rng: GradientGrowth()(np.array([0]), 3, 1, rng, WEIGHT), "scores hold NaN"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))

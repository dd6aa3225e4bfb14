"""The set of links: exact counts, distinct places, round trips, and what a rewiring keeps."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse.topology import Topology

SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 40))


@st.composite
def topologies(draw):
    shape = draw(SHAPES)
    n_links = draw(st.integers(0, shape[0] * shape[1]))
    return Topology.random(shape, n_links, np.random.default_rng(draw(st.integers(0, 2**32))))


@given(topologies())
@settings(deadline=None)
def test_random_links_are_distinct_places_of_the_layer(topology):
    assert topology.positions.dtype == np.int64
    assert len(np.unique(topology.positions)) == topology.n_links
    assert np.all((topology.positions >= 0) & (topology.positions < topology.size))
    assert topology.density == topology.n_links / topology.size


@given(SHAPES, st.data())
@settings(deadline=None)
def test_random_has_exactly_the_links_asked_for(shape, data):
    n_links = data.draw(st.integers(0, shape[0] * shape[1]))
    assert Topology.random(shape, n_links, np.random.default_rng(0)).n_links == n_links


@pytest.mark.parametrize("n_links", [2, 10, 19])  # few and nearly all: the draw has two branches
def test_random_makes_every_place_equally_likely(n_links):
    rng = np.random.default_rng(0)
    counts = sum(Topology.random((4, 5), n_links, rng).mask() for _ in range(4000))
    expected = 4000 * n_links / 20
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected * (1 - n_links / 20)))


def test_random_never_lists_the_empty_places():
    topology = Topology.random((10**6, 10**6), 1000, np.random.default_rng(0))  # a terabyte, were they listed
    assert topology.n_links == 1000


@given(SHAPES, st.data())
@settings(deadline=None)
def test_random_fan_in_gives_every_neuron_as_many_links(shape, data):
    fan_in = data.draw(st.integers(0, shape[1]))
    topology = Topology.random_fan_in(shape, fan_in, np.random.default_rng(0))
    assert topology.shape == shape
    assert topology.positions.dtype == np.int64
    assert topology.fan_in().tolist() == [fan_in] * shape[0]


@pytest.mark.parametrize("fan_in", [1, 3, 4])
def test_random_fan_in_makes_every_set_of_features_equally_likely_for_every_neuron(fan_in):
    rng = np.random.default_rng(0)
    masks = np.array([Topology.random_fan_in((2, 5), fan_in, rng).mask() for _ in range(4000)])
    sets = list(combinations(range(5), fan_in))
    for neuron in range(2):
        drawn = [tuple(np.flatnonzero(mask).tolist()) for mask in masks[:, neuron]]
        expected = 4000 / len(sets)
        assert all(abs(drawn.count(features) - expected) < 5 * np.sqrt(expected) for features in sets)
    assert not np.array_equal(masks[:, 0], masks[:, 1])


def test_random_fan_in_never_lists_the_empty_places():
    topology = Topology.random_fan_in((100, 10**10), 10, np.random.default_rng(0))  # a terabyte, were they listed
    assert topology.n_links == 1000


def test_the_same_generator_state_gives_the_same_links():
    first, second, other = (Topology.random((20, 30), 60, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.positions, second.positions)
    assert not np.array_equal(first.positions, other.positions)


@given(topologies())
@settings(deadline=None)
def test_mask_and_compressed_columns_round_trip(topology):
    mask = topology.mask()
    assert mask.shape == topology.shape
    assert mask.sum() == topology.n_links
    assert np.array_equal(Topology.from_mask(mask).positions, topology.positions)
    rebuilt = Topology.from_csc(topology.shape, topology.indptr, topology.neurons)
    assert np.array_equal(rebuilt.positions, topology.positions)


@given(topologies())
@settings(deadline=None)
def test_index_arrays_agree_with_the_mask(topology):
    mask = topology.mask()
    assert mask[topology.neurons, topology.inputs].all()
    assert np.array_equal(topology.fan_in(), mask.sum(1))
    assert np.array_equal(topology.fan_out(), mask.sum(0))
    assert (topology.indptr.dtype, topology.neurons.dtype) == (np.int64, np.int32)
    for feature in range(topology.shape[1]):
        links = slice(topology.indptr[feature], topology.indptr[feature + 1])
        assert np.array_equal(topology.neurons[links], np.flatnonzero(mask[:, feature]))


@given(topologies(), st.data())
@settings(deadline=None)
def test_rewire_keeps_survivors_and_tells_where_they_came_from(topology, data):
    dropped = np.array(sorted(data.draw(st.sets(st.sampled_from(range(topology.n_links))))) if topology.n_links else [], int)
    empty = np.setdiff1d(np.arange(topology.size), topology.positions)
    grown = np.array(data.draw(st.lists(st.sampled_from(empty.tolist()), unique=True)) if empty.size else [], int)
    before = topology.positions.copy()

    rewired, source = topology.rewire(dropped, grown)

    assert rewired.n_links == topology.n_links - len(dropped) + len(grown)
    survived = source >= 0
    assert np.array_equal(rewired.positions[survived], topology.positions[source[survived]])
    assert np.array_equal(np.sort(source[survived]), np.setdiff1d(np.arange(topology.n_links), dropped))
    assert np.array_equal(rewired.positions[~survived], np.sort(grown))
    assert np.array_equal(topology.positions, before)


def test_a_link_dropped_and_grown_again_counts_as_grown():
    topology = Topology((2, 3), np.array([0, 2, 5]))
    rewired, source = topology.rewire(dropped=np.array([1]), grown=np.array([2]))
    assert rewired.positions.tolist() == [0, 2, 5]
    assert source.tolist() == [0, -1, 2]


@pytest.mark.parametrize("grown", [[5], [1, 1], [6], [-1]], ids=["taken", "twice", "above", "below"])
def test_rewire_refuses_a_place_that_cannot_take_a_link(grown):
    with pytest.raises(ValueError, match="distinct"):
        Topology((2, 3), np.array([0, 2, 5])).rewire(np.array([], int), np.array(grown))


@pytest.mark.parametrize(
    "positions",
    [[1, 0], [2, 2], [-1, 3], [0, 6], [6]],
    ids=["unsorted", "repeated", "negative", "too large", "one too large"],
)
def test_bad_positions_are_refused(positions):
    with pytest.raises(ValueError, match=r"\[0, 6\)"):
        Topology((2, 3), np.array(positions))


@pytest.mark.parametrize("n_links", [-1, 7])
def test_an_impossible_number_of_links_is_refused(n_links):
    with pytest.raises(ValueError):
        Topology.random((2, 3), n_links, np.random.default_rng(0))


@pytest.mark.parametrize("fan_in", [-1, 4])
def test_an_impossible_fan_in_is_refused(fan_in):
    with pytest.raises(ValueError, match=rf"={fan_in} is outside \[0, 3\]"):
        Topology.random_fan_in((2, 3), fan_in, np.random.default_rng(0))

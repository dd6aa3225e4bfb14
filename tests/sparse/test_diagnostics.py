"""Diagnostics of networks: degrees, dead neurons, FLOPs, overlap and coverage, counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse import SparseLinear, Topology
from siftrl.sparse.diagnostics import (
    Coverage,
    dead_neurons,
    density,
    fan_in,
    fan_out,
    inference_flops,
    linear_layers,
    n_links,
    n_places,
    overlap,
    training_flops,
)
from torch import nn


def sparse(mask):
    mask = np.array(mask, bool)
    return SparseLinear(mask.shape[1], mask.shape[0], topology=Topology.from_mask(mask))


def links(*positions, shape=(3, 4)):
    return Topology(shape, np.array(positions, dtype=np.int64))


def test_linear_layers_are_the_dense_and_the_sparse_ones():
    net = nn.Sequential(sparse([[1, 0]]), nn.ReLU(), nn.Sequential(nn.Linear(1, 2)), nn.LayerNorm(2))
    assert list(linear_layers(net)) == ["0", "2.0"]


def test_links_density_and_degrees_by_hand():
    layer, dense = sparse([[1, 1, 0, 1], [0, 0, 0, 1]]), nn.Linear(4, 2)
    assert (n_links(layer), n_places(layer), density(layer)) == (4, 8, 0.5)
    assert fan_in(layer).tolist() == [3, 1]
    assert fan_out(layer).tolist() == [1, 1, 0, 2]
    assert (n_links(dense), n_places(dense), density(dense)) == (8, 8, 1.0)
    assert fan_in(dense).tolist() == [4, 4]
    assert fan_out(dense).tolist() == [2, 2, 2, 2]


def test_a_neuron_is_dead_without_a_link_in_or_without_one_out():
    layer = sparse([[1, 0], [0, 0], [0, 1], [1, 1]])
    first, second = sparse([[1, 1, 0, 0]]), sparse([[0, 0, 0, 1], [1, 0, 0, 0]])
    assert dead_neurons(layer, first).tolist() == [False, True, True, True]
    assert dead_neurons(layer, second, first).tolist() == [False, True, True, False]
    assert dead_neurons(layer, nn.Linear(4, 1)).tolist() == [False, True, False, False]
    assert not dead_neurons(nn.Linear(2, 4), nn.Linear(4, 1)).any()


@pytest.mark.parametrize("readers", [[], [nn.Linear(3, 1)], [nn.Linear(4, 1), nn.Linear(3, 1)]])
def test_dead_neurons_need_readers_of_their_number(readers):
    with pytest.raises(ValueError, match="readers must be layers of 4 input features"):
        dead_neurons(nn.Linear(2, 4), *readers)


def test_flops_of_a_halfcheetah_actor():
    # 17 · 256 + 256 · 256 + 256 · 6 products, and as many sums.
    net = nn.Sequential(nn.Linear(17, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 6))
    assert inference_flops(net) == inference_flops(net, as_dense=True) == 142_848
    assert training_flops(net) == 428_544


def test_flops_follow_the_links_and_the_dense_equivalent_does_not():
    dense = nn.Linear(256, 6)
    net = nn.Sequential(SparseLinear(1700, 256, density=0.05), nn.ReLU(), dense)
    assert inference_flops(net) == 2 * (21_760 + 1536)
    assert inference_flops(net, as_dense=True) == 2 * (435_200 + 1536)
    assert training_flops(net, as_dense=True) == 6 * (435_200 + 1536)


def test_growth_by_gradient_costs_all_places_of_the_sparse_layers_in_its_share_of_updates():
    net = nn.Sequential(SparseLinear(1700, 256, density=0.05), nn.ReLU(), nn.Linear(256, 6))
    assert training_flops(net, dense_gradient_share=0.001) - training_flops(net) == pytest.approx(2 * 435_200 / 1000)
    assert training_flops(net, as_dense=True, dense_gradient_share=1) == training_flops(net, as_dense=True)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match=f"dense_gradient_share={share} is outside"):
        training_flops(nn.Linear(2, 2), dense_gradient_share=share)


def test_overlap_by_hand():
    assert overlap(links(0, 3, 5), links(3, 5, 7)) == 0.5
    assert overlap(links(0, 3), links(0, 3)) == 1
    assert overlap(links(0, 3), links(1, 2)) == 0
    assert overlap(links(), links()) == 1
    with pytest.raises(ValueError, match=r"shape of first, \(3, 4\), got \(4, 3\)"):
        overlap(links(0), links(0, shape=(4, 3)))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_coverage_is_the_size_of_the_union(n_out, n_in, data):
    size = n_out * n_in
    history = data.draw(st.lists(st.sets(st.integers(0, size - 1)), min_size=1, max_size=5))
    topologies = [links(*sorted(places), shape=(n_out, n_in)) for places in history]
    coverage = Coverage(topologies[0])
    for topology in topologies[1:]:
        coverage.add(topology)
    assert coverage.n_covered == len(set().union(*history))
    assert coverage.size == size


def test_coverage_takes_a_bit_for_each_place():
    coverage = Coverage(Topology.random((256, 34_800), 1000, np.random.default_rng(0)))
    assert coverage.bits.nbytes == 256 * 34_800 // 8


def test_coverage_refuses_another_layers_links():
    with pytest.raises(ValueError, match=r"topology must have the layer's shape, \(3, 4\), got \(4, 3\)"):
        Coverage(links(0)).add(links(0, shape=(4, 3)))

"""Neuron strength: summed by hand, and comparable between features of different scale."""

import numpy as np
import pytest
import torch
from siftrl.sparse import SparseLinear, Topology, feature_strength
from torch import nn


@pytest.fixture
def layer():
    """Two neurons of four features, the third without a link; weights are listed by feature, then by neuron."""
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 1]], bool)
    layer = SparseLinear(4, 2, topology=Topology.from_mask(mask))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-3.0, 1.0, -0.5, 2.0, 4.0]))
    return layer


def test_strength_is_the_sum_of_absolute_weights(layer):
    assert feature_strength(layer).tolist() == [3.0, 1.5, 0.0, 6.0]
    dense = nn.Linear(4, 2)
    dense.weight = nn.Parameter(layer.to_dense())
    assert feature_strength(dense).tolist() == [3.0, 1.5, 0.0, 6.0]


def test_only_the_layer_that_reads_the_features_counts(layer):
    net = nn.Sequential(nn.Flatten(), nn.Sequential(layer, nn.ReLU()), nn.Linear(2, 9))
    assert feature_strength(net).tolist() == [3.0, 1.5, 0.0, 6.0]


def test_strength_is_scaled_by_the_features_standard_deviation(layer):
    assert feature_strength(layer, np.array([2.0, 4.0, 8.0, 0.5])).tolist() == [6.0, 6.0, 0.0, 3.0]
    # A critic's last features are the action.
    assert feature_strength(layer, np.array([2.0, 4.0, 8.0])).tolist() == [6.0, 6.0, 0.0]


def test_another_unit_of_a_feature_changes_nothing(layer):
    std = np.array([1.0, 2.0, 3.0, 4.0])
    per_unit = torch.tensor([1000.0, 0.1, 1.0, 3.0])
    before = feature_strength(layer, std)
    with torch.no_grad():
        layer.weight *= per_unit[torch.from_numpy(layer.topology.inputs)]  # the same function of feature / unit
    np.testing.assert_allclose(feature_strength(layer, std / per_unit.numpy()), before, rtol=1e-6)
    assert (feature_strength(layer) != before).any()


@pytest.mark.parametrize("std", [np.ones(5), np.ones((2, 2)), [1.0, -1.0], [1.0, np.nan], [np.inf]])
def test_a_standard_deviation_that_is_none_is_refused(layer, std):
    with pytest.raises(ValueError, match="feature_std must be up to 4 finite numbers"):
        feature_strength(layer, std)


def test_a_network_without_linear_layer_is_refused():
    with pytest.raises(ValueError, match="no linear layer to read features, got ReLU"):
        feature_strength(nn.ReLU())

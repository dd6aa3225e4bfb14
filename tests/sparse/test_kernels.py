"""The CPU kernels against dense numpy, on one thread and on two."""

import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import kernels
from siftrl.sparse.topology import Topology

needs_two_threads = pytest.mark.skipif(kernels.numba.config.NUMBA_NUM_THREADS < 2, reason="a single core")


class Case:
    """A random layer and batch; ``dense`` is its weight as a matrix."""

    def __init__(self, in_features, out_features, batch, density, seed=0):
        rng = np.random.default_rng(seed)
        n_links = round(density * in_features * out_features)
        self.topology = Topology.random((out_features, in_features), n_links, rng)
        self.weight = rng.standard_normal(n_links, dtype=np.float32)
        self.bias = rng.standard_normal(out_features, dtype=np.float32)
        self.x = rng.standard_normal((in_features, batch), dtype=np.float32)
        self.grad_out = rng.standard_normal((out_features, batch), dtype=np.float32)
        self.dense = np.zeros((out_features, in_features), np.float32)
        self.dense[self.topology.neurons, self.topology.inputs] = self.weight

    @property
    def links(self):
        return self.topology.indptr, self.topology.neurons

    def forward(self, bias=None):
        out = np.zeros_like(self.grad_out) if bias is None else np.repeat(bias[:, None], self.x.shape[1], axis=1)
        order = kernels.neuron_order(*self.links, self.topology.shape[0])
        kernels.add_product(self.x, *self.links, order, self.weight, out)
        return out

    def weight_gradient(self):
        grad_weight = np.full_like(self.weight, np.nan)  # whatever was there must be overwritten
        kernels.weight_gradient(self.x, *self.links, self.grad_out, grad_weight)
        return grad_weight

    def input_gradient(self):
        grad_x = np.full_like(self.x, np.nan)
        kernels.input_gradient(*self.links, self.weight, self.grad_out, grad_x)
        return grad_x

    def check(self):
        neurons, inputs = self.topology.neurons, self.topology.inputs
        assert_close(self.forward(), self.dense @ self.x)
        assert_close(self.forward(self.bias), self.dense @ self.x + self.bias[:, None])
        assert_close(self.weight_gradient(), (self.grad_out @ self.x.T)[neurons, inputs])
        assert_close(self.input_gradient(), self.dense.T @ self.grad_out)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@contextmanager
def two_threads():
    """Make every product worth two threads; gives the numbers of threads that were chosen."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    chosen, choose = [], kernels._threads
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(kernels, "_MIN_WORK_PER_THREAD", 1)
        monkeypatch.setattr(kernels, "_threads", lambda work: chosen.append(choose(work)) or chosen[-1])
        yield chosen
    torch.set_num_threads(before)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 20), st.floats(0, 1), st.integers(0, 100))
@settings(deadline=None, max_examples=150)
def test_products_equal_the_dense_ones(in_features, out_features, batch, density, seed):
    Case(in_features, out_features, batch, density, seed).check()


@pytest.mark.parametrize(
    "in_features", [kernels._CHUNK_FEATURES + d for d in (-1, 0, 1)] + [3 * kernels._CHUNK_FEATURES + 7]
)
def test_products_are_right_across_chunks_of_features(in_features):
    Case(in_features, out_features=9, batch=5, density=0.3).check()


@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None)
def test_ranges_of_features_make_up_the_whole(in_features, out_features, batch, density, share):
    case, cut = Case(in_features, out_features, batch, density), round(share * in_features)
    out, grad_x = np.zeros_like(case.grad_out), np.full_like(case.x, np.nan)
    grad_weight = np.full_like(case.weight, np.nan)
    for first, last in ((0, cut), (cut, in_features)):
        indptr, neurons = case.topology.indptr[first : last + 1], case.topology.neurons
        order = kernels.neuron_order(indptr, neurons, out_features)
        kernels.add_product(case.x[first:last], indptr, neurons, order, case.weight, out)
        kernels.weight_gradient(case.x[first:last], indptr, neurons, case.grad_out, grad_weight)
        kernels.input_gradient(indptr, neurons, case.weight, case.grad_out, grad_x[first:last])
    assert_close(out, case.forward())
    assert_close(grad_weight, case.weight_gradient())
    assert_close(grad_x, case.input_gradient())


@needs_two_threads
@pytest.mark.parametrize(
    ("in_features", "out_features", "batch", "density"),
    [(60, 40, 33, 0.3), (1, 40, 8, 1.0), (60, 1, 8, 0.5), (2, 2, 2, 1.0), (1200, 3, 4, 0.1), (40, 30, 6, 0.0)],
)
def test_two_threads_give_the_bits_of_one(in_features, out_features, batch, density):
    case = Case(in_features, out_features, batch, density)
    alone = case.forward(case.bias), case.weight_gradient(), case.input_gradient()
    with two_threads() as chosen:
        together = case.forward(case.bias), case.weight_gradient(), case.input_gradient()
        case.check()
    assert set(chosen) == ({2} if density else {1})
    for one, two in zip(alone, together, strict=True):
        assert np.array_equal(one, two)


@needs_two_threads
def test_two_threads_are_right_where_one_feature_has_all_links():
    case = Case(20, 16, batch=8, density=0)
    mask = np.zeros((16, 20), bool)
    mask[:, 7] = True
    case.topology, case.weight = Topology.from_mask(mask), np.ones(16, np.float32)
    case.dense = mask.astype(np.float32)
    with two_threads():
        case.check()


def test_threads_never_exceed_those_of_torch(monkeypatch):
    monkeypatch.setattr(kernels, "_MIN_WORK_PER_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert kernels._threads(10**9) == 1


def test_threaded_kernels_leave_torchs_number_of_threads_alone():
    code = """
import torch
from siftrl.sparse import SparseLinear
torch.set_num_threads(2)
SparseLinear(2000, 256, 0.2)(torch.randn(256, 2000))
print(torch.get_num_threads())
"""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "4"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["2"]


def test_little_work_stays_on_one_thread():
    assert kernels._threads(2 * kernels._MIN_WORK_PER_THREAD - 1) == 1
    assert kernels._threads(0) == 1


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=needs_two_threads)])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_every_linked_result(poison, batch, threads):
    case, row = Case(20, 16, batch, density=0.5), batch // 2
    mask = case.topology.mask()
    with two_threads() if threads == 2 else nullcontext():
        case.x[3, row] = poison
        out, grad_weight = case.forward(), case.weight_gradient()
        case.grad_out[5, row] = poison
        grad_x = case.input_gradient()
    assert np.array_equal(~np.isfinite(out[:, row]), mask[:, 3])
    assert np.array_equal(~np.isfinite(grad_weight), case.topology.inputs == 3)
    assert np.array_equal(~np.isfinite(grad_x[:, row]), mask[5])


@given(st.integers(1, 40), st.integers(1, 30), st.floats(0, 1))
@settings(deadline=None)
def test_neuron_order_lists_every_link_once_by_neuron(in_features, out_features, density):
    topology = Case(in_features, out_features, 1, density).topology
    order = kernels.neuron_order(topology.indptr, topology.neurons, out_features)
    assert np.array_equal(np.sort(order.links), np.arange(topology.n_links))
    assert np.array_equal(order.inputs, topology.inputs[order.links])
    assert np.array_equal(np.repeat(np.arange(out_features), np.diff(order.pointers)), topology.neurons[order.links])

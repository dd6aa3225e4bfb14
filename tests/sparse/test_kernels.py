"""The CPU kernels against dense numpy, on one thread and on two."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.sparse import kernels, threads
from siftrl.sparse.gather import Slices
from siftrl.sparse.topology import Topology

needs_two_threads = pytest.mark.skipif(not threads.TEAM, reason="torch has no OpenMP runtime that kernels could share")


NO_BIAS = np.empty(0, np.float32)


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

    def product(self, out, bias=NO_BIAS):
        order = kernels.neuron_order(*self.links, self.topology.shape[0])
        return kernels.Product(*order, self.weight, bias, out)

    def forward(self, bias=None):
        out = np.full_like(self.grad_out, np.nan)
        kernels.product(self.x, [self.product(out, np.zeros_like(self.bias) if bias is None else bias)])
        return out

    def gradient(self, grad_weight):
        return kernels.WeightGradient(*self.links, self.grad_out, grad_weight)

    def weight_gradient(self):
        grad_weight = np.full_like(self.weight, np.nan)  # whatever was there must be overwritten
        kernels.weight_gradient(self.x, [self.gradient(grad_weight)])
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
    """Make everything worth two threads; gives the numbers of threads that were chosen."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    chosen, choose = [], threads.worth
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(threads, "MIN_WORK_PER_THREAD", 1)
        monkeypatch.setattr(threads, "worth", lambda work: chosen.append(choose(work)) or chosen[-1])
        yield chosen
    torch.set_num_threads(before)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 20), st.floats(0, 1), st.integers(0, 100))
@settings(deadline=None, max_examples=150)
def test_products_equal_the_dense_ones(in_features, out_features, batch, density, seed):
    Case(in_features, out_features, batch, density, seed).check()


@pytest.mark.parametrize("in_features", [kernels.CHUNK_FEATURES + d for d in (-1, 0, 1)] + [3 * kernels.CHUNK_FEATURES + 7])
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
        kernels.product(case.x[first:last], [kernels.Product(*order, case.weight, NO_BIAS, out)])
        gradient = kernels.WeightGradient(indptr, neurons, case.grad_out, grad_weight)
        kernels.weight_gradient(case.x[first:last], [gradient])
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


def shared_cases(in_features, out_features, batch, density, n_layers):
    cases = [Case(in_features, out_features + i, batch, density, seed=i) for i in range(n_layers)]
    for case in cases:
        case.x = cases[0].x
    return cases


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20), st.floats(0, 1), st.integers(1, 3))
@settings(deadline=None, max_examples=50)
def test_layers_that_share_a_batch_get_the_bits_they_get_alone(in_features, out_features, batch, density, n_layers):
    cases = shared_cases(in_features, out_features, batch, density, n_layers)
    outs = [np.full_like(case.grad_out, np.nan) for case in cases]
    grads = [np.full_like(case.weight, np.nan) for case in cases]
    kernels.product(cases[0].x, [case.product(out, case.bias) for case, out in zip(cases, outs, strict=True)])
    kernels.weight_gradient(cases[0].x, [case.gradient(grad) for case, grad in zip(cases, grads, strict=True)])
    for case, out, grad in zip(cases, outs, grads, strict=True):
        assert np.array_equal(out, case.forward(case.bias))
        assert np.array_equal(grad, case.weight_gradient())


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=needs_two_threads)])
@pytest.mark.parametrize("in_features", [5, kernels.CHUNK_FEATURES, 2 * kernels.CHUNK_FEATURES + 100])
def test_a_batch_of_slices_gives_the_bits_of_the_batch_itself(in_features, n_threads, keep):
    cases = shared_cases(in_features, out_features=7, batch=37, density=0.2, n_layers=2)
    widths = [in_features // 3, in_features - in_features // 3]
    rows = np.arange(37)[:, None]
    slices = Slices.join((np.ascontiguousarray(cases[0].x.T).reshape(-1), rows * in_features + [[0, widths[0]]], widths))
    kept = np.full_like(cases[0].x, np.nan) if keep else None
    outs = [np.full_like(case.grad_out, np.nan) for case in cases]
    with two_threads() if n_threads == 2 else nullcontext():
        kernels.product(slices, [case.product(out, case.bias) for case, out in zip(cases, outs, strict=True)], keep=kept)
    for case, out in zip(cases, outs, strict=True):
        assert np.array_equal(out, case.forward(case.bias))
    assert kept is None or np.array_equal(kept, cases[0].x)


@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=needs_two_threads)])
@pytest.mark.parametrize("shape", [(1, 1), (16, 3), (37, 50), (0, 4), (4, 0)])
def test_a_transpose_is_a_contiguous_copy(shape, n_threads):
    rows = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    with two_threads() if n_threads == 2 else nullcontext():
        columns = kernels.transposed(rows)
    assert columns.flags.c_contiguous
    assert np.array_equal(columns, rows.T)


def test_nothing_happens_without_layers():
    kernels.product(np.ones((3, 2), np.float32), [])
    kernels.weight_gradient(np.ones((3, 2), np.float32), [])


@given(st.integers(1, 40), st.integers(1, 30), st.floats(0, 1))
@settings(deadline=None)
def test_a_single_row_is_added(in_features, out_features, density):
    case = Case(in_features, out_features, batch=1, density=density)
    out = case.bias.copy()
    kernels.add_row_product(case.x[:, 0], *case.links, case.weight, out)
    assert_close(out, case.dense @ case.x[:, 0] + case.bias)


@pytest.mark.parametrize("n_threads", [1, pytest.param(2, marks=needs_two_threads)])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_every_linked_result(poison, batch, n_threads):
    case, row = Case(20, 16, batch, density=0.5), batch // 2
    mask = case.topology.mask()
    with two_threads() if n_threads == 2 else nullcontext():
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

"""The CPU kernels of a sparse layer: product, weight gradient, input gradient, and a product for a single row.

Batches are feature-major, ``(features, batch)``: one feature of the whole batch is one run of memory, and the inner loops
over the batch become vector instructions. Four links are worked at a time, so that the run they share is loaded and stored
once for all four. Both gradients take the links by input feature (the order of :class:`~siftrl.sparse.topology.Topology`),
the product takes them by neuron, within chunks of features whose runs stay in the cache (:class:`NeuronOrder`).

Threads share out the neurons, or the features, balanced by links: no two write to the same run, nothing is added up at the
end, and the results are the same to the bit for any number of threads.

Every product can be had for a range of the layer's features alone: ``indptr`` is then that range's part of the layer's, and
``neurons``, ``weight`` and ``grad_weight`` stay those of the whole layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from numba import njit, prange

# Sums may be reordered (vectorising them means that); NaN and infinity keep their meaning, which plain fastmath drops.
_FASTMATH = {"reassoc", "contract"}
_SERIAL = {"nogil": True, "cache": True, "fastmath": _FASTMATH}
_PARALLEL = {**_SERIAL, "parallel": True}

# Below this many multiply-adds, waking another thread costs more than it saves (benchmarks/kernels.py).
_MIN_WORK_PER_THREAD = 1_000_000

# Features of a chunk of the product: at a batch of 256, half a megabyte.
_CHUNK_FEATURES = 512


class NeuronOrder(NamedTuple):
    """A topology's links by chunk of input features, then by neuron, then by feature.

    Attributes:
        pointers: int64 ``(chunks * out_features + 1,)``: the links of neuron ``j`` in chunk ``c`` are from
            ``pointers[c * out_features + j]`` to the next.
        inputs: int32 ``(n_links,)``: the input feature of each.
        links: int32 ``(n_links,)``: the number of each in the topology's own order.
    """

    pointers: np.ndarray
    inputs: np.ndarray
    links: np.ndarray


def neuron_order(indptr: np.ndarray, neurons: np.ndarray, out_features: int) -> NeuronOrder:
    """Sort a range of a layer's links for the forward product, in linear time.

    Args:
        indptr: int64 ``(features + 1,)``.
        neurons: int32 ``(n_links,)``.
        out_features: Neurons of the layer.
    """
    n_chunks = -(-(len(indptr) - 1) // _CHUNK_FEATURES)
    n_links = int(indptr[-1] - indptr[0])
    pointers = np.zeros(n_chunks * out_features + 1, np.int64)
    inputs, links = np.empty(n_links, np.int32), np.empty(n_links, np.int32)
    _counting_sort(indptr, neurons, out_features, pointers, inputs, links)
    return NeuronOrder(pointers, inputs, links)


def add_product(
    x: np.ndarray, indptr: np.ndarray, neurons: np.ndarray, order: NeuronOrder, weight: np.ndarray, out: np.ndarray
) -> None:
    """Add ``W x`` to ``out``.

    Args:
        x: float32 ``(features, batch)``, contiguous.
        indptr: int64 ``(features + 1,)``.
        neurons: int32 ``(n_links,)``.
        order: The same links by neuron.
        weight: float32 ``(n_links,)``.
        out: float32 ``(out_features, batch)``, contiguous.
    """
    batch, out_features = x.shape[1], out.shape[0]
    if batch == 1:
        _row_product(x[:, 0], indptr, neurons, weight, out[:, 0])
        return
    n_threads = _threads(len(order.links) * batch)
    if n_threads == 1:
        _add_product(x, *order, weight, out, 0, out_features)
    else:
        _add_product_threads(x, *order, weight, out, np.linspace(0, out_features, n_threads + 1).astype(np.int64))


def weight_gradient(
    x: np.ndarray, indptr: np.ndarray, neurons: np.ndarray, grad_out: np.ndarray, grad_weight: np.ndarray
) -> None:
    """Write each link's gradient into ``grad_weight``: its input times its neuron's gradient, summed over the batch.

    Args:
        x: float32 ``(features, batch)``, contiguous.
        indptr: int64 ``(features + 1,)``.
        neurons: int32 ``(n_links,)``.
        grad_out: float32 ``(out_features, batch)``, contiguous.
        grad_weight: float32 ``(n_links,)``; overwritten where the range has links.
    """
    n_threads = _threads(int(indptr[-1] - indptr[0]) * x.shape[1])
    if n_threads == 1:
        _weight_gradient(x, indptr, neurons, grad_out, grad_weight, 0, x.shape[0])
    else:
        _weight_gradient_threads(x, indptr, neurons, grad_out, grad_weight, _feature_bounds(indptr, n_threads))


def input_gradient(
    indptr: np.ndarray, neurons: np.ndarray, weight: np.ndarray, grad_out: np.ndarray, grad_x: np.ndarray
) -> None:
    """Write ``W^T grad_out`` into ``grad_x``.

    Args:
        indptr: int64 ``(features + 1,)``.
        neurons: int32 ``(n_links,)``.
        weight: float32 ``(n_links,)``.
        grad_out: float32 ``(out_features, batch)``, contiguous.
        grad_x: float32 ``(features, batch)``, contiguous; overwritten.
    """
    n_threads = _threads(int(indptr[-1] - indptr[0]) * grad_out.shape[1])
    if n_threads == 1:
        _input_gradient(indptr, neurons, weight, grad_out, grad_x, 0, grad_x.shape[0])
    else:
        _input_gradient_threads(indptr, neurons, weight, grad_out, grad_x, _feature_bounds(indptr, n_threads))


def _threads(work: int) -> int:
    """How many threads this many multiply-adds are worth: never more than torch takes for itself."""
    n_threads = max(1, min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS, work // _MIN_WORK_PER_THREAD))
    if n_threads > 1:
        use_threads(n_threads)
    return n_threads


def use_threads(n_threads: int) -> None:
    """Let the parallel kernels run on so many threads, at most numba's, and torch keep the number that it has.

    When numba starts its threads, it sets the number of those of OpenMP to one per core, and torch may run on the same
    OpenMP: a user's ``torch.set_num_threads`` would be lost.
    """
    of_torch = torch.get_num_threads()
    numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(of_torch)


def _feature_bounds(indptr: np.ndarray, n_threads: int) -> np.ndarray:
    """Ranges of features with about as many links each."""
    bounds = np.searchsorted(indptr, np.linspace(indptr[0], indptr[-1], n_threads + 1))
    bounds[0], bounds[-1] = 0, len(indptr) - 1
    return bounds


@njit(**_SERIAL)
def _counting_sort(indptr, neurons, out_features, pointers, inputs, links):
    for i in range(indptr.shape[0] - 1):
        first = (i // _CHUNK_FEATURES) * out_features + 1
        for link in range(indptr[i], indptr[i + 1]):
            pointers[first + neurons[link]] += 1
    for key in range(1, pointers.shape[0]):
        pointers[key] += pointers[key - 1]
    place = pointers.copy()
    for i in range(indptr.shape[0] - 1):
        first = (i // _CHUNK_FEATURES) * out_features
        for link in range(indptr[i], indptr[i + 1]):
            key = first + neurons[link]
            inputs[place[key]] = i
            links[place[key]] = link
            place[key] += 1


@njit(**_SERIAL)
def _add_product(x, pointers, inputs, links, weight, out, first, last):
    out_features = out.shape[0]
    for chunk in range((pointers.shape[0] - 1) // out_features):
        for j in range(first, last):
            out_j = out[j]
            k, end = pointers[chunk * out_features + j], pointers[chunk * out_features + j + 1]
            while k + 4 <= end:
                x0, x1, x2, x3 = x[inputs[k]], x[inputs[k + 1]], x[inputs[k + 2]], x[inputs[k + 3]]
                w0, w1, w2, w3 = weight[links[k]], weight[links[k + 1]], weight[links[k + 2]], weight[links[k + 3]]
                for b in range(out_j.shape[0]):
                    out_j[b] += w0 * x0[b] + w1 * x1[b] + w2 * x2[b] + w3 * x3[b]
                k += 4
            while k < end:
                x0, w0 = x[inputs[k]], weight[links[k]]
                for b in range(out_j.shape[0]):
                    out_j[b] += w0 * x0[b]
                k += 1


@njit(**_SERIAL)
def _weight_gradient(x, indptr, neurons, grad_out, grad_weight, first, last):
    for i in range(first, last):
        x_i = x[i]
        k, end = indptr[i], indptr[i + 1]
        while k + 4 <= end:
            g0, g1 = grad_out[neurons[k]], grad_out[neurons[k + 1]]
            g2, g3 = grad_out[neurons[k + 2]], grad_out[neurons[k + 3]]
            sum0 = sum1 = sum2 = sum3 = np.float32(0.0)
            for b in range(x_i.shape[0]):
                sum0 += g0[b] * x_i[b]
                sum1 += g1[b] * x_i[b]
                sum2 += g2[b] * x_i[b]
                sum3 += g3[b] * x_i[b]
            grad_weight[k], grad_weight[k + 1], grad_weight[k + 2], grad_weight[k + 3] = sum0, sum1, sum2, sum3
            k += 4
        while k < end:
            g0 = grad_out[neurons[k]]
            sum0 = np.float32(0.0)
            for b in range(x_i.shape[0]):
                sum0 += g0[b] * x_i[b]
            grad_weight[k] = sum0
            k += 1


@njit(**_SERIAL)
def _input_gradient(indptr, neurons, weight, grad_out, grad_x, first, last):
    for i in range(first, last):
        grad_i = grad_x[i]
        grad_i[:] = np.float32(0.0)
        k, end = indptr[i], indptr[i + 1]
        while k + 4 <= end:
            g0, g1 = grad_out[neurons[k]], grad_out[neurons[k + 1]]
            g2, g3 = grad_out[neurons[k + 2]], grad_out[neurons[k + 3]]
            w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            for b in range(grad_i.shape[0]):
                grad_i[b] += w0 * g0[b] + w1 * g1[b] + w2 * g2[b] + w3 * g3[b]
            k += 4
        while k < end:
            g0, w0 = grad_out[neurons[k]], weight[k]
            for b in range(grad_i.shape[0]):
                grad_i[b] += w0 * g0[b]
            k += 1


@njit(**_SERIAL)
def _row_product(x, indptr, neurons, weight, out):
    for i in range(x.shape[0]):
        x_i = x[i]
        for k in range(indptr[i], indptr[i + 1]):
            out[neurons[k]] += weight[k] * x_i


@njit(**_PARALLEL)
def _add_product_threads(x, pointers, inputs, links, weight, out, bounds):
    for t in prange(bounds.shape[0] - 1):
        _add_product(x, pointers, inputs, links, weight, out, bounds[t], bounds[t + 1])


@njit(**_PARALLEL)
def _weight_gradient_threads(x, indptr, neurons, grad_out, grad_weight, bounds):
    for t in prange(bounds.shape[0] - 1):
        _weight_gradient(x, indptr, neurons, grad_out, grad_weight, bounds[t], bounds[t + 1])


@njit(**_PARALLEL)
def _input_gradient_threads(indptr, neurons, weight, grad_out, grad_x, bounds):
    for t in prange(bounds.shape[0] - 1):
        _input_gradient(indptr, neurons, weight, grad_out, grad_x, bounds[t], bounds[t + 1])

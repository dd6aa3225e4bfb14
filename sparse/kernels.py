"""The CPU kernels of a sparse layer: forward, weight gradient, input gradient, and a product for a single row.

All arrays are feature-major: a batch is ``(features, batch)``, so that one feature of the whole batch is one run of memory.
Links are sorted by input feature (see :class:`~siftrl.sparse.topology.Topology`): each feature's run is loaded once and
serves all of its links, and the inner loops over the batch become vector instructions.

Threads share out the input features, balanced by links. Each thread sums into an array of its own: two threads that write
to neighbouring halves of one row ran 2.5 times slower than a single one, because each fetched the other's cache lines.
For a given number of threads the results are the same to the bit from run to run.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import njit, prange

# Sums may be reordered (that is what vectorising them means); NaN and infinity keep their meaning, which plain fastmath drops.
_FASTMATH = {"reassoc", "contract"}
_SERIAL = {"nogil": True, "cache": True, "fastmath": _FASTMATH}
_PARALLEL = {**_SERIAL, "parallel": True}

# Below this many multiply-adds, waking a second thread costs more than it saves (benchmarks/kernels.py).
_MIN_WORK_PER_THREAD = 1_000_000


@njit(**_SERIAL)
def _accumulate(x, indptr, neurons, weight, out, first, last):
    for i in range(first, last):
        x_i = x[i]
        for link in range(indptr[i], indptr[i + 1]):
            out_j = out[neurons[link]]
            w = weight[link]
            for b in range(x_i.shape[0]):
                out_j[b] += w * x_i[b]


@njit(**_SERIAL)
def _dot_rows(x, indptr, neurons, grad_out, grad_weight, first, last):
    for i in range(first, last):
        x_i = x[i]
        for link in range(indptr[i], indptr[i + 1]):
            grad_j = grad_out[neurons[link]]
            total = np.float32(0.0)
            for b in range(x_i.shape[0]):
                total += grad_j[b] * x_i[b]
            grad_weight[link] = total


@njit(**_SERIAL)
def _accumulate_back(indptr, neurons, weight, grad_out, grad_x, first, last):
    for i in range(first, last):
        grad_i = grad_x[i]
        grad_i[:] = np.float32(0.0)
        for link in range(indptr[i], indptr[i + 1]):
            grad_j = grad_out[neurons[link]]
            w = weight[link]
            for b in range(grad_i.shape[0]):
                grad_i[b] += w * grad_j[b]


@njit(**_PARALLEL)
def _accumulate_threads(x, indptr, neurons, weight, out, bounds):
    n_threads = bounds.shape[0] - 1
    partial = np.zeros((n_threads, out.shape[0], out.shape[1]), dtype=np.float32)
    for t in prange(n_threads):
        _accumulate(x, indptr, neurons, weight, partial[t], bounds[t], bounds[t + 1])
    for t in range(n_threads):
        out += partial[t]


@njit(**_PARALLEL)
def _dot_rows_threads(x, indptr, neurons, grad_out, grad_weight, bounds):
    for t in prange(bounds.shape[0] - 1):
        _dot_rows(x, indptr, neurons, grad_out, grad_weight, bounds[t], bounds[t + 1])


@njit(**_PARALLEL)
def _accumulate_back_threads(indptr, neurons, weight, grad_out, grad_x, bounds):
    for t in prange(bounds.shape[0] - 1):
        _accumulate_back(indptr, neurons, weight, grad_out, grad_x, bounds[t], bounds[t + 1])


@njit(**_SERIAL)
def _row_product(x, indptr, neurons, weight, out):
    for i in range(x.shape[0]):
        x_i = x[i]
        for link in range(indptr[i], indptr[i + 1]):
            out[neurons[link]] += weight[link] * x_i


def _thread_bounds(indptr: np.ndarray, batch: int) -> np.ndarray | None:
    """Feature ranges of about equal work, one a thread; None when a single thread is quicker."""
    n_threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
    n_threads = min(n_threads, int(indptr[-1]) * batch // _MIN_WORK_PER_THREAD)
    if n_threads < 2:
        return None
    numba.set_num_threads(n_threads)
    bounds = np.searchsorted(indptr, np.linspace(0, indptr[-1], n_threads + 1))
    bounds[0], bounds[-1] = 0, len(indptr) - 1
    return bounds


def forward(
    x: np.ndarray, indptr: np.ndarray, neurons: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, out: np.ndarray
) -> None:
    """Write ``W x + bias`` into ``out``.

    Args:
        x: float32 ``(in_features, batch)``, contiguous.
        indptr: int64 ``(in_features + 1,)``.
        neurons: int32 ``(n_links,)``.
        weight: float32 ``(n_links,)``.
        bias: float32 ``(out_features,)``, or None for 0.
        out: float32 ``(out_features, batch)``, contiguous; overwritten.
    """
    out[:] = 0.0 if bias is None else bias[:, None]
    if x.shape[1] == 1:
        _row_product(x[:, 0], indptr, neurons, weight, out[:, 0])
        return
    bounds = _thread_bounds(indptr, x.shape[1])
    if bounds is None:
        _accumulate(x, indptr, neurons, weight, out, 0, x.shape[0])
    else:
        _accumulate_threads(x, indptr, neurons, weight, out, bounds)


def weight_gradient(
    x: np.ndarray, indptr: np.ndarray, neurons: np.ndarray, grad_out: np.ndarray, grad_weight: np.ndarray
) -> None:
    """Write each link's gradient, the sum over the batch of its input times its neuron's gradient, into ``grad_weight``.

    Args:
        x: float32 ``(in_features, batch)``, contiguous.
        indptr: int64 ``(in_features + 1,)``.
        neurons: int32 ``(n_links,)``.
        grad_out: float32 ``(out_features, batch)``, contiguous.
        grad_weight: float32 ``(n_links,)``; overwritten.
    """
    bounds = _thread_bounds(indptr, x.shape[1])
    if bounds is None:
        _dot_rows(x, indptr, neurons, grad_out, grad_weight, 0, x.shape[0])
    else:
        _dot_rows_threads(x, indptr, neurons, grad_out, grad_weight, bounds)


def input_gradient(
    indptr: np.ndarray, neurons: np.ndarray, weight: np.ndarray, grad_out: np.ndarray, grad_x: np.ndarray
) -> None:
    """Write ``W^T grad_out`` into ``grad_x``.

    Args:
        indptr: int64 ``(in_features + 1,)``.
        neurons: int32 ``(n_links,)``.
        weight: float32 ``(n_links,)``.
        grad_out: float32 ``(out_features, batch)``, contiguous.
        grad_x: float32 ``(in_features, batch)``, contiguous; overwritten.
    """
    bounds = _thread_bounds(indptr, grad_out.shape[1])
    if bounds is None:
        _accumulate_back(indptr, neurons, weight, grad_out, grad_x, 0, grad_x.shape[0])
    else:
        _accumulate_back_threads(indptr, neurons, weight, grad_out, grad_x, bounds)

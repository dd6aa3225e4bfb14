"""The CPU kernels of sparse layers: product, weight gradient, input gradient.

Batches are feature-major, ``(features, batch)``: one feature of the whole batch is one run of memory, and the inner loops
over the batch become vector instructions. Four links are worked at a time, so that the run they share is loaded and stored
once for all four. Both gradients take the links by input feature (the order of :class:`~siftrl.sparse.topology.Topology`),
the product takes them by neuron, within chunks of features whose runs stay in the cache (:class:`NeuronOrder`).

Product and weight gradient work on several layers that read the same batch: each chunk of the batch is fetched from memory
once for all of them. The product also takes a batch that is only described (:class:`~siftrl.sparse.gather.Slices`); it then
gathers a few chunks just before it multiplies them.

Threads share out the neurons for the product, the features for both gradients: no two write to the same run, nothing is
added up at the end, and the results are the same to the bit for any number of threads.

Everything can be had for a range of a layer's features alone: ``indptr`` is then that range's part of the layer's, and
``neurons``, ``weight`` and ``grad_weight`` stay those of the whole layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import gather, threads
from .compiled import compiled

# Sums may be reordered (vectorising them means that); NaN and infinity keep their meaning, which plain fastmath drops.
# numba's cache notices changes of this file, not of gather.py and threads.py: touch this one after changing those.
_OPTIONS = {"fastmath": {"reassoc", "contract"}}

# Features of a chunk of the product: at a batch of 256, half a megabyte.
CHUNK_FEATURES = 512

# Features of a batch of slices that are gathered before they are multiplied: whole chunks, at a batch of 256 four megabytes.
GATHER_FEATURES = 8 * CHUNK_FEATURES

# Features whose gradients are worked out for one layer before the next layer's turn.
_GRADIENT_FEATURES = 128

# Tasks for each thread where tasks are ranges of features: a thread that is held up leaves the rest to the others.
_TASKS_PER_THREAD = 4


class NeuronOrder(NamedTuple):
    """A topology's links by chunk of input features, then by neuron, then by feature.

    Attributes:
        pointers: int64 ``(chunks * out_features + 1,)``: the links of neuron ``j`` in chunk ``c`` are from
            ``pointers[c * out_features + j]`` to the next.
        inputs: int32 ``(n_links,)``: the input feature of each, counted from the chunk's first.
        links: int32 ``(n_links,)``: the number of each in the topology's own order.
    """

    pointers: np.ndarray
    inputs: np.ndarray
    links: np.ndarray


class Product(NamedTuple):
    """One layer's part in a product.

    Attributes:
        pointers: See :class:`NeuronOrder`; so are the two that follow.
        inputs: See above.
        links: See above.
        weight: float32 ``(n_links,)``.
        bias: float32 ``(out_features,)``, or of length 0: then the product is added to what stands in ``out``.
        out: float32 ``(out_features, batch)``, contiguous.
    """

    pointers: np.ndarray
    inputs: np.ndarray
    links: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    out: np.ndarray


class WeightGradient(NamedTuple):
    """One layer's part in a weight gradient: each link's input times its neuron's gradient, summed over the batch.

    Attributes:
        indptr: int64 ``(features + 1,)``.
        neurons: int32 ``(n_links,)``.
        grad_out: float32 ``(out_features, batch)``, contiguous.
        grad_weight: float32 ``(n_links,)``; overwritten where the range has links.
    """

    indptr: np.ndarray
    neurons: np.ndarray
    grad_out: np.ndarray
    grad_weight: np.ndarray


def neuron_order(indptr: np.ndarray, neurons: np.ndarray, out_features: int) -> NeuronOrder:
    """Sort a range of a layer's links for the product, in linear time.

    Args:
        indptr: int64 ``(features + 1,)``.
        neurons: int32 ``(n_links,)``.
        out_features: Neurons of the layer.
    """
    n_chunks = -(-(len(indptr) - 1) // CHUNK_FEATURES)
    n_links = int(indptr[-1] - indptr[0])
    pointers = np.zeros(n_chunks * out_features + 1, np.int64)
    inputs, links = np.empty(n_links, np.int32), np.empty(n_links, np.int32)
    _counting_sort(indptr, neurons, out_features, pointers, inputs, links)
    return NeuronOrder(pointers, inputs, links)


def product(x: np.ndarray | gather.Slices, layers: Sequence[Product], keep: np.ndarray | None = None) -> None:
    """Write ``W x + b`` into each layer's ``out``, or add ``W x`` to it.

    Args:
        x: float32 ``(features, batch)``, contiguous; or the same as slices.
        layers: That read ``x``.
        keep: float32 ``(features, batch)``, contiguous: where a batch of slices is to be kept. None: it is not.
    """
    if not layers:
        return
    layers, (n_neurons, batch) = tuple(layers), (sum(len(layer.out) for layer in layers), layers[0].out.shape[1])
    n_threads = threads.worth(sum(len(layer.links) for layer in layers) * batch)
    bounds = np.arange(n_threads + 1) * n_neurons // n_threads
    if isinstance(x, gather.Slices):
        space = np.empty((min(GATHER_FEATURES, x.n_features), batch), np.float32) if keep is None else keep
        row_bounds = gather.row_bounds(batch, n_threads)
        _slices_product(x, space, keep is not None, layers, row_bounds, bounds, n_threads, threads.TEAM)
    else:
        _product(x, 0, 0, -(-len(x) // CHUNK_FEATURES), layers, bounds, n_threads, threads.TEAM)


def weight_gradient(x: np.ndarray, layers: Sequence[WeightGradient]) -> None:
    """Write each layer's gradient of each link.

    Args:
        x: float32 ``(features, batch)``, contiguous.
        layers: That read ``x``.
    """
    if not layers:
        return
    n_links = sum(layer.indptr - layer.indptr[0] for layer in layers)
    n_threads = threads.worth(int(n_links[-1]) * x.shape[1])
    _weight_gradient(x, tuple(layers), _feature_bounds(n_links, n_threads), n_threads, threads.TEAM)


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
    n_threads = threads.worth(int(indptr[-1] - indptr[0]) * grad_out.shape[1])
    bounds = _feature_bounds(indptr - indptr[0], n_threads)
    _input_gradient(indptr, neurons, weight, grad_out, grad_x, bounds, n_threads, threads.TEAM)


def transposed(rows: np.ndarray) -> np.ndarray:
    """A contiguous copy of the transpose, twice as quick as numpy's or torch's; float32."""
    out = np.empty((rows.shape[1], rows.shape[0]), np.float32)
    n_threads = threads.worth(rows.size)
    _transpose(rows, out, gather.row_bounds(len(rows), n_threads), n_threads, threads.TEAM)
    return out


def _feature_bounds(n_links: np.ndarray, n_threads: int) -> np.ndarray:
    """Ranges of features with about as many links each.

    Args:
        n_links: Links before each feature, and of all.
        n_threads: Threads that share them.
    """
    if n_threads == 1:
        return np.array([0, len(n_links) - 1])
    bounds = np.searchsorted(n_links, np.linspace(0, n_links[-1], _TASKS_PER_THREAD * n_threads + 1))
    bounds[0], bounds[-1] = 0, len(n_links) - 1
    return bounds


@compiled(**_OPTIONS)
def _counting_sort(indptr, neurons, out_features, pointers, inputs, links):
    for i in range(indptr.shape[0] - 1):
        first = (i // CHUNK_FEATURES) * out_features + 1
        for link in range(indptr[i], indptr[i + 1]):
            pointers[first + neurons[link]] += 1
    for key in range(1, pointers.shape[0]):
        pointers[key] += pointers[key - 1]
    place = pointers.copy()
    for i in range(indptr.shape[0] - 1):
        first = (i // CHUNK_FEATURES) * out_features
        for link in range(indptr[i], indptr[i + 1]):
            key = first + neurons[link]
            inputs[place[key]] = i % CHUNK_FEATURES
            links[place[key]] = link
            place[key] += 1


@compiled(**_OPTIONS)
def _add_chunks(t, x, first_feature, first_chunk, last_chunk, layers, bounds):
    """Add the product with some chunks of features, which begin at ``first_feature`` of ``x``, to a range of the neurons."""
    for chunk in range(first_chunk, last_chunk):
        shift, place = first_feature + (chunk - first_chunk) * CHUNK_FEATURES, 0
        for layer in range(len(layers)):
            pointers, inputs, links = layers[layer].pointers, layers[layer].inputs, layers[layer].links
            weight, bias, out = layers[layer].weight, layers[layer].bias, layers[layer].out
            n_neurons = out.shape[0]
            for j in range(max(bounds[t] - place, 0), min(bounds[t + 1] - place, n_neurons)):
                out_j = out[j]
                if chunk == 0 and bias.shape[0]:
                    out_j[:] = bias[j]
                k, end = pointers[chunk * n_neurons + j], pointers[chunk * n_neurons + j + 1]
                while k + 4 <= end:
                    x0, x1 = x[shift + inputs[k]], x[shift + inputs[k + 1]]
                    x2, x3 = x[shift + inputs[k + 2]], x[shift + inputs[k + 3]]
                    w0, w1, w2, w3 = weight[links[k]], weight[links[k + 1]], weight[links[k + 2]], weight[links[k + 3]]
                    for b in range(out_j.shape[0]):
                        out_j[b] += w0 * x0[b] + w1 * x1[b] + w2 * x2[b] + w3 * x3[b]
                    k += 4
                while k < end:
                    x0, w0 = x[shift + inputs[k]], weight[links[k]]
                    for b in range(out_j.shape[0]):
                        out_j[b] += w0 * x0[b]
                    k += 1
            place += n_neurons


@compiled(**_OPTIONS)
def _weight_gradient_features(t, x, layers, bounds):
    for first in range(bounds[t], bounds[t + 1], _GRADIENT_FEATURES):
        last = min(first + _GRADIENT_FEATURES, bounds[t + 1])
        for layer in range(len(layers)):
            indptr, neurons = layers[layer].indptr, layers[layer].neurons
            grad_out, grad_weight = layers[layer].grad_out, layers[layer].grad_weight
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


@compiled(**_OPTIONS)
def _input_gradient_features(t, indptr, neurons, weight, grad_out, grad_x, bounds):
    for i in range(bounds[t], bounds[t + 1]):
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


@compiled(**_OPTIONS)
def _transpose_rows(t, rows, out, bounds):
    whole_tiles = bounds[t] + (bounds[t + 1] - bounds[t]) // gather.TILE_ROWS * gather.TILE_ROWS
    for row in range(bounds[t], whole_tiles, gather.TILE_ROWS):
        for j in range(rows.shape[1]):
            tile = out[j, row : row + gather.TILE_ROWS]
            for r in range(gather.TILE_ROWS):
                tile[r] = rows[row + r, j]
    for row in range(whole_tiles, bounds[t + 1]):
        for j in range(rows.shape[1]):
            out[j, row] = rows[row, j]


@compiled(**_OPTIONS)
def add_row_product(x, indptr, neurons, weight, out):
    """Add ``W x`` of a single row ``(features,)`` to ``out`` ``(out_features,)``."""
    for i in range(x.shape[0]):
        x_i = x[i]
        for k in range(indptr[i], indptr[i + 1]):
            out[neurons[k]] += weight[k] * x_i


@compiled(**_OPTIONS)
def _product(x, first_feature, first_chunk, last_chunk, layers, bounds, n_threads, team):
    arguments = (x, first_feature, first_chunk, last_chunk, layers, bounds)
    threads.share_out(_add_chunks, arguments, bounds.shape[0] - 1, n_threads, team)


@compiled(**_OPTIONS)
def _slices_product(x, space, kept, layers, row_bounds, bounds, n_threads, team):
    n_features = x.starts[-1] + x.widths[-1]
    for first in range(0, n_features, GATHER_FEATURES):
        last = min(first + GATHER_FEATURES, n_features)
        to = first if kept else 0
        gather.copy(x, first, last, space, to, row_bounds, n_threads, team)
        first_chunk, last_chunk = first // CHUNK_FEATURES, -(-last // CHUNK_FEATURES)
        _product(space, to, first_chunk, last_chunk, layers, bounds, n_threads, team)


@compiled(**_OPTIONS)
def _weight_gradient(x, layers, bounds, n_threads, team):
    threads.share_out(_weight_gradient_features, (x, layers, bounds), bounds.shape[0] - 1, n_threads, team)


@compiled(**_OPTIONS)
def _input_gradient(indptr, neurons, weight, grad_out, grad_x, bounds, n_threads, team):
    arguments = (indptr, neurons, weight, grad_out, grad_x, bounds)
    threads.share_out(_input_gradient_features, arguments, bounds.shape[0] - 1, n_threads, team)


@compiled(**_OPTIONS)
def _transpose(rows, out, bounds, n_threads, team):
    threads.share_out(_transpose_rows, (rows, out, bounds), bounds.shape[0] - 1, n_threads, team)

"""One layer of an exported actor on one observation: links one by one, or a dense product, in numpy and in ONNX Runtime.

    OMP_NUM_THREADS=1 python benchmarks/export_layers.py

What :mod:`siftrl.export.runner` and :mod:`siftrl.export.onnx_graph` choose rests on this. Prints a table and writes
``benchmarks/results/export_layers.json``. Needs the extra ``export``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
from measure import parser, write_results
from onnx import TensorProto, helper, numpy_helper
from siftrl.export import runner
from siftrl.export.latency import latencies
from siftrl.sparse.topology import Topology

NEURONS = 256
CASES = [(256, 0.05), (256, 0.2), *((1_700, density) for density in (0.01, 0.03, 0.05, 0.1, 0.2, 0.5))]
CASES += [(34_800, density) for density in (0.01, 0.05, 0.2)]


def in_numpy(topology: Topology, weight: np.ndarray, few: float) -> Callable[[np.ndarray], np.ndarray]:
    """The runner's product, dense from the share ``few`` of links on."""
    by_neuron = np.argsort(topology.neurons, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(topology.fan_in())])
    runner._FEW = few
    bias = np.zeros(NEURONS, np.float32)
    product = runner._product(topology.shape[1], weight[by_neuron], bias, indptr, topology.inputs[by_neuron])
    return lambda x: product(x[0])


def in_onnx(nodes: list, arrays: dict[str, np.ndarray], n_in: int) -> Callable[[np.ndarray], np.ndarray]:
    """A graph from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", n_in])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda x: session.run(None, {"x": x})[0]


def links_in_onnx(topology: Topology, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Inputs gathered for each link, multiplied and summed; neurons are filled up to the largest fan-in."""
    inputs = np.zeros((NEURONS, topology.fan_in().max()), np.int64)
    weights = np.zeros(inputs.shape, np.float32)
    for neuron in range(NEURONS):
        of_neuron = np.flatnonzero(topology.neurons == neuron)
        inputs[neuron, : len(of_neuron)] = topology.inputs[of_neuron]
        weights[neuron, : len(of_neuron)] = weight[of_neuron]
    nodes = [
        helper.make_node("Gather", ["x", "inputs"], ["gathered"], axis=1),
        helper.make_node("Mul", ["gathered", "weights"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axes"], ["y"], keepdims=0),
    ]
    return in_onnx(nodes, {"inputs": inputs, "weights": weights, "axes": np.array([2])}, topology.shape[1])


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__).parse_args()
    rows = []
    for n_in, density in CASES:
        rng = np.random.default_rng(0)
        topology = Topology.random((NEURONS, n_in), round(density * NEURONS * n_in), rng)
        weight = rng.standard_normal(topology.n_links, np.float32)
        dense = np.zeros((n_in, NEURONS), np.float32)
        dense.ravel()[topology.positions] = weight
        gemm = [helper.make_node("Gemm", ["x", "weight"], ["y"])]
        rivals = {
            "numpy_dense": in_numpy(topology, weight, 0),
            "numpy_links": in_numpy(topology, weight, np.inf),
            "onnx_dense": in_onnx(gemm, {"weight": dense}, n_in),
            "onnx_links": links_in_onnx(topology, weight),
        }
        microseconds = latencies(rivals, n_in, rounds=30, seconds=20)
        rows.append({"inputs": n_in, "density": density, **{name: round(time) for name, time in microseconds.items()}})
        print(rows[-1], flush=True)
    write_results(arguments.results, "export_layers", rows)


if __name__ == "__main__":
    main()

"""The format ``onnx``: a graph for ONNX Runtime and other runtimes."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .actor import Actor

_OPERATORS = {"relu": "Relu", "tanh": "Tanh", "none": "Identity"}
# Not the newest: every runtime of the last years reads these.
_OPSET, _IR_VERSION = 17, 8


def encode(actor: Actor) -> bytes:
    """The content of the file.

    The input ``observation`` is float32 ``(batch, n_features)``, the output ``action`` ``(batch, n_actions)``. The features
    that are read are gathered first; a layer's weight is dense, as no operator of ONNX's makes use of the links: gathered,
    multiplied and summed one by one, 5 % of 1 700 x 256 take 132 µs, the dense product 36 µs (benchmarks/export_layers.py).
    """
    nodes, arrays, x = [], {}, "observation"
    if len(actor.reads) < actor.n_features:
        arrays["reads"] = actor.reads.astype(np.int64)
        nodes.append(helper.make_node("Gather", [x, "reads"], ["readings"], axis=1))
        x = "readings"
    for number, layer in enumerate(actor.layers):
        names = [f"layer{number}/{name}" for name in ("weight", "bias", "sum", layer.activation)]
        arrays |= {names[0]: layer.dense(), names[1]: layer.bias}
        nodes.append(helper.make_node("Gemm", [x, *names[:2]], [names[2]], transB=1))
        nodes.append(helper.make_node(_OPERATORS[layer.activation], [names[2]], [names[3]]))
        x = names[3]
    arrays |= {"one": np.float32([1]), "half_range": (actor.high - actor.low) / 2, "low": actor.low}
    for operator, array, result in (("Add", "one", "raised"), ("Mul", "half_range", "scaled"), ("Add", "low", "action")):
        nodes.append(helper.make_node(operator, [x, array], [result]))
        x = result
    graph = helper.make_graph(
        nodes,
        "actor",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", actor.n_features])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", len(actor.low)])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(
        graph, producer_name="siftrl", opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    helper.set_model_props(model, {"about": json.dumps(actor.about)})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def runtime(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What computes actions ``(batch, n_actions)`` from the file's content: ONNX Runtime on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda observations: session.run(["action"], {"observation": observations})[0]

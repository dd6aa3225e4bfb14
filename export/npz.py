"""The format ``npz``: a file of plain arrays, described in docs/export.md, that :mod:`siftrl.export.runner` runs."""

from __future__ import annotations

import io
import json

import numpy as np

from .actor import Actor
from .runner import FORMAT
from .runner import Actor as Runner


def encode(actor: Actor) -> bytes:
    """The content of the file."""
    arrays = {
        "format": np.int32(FORMAT),
        "about": np.array(json.dumps(actor.about)),
        "n_features": np.int32(actor.n_features),
        "reads": actor.reads,
        "low": actor.low,
        "high": actor.high,
        "activations": np.array([layer.activation for layer in actor.layers]),
    }
    for number, layer in enumerate(actor.layers):
        arrays[f"layer{number}/weight"] = layer.weight
        arrays[f"layer{number}/bias"] = layer.bias
        if layer.indptr is not None:
            # Most layers have so few inputs that a link then takes six bytes instead of eight.
            fits = layer.n_in <= 2**16
            arrays[f"layer{number}/indptr"] = layer.indptr
            arrays[f"layer{number}/indices"] = layer.indices.astype(np.uint16 if fits else np.int32)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def runtime(content: bytes) -> Runner:
    """What computes actions from the file's content: the numpy runner."""
    return Runner(io.BytesIO(content))

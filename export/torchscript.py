"""The format ``torchscript``: what libtorch in C++ and torch of all versions read. torch calls it deprecated since 2.9."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable

import numpy as np
import torch

from .actor import Actor
from .torch_module import ActorModule, as_numpy


def encode(actor: Actor) -> bytes:
    """The content of the file; ``about.json`` in it says where the actor comes from."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        traced = torch.jit.trace(ActorModule(actor).eval(), torch.zeros(1, actor.n_features))
        torch.jit.save(traced, file, _extra_files={"about.json": json.dumps(actor.about)})
    return file.getvalue()


def runtime(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What computes actions ``(batch, n_actions)`` from the file's content."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return as_numpy(torch.jit.load(io.BytesIO(content)))

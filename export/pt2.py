"""The format ``pt2``: a program of ``torch.export``, which torch recommends in TorchScript's place."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import torch

from .actor import Actor
from .torch_module import ActorModule, as_numpy


def encode(actor: Actor) -> bytes:
    """The content of the file; ``about.json`` in it says where the actor comes from."""
    # Traced with two rows: torch would take one for a constant.
    program = torch.export.export(
        ActorModule(actor).eval(),
        (torch.zeros(2, actor.n_features),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"about.json": json.dumps(actor.about)})
    return file.getvalue()


def runtime(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What computes actions ``(batch, n_actions)`` from the file's content."""
    return as_numpy(torch.export.load(io.BytesIO(content)).module())

"""The process's random generators, whose states belong to a run's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def generator_states() -> dict[str, Any]:
    """The states of Python's, NumPy's and torch's global generators, torch's on each GPU included; see ``snapshot.py``."""
    version, words, gauss = random.getstate()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "python": [version, np.array(words, np.uint64), gauss],
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state().numpy(),
        "cuda": [state.numpy() for state in gpus],
    }


def set_generator_states(states: dict[str, Any]) -> None:
    """Bring the global generators into ``states``; those of GPUs that are not here are left out."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(states["numpy"])
    torch.set_rng_state(torch.from_numpy(states["torch"]))
    for gpu, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(torch.from_numpy(state), gpu)

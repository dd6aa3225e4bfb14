"""How long one action takes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping

import numpy as np
from torch import nn

from .actor import Actor
from .torch_module import as_numpy
from .write import random_observations

# As many actions in a row find their weights in the processor's cache, as those of an agent that is alone do.
_IN_A_ROW = 10


def latencies(
    rivals: Mapping[str, Callable[[np.ndarray], object]], n_features: int, rounds: int = 100, seconds: float = 10.0
) -> dict[str, float]:
    """Microseconds for one observation, the median over rounds in which each rival has a turn of ten in a row.

    Time of the processor, in which other programs on a busy machine do not count; on one thread that is what passes on an
    idle one.

    Args:
        rivals: What computes actions from observations ``(1, n_features)``, by name.
        n_features: Length of an observation.
        rounds: As many, after one that does not count.
        seconds: Or as many as fit into this time, but three at least.
    """
    observation = random_observations(n_features, 1)
    times: dict[str, list[float]] = {name: [] for name in rivals}
    end = time.perf_counter() + seconds
    for round_number in range(rounds + 1):
        for name, act in rivals.items():
            turn = [_seconds(act, observation) for _ in range(_IN_A_ROW)]
            if round_number:
                times[name] += turn
        if round_number >= 3 and time.perf_counter() > end:
            break
    return {name: 1e6 * float(np.median(values)) for name, values in times.items()}


def _seconds(act: Callable[[np.ndarray], object], observation: np.ndarray) -> float:
    start = time.process_time()
    act(observation)
    return time.process_time() - start


def dense_rival(actor: Actor) -> Callable[[np.ndarray], np.ndarray]:
    """A dense torch network of the same widths that reads all features."""
    widths = [actor.n_features, *(len(layer.bias) for layer in actor.layers)]
    modules: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        modules += [nn.Linear(n_in, n_out), nn.ReLU()]
    return as_numpy(nn.Sequential(*modules[:-1], nn.Tanh()))

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


def latencies(
    rivals: Mapping[str, Callable[[np.ndarray], object]], n_features: int, rounds: int = 1_000, seconds: float = 10.0
) -> dict[str, float]:
    """Microseconds for one observation, the median over rounds in which each rival has a turn.

    Args:
        rivals: What computes actions from observations ``(1, n_features)``, by name.
        n_features: Length of an observation.
        rounds: As many, after one that does not count.
        seconds: Or as many as fit into this time, but ten at least.
    """
    observation = random_observations(n_features, 1)
    times: dict[str, list[float]] = {name: [] for name in rivals}
    end = time.perf_counter() + seconds
    for round_number in range(rounds + 1):
        for name, act in rivals.items():
            start = time.perf_counter()
            act(observation)
            elapsed = time.perf_counter() - start
            if round_number:
                times[name].append(1e6 * elapsed)
        if round_number >= 10 and time.perf_counter() > end:
            break
    return {name: float(np.median(values)) for name, values in times.items()}


def dense_rival(actor: Actor) -> Callable[[np.ndarray], np.ndarray]:
    """A dense torch network of the same widths that reads all features."""
    widths = [actor.n_features, *(len(layer.bias) for layer in actor.layers)]
    modules: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        modules += [nn.Linear(n_in, n_out), nn.ReLU()]
    return as_numpy(nn.Sequential(*modules[:-1], nn.Tanh()))

"""Noise as a pure function of a key, so that nobody needs to store it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from ..names import known
from .histogram import FeatureHistogram
from .noise_blocks import NoiseBlocks, Segments, groups_of
from .noise_tables import KINDS, table
from .recording import Recording

MOST_CORRELATED = 0.999  # a memory of a thousand steps; the table's series have 16 384


@dataclass(frozen=True)
class NoiseSource:
    """The noise features of every observation, each a pure function of the observation's key.

    A key is a pair of uint64 ``(stream, t)``. Noise is read from a long table that depends on the kind of noise alone
    (never on a run's seed) and is shared by all sources of a process. Pickles and copies leave the table out.

    ==================  ======================================================================  =================
    distribution        a noise feature                                                         over time
    ==================  ======================================================================  =================
    ``normal``          N(0, std²)                                                              independent
    ``uniform``         U(−√3 std, √3 std)                                                      independent
    ``imitate``         std times a number that follows the histogram of one real feature       independent
    ``autoregressive``  N(0, std²)                                                              correlationⁿ after n
    ``brownian``        a walk between ±√3 std, steps of std / 20, at each place equally often  a memory of ~1 000
    ``shadow``          std times a feature of a recorded task, its fellows beside it           as the task
    ``copies``          a real feature plus std times its standard deviation times N(0, 1)      as the feature
    ==================  ======================================================================  =================

    Of ``imitate`` and ``copies``, neighbours follow the same real feature, as many each as can be. A ``shadow`` is
    played from a place that depends on the stream, around the recording, one copy of all its features beside another;
    it takes no notice of where episodes end. Series come back after 16 384 steps of an episode, a recording after its
    length. What is read of them by different features of an observation begins apart, and with each stream elsewhere:
    a memory ends with the episode. A series is read by every 1 024th noise feature, of HalfCheetah-v5 at 99 % by two,
    of Humanoid-v5 by 34, the nearest about 120 steps apart: kinds with a longer memory are not independent there.

    Args:
        n_real: real features of the task.
        n_noise: noise features.
        distribution: see above.
        std: standard deviation of the noise, or what it is multiplied with.
        histogram: of the real features, for ``imitate`` and ``copies`` only.
        n_live: the first ``n_live`` noise features vary and the others are 0; ``None``: all vary.
        correlation: of ``autoregressive`` noise with what it was a step before, from 0 to 0.999.
        recording: for ``shadow`` only.

    Raises:
        ValueError: an argument out of its range, or a histogram or recording missing, of another size, or given where it
            is not used.

    Source:
        Grooten et al. 2023 (Automatic Noise Filtering), §3 for normal noise, its second noise type for ``imitate``.
        There, noise feature i imitates real feature i mod d; here they are grouped, which only renames the noise
        features. The others are ours: sensors of something else drift, and have their own dynamics.

    Example:
        >>> source = NoiseSource(n_real=17, n_noise=153)
        >>> keys = np.array([[7, 0], [7, 1]], dtype=np.uint64)
        >>> noise, again = np.empty((2, 153), np.float32), np.empty((2, 153), np.float32)
        >>> source.fill(keys, noise)
        >>> source.fill(keys, again)
        >>> bool((noise == again).all()), bool((noise[0] == noise[1]).any())
        (True, False)
    """

    n_real: int
    n_noise: int
    distribution: str = "normal"
    std: float = 1.0
    histogram: FeatureHistogram | None = None
    n_live: int | None = None
    correlation: float = 0.95
    recording: Recording | None = None

    def __post_init__(self):
        needs = KINDS[known(self.distribution, KINDS, "distribution")].needs
        if not (math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"std must be a finite number that is not negative, got {self.std!r}")
        if not 0 <= self.correlation <= MOST_CORRELATED:
            raise ValueError(f"correlation must lie between 0 and {MOST_CORRELATED}, got {self.correlation!r}")
        if self.n_live is not None and not 0 <= self.n_live <= self.n_noise:
            raise ValueError(f"live_noise must lie between 0 and the {self.n_noise} noise features, got {self.n_live!r}")
        for name in ("histogram", "recording"):
            given = getattr(self, name)
            if (given is None) == (name in needs):
                does = "needs" if name in needs else "takes no"
                raise ValueError(f"distribution={self.distribution!r} {does} {name}, got {given!r}")
            if given is not None and given.n_features != self.n_real:
                raise ValueError(f"{name} must describe the task's {self.n_real} features, got {given.n_features}")

    @property
    def n_features(self) -> int:
        """Features of a whole observation, real ones and noise."""
        return self.n_real + self.n_noise

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value a noise feature may take."""
        is_bounded = self.distribution in ("uniform", "brownian")
        limit = float(np.float32(math.sqrt(3) * self.std)) if is_bounded else math.inf
        return -limit, limit

    @property
    def adds_to_real(self) -> bool:
        """Whether the noise is added to real features, without which it cannot be told."""
        return KINDS[self.distribution].adds_to_real

    def segments(self, keys: np.ndarray) -> Segments:
        """Say where in the table the noise of these keys lies, without copying it.

        Args:
            keys: uint64 (rows, 2), a stream and a step t each.

        Returns:
            The table, and each row's offsets into it; of noise that is added to real features, without these.
        """
        return self._blocks.segments(keys)

    def fill(self, keys: np.ndarray, out: np.ndarray, real: np.ndarray | None = None) -> None:
        """Write the noise of these keys.

        Args:
            keys: uint64 (rows, 2), a stream and a step t each.
            out: float32 (rows, n_noise), overwritten; may be a view of a larger array.
            real: float32 (rows, n_real), the real features; read only where the noise is added to them.

        Raises:
            ValueError: keys, out or real of another dtype or shape.
        """
        if keys.dtype != np.uint64 or keys.ndim != 2 or keys.shape[1] != 2:
            raise ValueError(f"keys must be uint64 of shape (rows, 2), got {keys.dtype} of shape {keys.shape}")
        _check("out", out, (len(keys), self.n_noise))
        if self.n_noise == 0:
            return
        self._blocks.copy(keys, out)
        if self.adds_to_real:
            _check("real", real, (len(keys), self.n_real))
            copied = np.repeat(real, groups_of(self.n_noise, self.n_real), axis=1)
            out[:, : self.n_live] += copied[:, : self.n_live]

    @cached_property
    def _blocks(self) -> NoiseBlocks:
        needed = (getattr(self, name) for name in KINDS[self.distribution].needs)
        n_live = self.n_noise if self.n_live is None else self.n_live
        return NoiseBlocks(table(self.distribution, self.std, *needed), self.n_noise, n_live)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _check(name: str, array: np.ndarray | None, shape: tuple[int, int]) -> None:
    if array is None or array.dtype != np.float32 or array.shape != shape:
        got = "None" if array is None else f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name} must be float32 of shape {shape}, got {got}")

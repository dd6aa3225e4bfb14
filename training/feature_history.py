"""The feature history of a run: what the first layers of its networks read, over time, and its file. Loads no torch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .folder import FEATURES
from .sealed import UNREADABLE, read_array
from .zip_size import require_sensible_size

_SERIES = {
    "timesteps": (np.int64, 1),
    "permutation": (np.int64, 1),
    "relevant": (np.int64, 2),
    "feature_std": (np.float32, 2),
}
_OF_NETWORKS = {"links": np.int32, "strength": np.float32}


@dataclass(frozen=True, eq=False)
class FeatureHistory:
    """What the first layers of a run's networks read: ``n`` records in the order of time, of ``F`` observed features.

    Actions, which a critic also reads, are left out.

    Attributes:
        timesteps: int64 ``(n,)``: environment steps done at each record, increasing.
        permutation: int64 ``(n,)``: number of the feature order at that moment; 0 where there are no orders.
        relevant: int64 ``(n, d)``: where the task's real features stood, in the task's own order; ``(n, 0)`` where it is not
            known.
        feature_std: float32 ``(n, F)``: standard deviation of each feature over the last full period of observations (see
            :class:`~siftrl.agents.callbacks.SparsityMetrics`); ones before it is known.
        links: By network ("actor", "qf0", "qf1"), int32 ``(n, F)``: links of each feature in the network's first layer. In a
            dense layer that is its width.
        strength: By network, float32 ``(n, F)``: sum of the absolute weights of these links, not scaled by the feature's
            standard deviation. NaN in a run whose weights are no numbers any more.
    """

    timesteps: np.ndarray
    permutation: np.ndarray
    relevant: np.ndarray
    feature_std: np.ndarray
    links: Mapping[str, np.ndarray]
    strength: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        reason = _misfit(self._arrays()) or ("" if self.links.keys() == self.strength.keys() else "networks differ")
        if reason:
            raise ValueError(f"a feature history of these arrays contradicts itself: {reason}.")

    @property
    def n_features(self) -> int:
        """Features of an observation."""
        return self.feature_std.shape[1]

    def rows(self, which: Sequence[int] | np.ndarray) -> FeatureHistory:
        """The history that has these records alone."""
        return _history({name: array[which] for name, array in self._arrays().items()})

    def followed_by(self, later: FeatureHistory) -> FeatureHistory:
        """This history and then a later one.

        Raises:
            ValueError: where they are not of the same networks and features.
        """
        before, after = self._arrays(), later._arrays()
        if before.keys() != after.keys():
            raise ValueError(f"{', '.join(after)} cannot follow {', '.join(before)}")
        return _history({name: np.concatenate([before[name], after[name]]) for name in before})

    def to_bytes(self) -> bytes:
        """The content of a file, the same for the same history."""
        file = io.BytesIO()
        # zlib's quickest level: the others take three times as long for a few percent.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in self._arrays().items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, _narrow(name, array), allow_pickle=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> FeatureHistory:
        """Read what :meth:`to_bytes` wrote; nothing is unpickled.

        Raises:
            ValueError: where it is something else.
        """
        return _read(io.BytesIO(content))

    def _arrays(self) -> dict[str, np.ndarray]:
        of_networks = {f"{kind}/{net}": array for kind in _OF_NETWORKS for net, array in getattr(self, kind).items()}
        return {**{name: getattr(self, name) for name in _SERIES}, **of_networks}


def load_features(run_folder: str | Path) -> FeatureHistory:
    """Read the feature history of a run; nothing is unpickled.

    Args:
        run_folder: the folder of a run, which may still be going on.

    Raises:
        ValueError: where the run has none, and where it is damaged.

    Example:
        >>> load_features("logs/nowhere")
        Traceback (most recent call last):
        ...
        ValueError: the folder logs/nowhere holds no features.npz: runs write it at each evaluation and at their end.
    """
    path = Path(run_folder) / FEATURES
    if not path.is_file():
        raise ValueError(f"the folder {run_folder} holds no {FEATURES}: runs write it at each evaluation and at their end.")
    try:
        with path.open("rb") as file:
            return _read(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"the file {path} cannot be read: {error}") from error


def _read(file: BinaryIO) -> FeatureHistory:
    try:
        with zipfile.ZipFile(file) as archive:
            require_sensible_size(archive)
            arrays = {name.removesuffix(".npy"): read_array(archive, name) for name in archive.namelist()}
        return _history({name: _widened(name, array) for name, array in arrays.items()})
    except UNREADABLE as error:
        raise ValueError(f"it is no intact feature history: {error}") from error


def _history(arrays: dict[str, np.ndarray]) -> FeatureHistory:
    nets: dict[str, Any] = {kind: {} for kind in _OF_NETWORKS}
    for name, array in arrays.items():
        if name not in _SERIES:
            kind, _, net = name.partition("/")
            nets[kind][net] = array
    return FeatureHistory(**{name: arrays[name] for name in _SERIES}, **nets)


def _narrow(name: str, array: np.ndarray) -> np.ndarray:
    fits = name.startswith("links/") and array.max(initial=0) < 2**16
    return array.astype(np.uint16) if fits else array


def _widened(name: str, array: np.ndarray) -> np.ndarray:
    return array.astype(np.int32) if name.startswith("links/") and array.dtype == np.uint16 else array


def _misfit(arrays: Mapping[str, np.ndarray]) -> str:
    """What is wrong with the arrays of a history; empty where they fit."""
    n, n_features = arrays["feature_std"].shape if arrays["feature_std"].ndim == 2 else (-1, -1)
    for name, array in arrays.items():
        dtype, n_axes = _SERIES.get(name) or (_OF_NETWORKS[name.partition("/")[0]], 2)
        width = array.shape[1:] if name == "relevant" else (n_features,) * (n_axes - 1)
        if array.dtype != dtype or array.shape != (n, *width) or array.ndim != n_axes:
            return f"{name} holds {array.dtype} of shape {array.shape}"
    if (np.diff(arrays["timesteps"]) <= 0).any():
        return "timesteps do not increase"
    if ((arrays["relevant"] < 0) | (arrays["relevant"] >= n_features)).any():
        return f"relevant names features beyond the {n_features} that there are"
    return ""

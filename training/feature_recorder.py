"""Records, while a run trains, what the first layers of its networks read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from ..agents.callbacks import SparsityMetrics
from ..agents.networks import first_layer, networks
from ..sparse.diagnostics import fan_out
from ..sparse.strength import feature_strength
from .atomic import atomic_write
from .environments import relevant_features
from .feature_history import FeatureHistory
from .folder import FEATURES
from .permutation import current_permutation
from .tensorboard import write_features

_MOST_RECORDS = 128
_MOST_NUMBERS = 2**20  # of an array: from 8 192 features on, fewer records are kept, lest the file grow to tens of megabytes
_FEW_RECORDS = 16  # however many features there are


class FeatureRecorder(BaseCallback):
    """Keeps a run's feature history, and with each record writes it to ``features.npz`` and shows it in TensorBoard.

    A record is made whenever :meth:`record` is called, and when training ends. Once there are more than 128 (fewer where
    there are more than 8 192 features), every second one goes, and so does every second one of those to come; the newest is
    always there. The keys in TensorBoard are ``features/<net>…``, see :func:`~siftrl.training.tensorboard.write_features`.

    Args:
        folder: the run folder.
        metrics: which knows the standard deviation of each feature.

    Attributes:
        history: The records so far; None before the first.

    Example:
        >>> import tempfile
        >>> from stable_baselines3 import SAC
        >>> from siftrl.training.feature_history import load_features
        >>> folder, metrics = tempfile.mkdtemp(), SparsityMetrics()
        >>> model = SAC("MlpPolicy", "Pendulum-v1").learn(10, callback=[metrics, FeatureRecorder(folder, metrics)])
        >>> load_features(folder).links["actor"]
        array([[256, 256, 256]], dtype=int32)
    """

    def __init__(self, folder: str | Path, metrics: SparsityMetrics) -> None:
        super().__init__()
        self.folder, self.metrics = Path(folder), metrics
        self.history: FeatureHistory | None = None
        self._n_seen = 0
        self._content = b""

    def get_state(self) -> dict[str, Any]:
        """How many records were made, and the file, as plain values and arrays."""
        return {"n_seen": self._n_seen, "file": np.frombuffer(self._content, np.uint8)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started, with the same networks, and write its file.

        Raises:
            OSError: where the disk fails.
            ValueError: where it is that of other networks.
        """
        n_seen, content = state["n_seen"], state["file"].tobytes()
        history = FeatureHistory.from_bytes(content) if content else None
        if history is not None:
            # Whatever can follow these records fits them.
            history.followed_by(feature_record(self.model, self.training_env, None, history.timesteps[-1] + 1))
        n_kept = 0 if history is None else len(history.timesteps)
        if type(n_seen) is not int or len(self._kept(n_seen)) != n_kept:
            raise ValueError(f"the feature history does not hold what is kept of {n_seen!r} records")
        self.history, self._n_seen, self._content = history, n_seen, content
        if content:
            self._write()
        else:
            (self.folder / FEATURES).unlink(missing_ok=True)

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if self.history is None or self.history.timesteps[-1] < self.model.num_timesteps:
            self.record()

    def record(self) -> None:
        """Add what the networks read now, write the file, and show it in TensorBoard."""
        new = feature_record(self.model, self.training_env, self.metrics.feature_std, self.model.num_timesteps)
        numbers, self._n_seen = [*self._kept(self._n_seen), self._n_seen], self._n_seen + 1
        rows = np.flatnonzero(np.isin(numbers, self._kept(self._n_seen)))
        self.history = new if self.history is None else self.history.followed_by(new).rows(rows)
        self._content = self.history.to_bytes()
        self._write()
        write_features(self.logger, self.history)

    def _write(self) -> None:
        with atomic_write(self.folder / FEATURES) as file:
            file.write(self._content)

    def _kept(self, n_seen: int) -> list[int]:
        n_features = self.model.observation_space.shape[0]
        return kept(n_seen, min(max(_MOST_NUMBERS // n_features, _FEW_RECORDS), _MOST_RECORDS))


def feature_record(model: BaseAlgorithm, env: VecEnv, feature_std: np.ndarray | None, num_timesteps: int) -> FeatureHistory:
    """What a SAC or TD3 model reads at one moment: a history of one record.

    Args:
        model: sparse or dense.
        env: its training environments; the first tells order and real features.
        feature_std: float ``(F,)``; None where it is not known, which counts as ones.
        num_timesteps: environment steps done.
    """
    n_features = model.observation_space.shape[0]
    relevant = relevant_features(env)
    std = np.ones(n_features) if feature_std is None else feature_std
    nets = networks(model)
    return FeatureHistory(
        timesteps=np.array([num_timesteps], np.int64),
        permutation=np.array([current_permutation(env)], np.int64),
        relevant=np.array([[] if relevant is None else relevant], np.int64),
        feature_std=std[None].astype(np.float32),
        links={name: fan_out(first_layer(net))[None, :n_features].astype(np.int32) for name, net in nets.items()},
        strength={name: feature_strength(net)[None, :n_features].astype(np.float32) for name, net in nets.items()},
    )


def kept(n_seen: int, most: int) -> list[int]:
    """Which of so many records are kept, at most ``most``: every first, second, fourth, ... one, and the newest.

    Example:
        >>> kept(4, most=4), kept(5, most=4), kept(6, most=4)
        ([0, 1, 2, 3], [0, 2, 4], [0, 2, 4, 5])
    """
    stride = 1
    while len(range(0, n_seen, stride)) + bool((n_seen - 1) % stride) > most:
        stride *= 2
    return sorted({*range(0, n_seen, stride), *range(n_seen)[-1:]})

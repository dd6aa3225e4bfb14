"""What agents have in common that read some of the features and no others, and change which."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from ..sparse.convert import layer_seed
from ..sparse.feature_links import link_features, move_features, redraw
from ..sparse.linear import SparseLinear
from .networks import first_layer, networks, require_plain_vectors, target_networks
from .quiet_start import gains_and_centres

_TAG = "reader"  # keeps these draws apart from those of the links at the start


class FeatureReader(BaseCallback):
    """Base of callbacks that link the first layers of SAC's or TD3's actor and critics to features that they choose.

    Chosen features are linked to all neurons of the first layers; links to others do not exist. A model that was trained
    like that before goes on with the features that it reads. Logs ``reader/features`` (how many are read) and
    ``reader/moves``.

    Args:
        verbose: See SB3.

    Attributes:
        accepted: bool ``(n_features,)``; None before training.
        n_moves: How often what is read has been chosen anew after the first time.

    Raises:
        ValueError: When training starts, if a first layer is not sparse or is rewired, or if observations are not vectors
            that it reads as they are.
    """

    def __init__(self, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.accepted: np.ndarray | None = None
        self.n_moves = 0
        self._taken_up: OffPolicyAlgorithm | None = None

    def _init_callback(self) -> None:
        require_plain_vectors(self.model, "to choose among their features")
        evolutions = getattr(self.model.policy, "evolutions", {}).values()
        rewired = {layer for evolution in evolutions for layer in evolution.layers.values()}
        for name, layer in self._first_layers().items():
            if not isinstance(layer, SparseLinear):
                raise ValueError(f"the first layer of {name} must be sparse to choose what it reads: give it input_density")
            if layer in rewired:
                raise ValueError(f"recipe must leave the links of the first layer of {name} to who chooses: take 'sift'")
        self.model.policy.has_reader = True
        if self._taken_up is not self.model:
            self._take_up()
            self._taken_up = self.model

    def _take_up(self) -> None:
        """Begin with a model that this callback has not trained yet."""
        self.accepted, self.n_moves = self._linked_already(), 0

    def _linked_already(self) -> np.ndarray:
        """The features that a trained model reads, if it reads those alone and all in each network; else none."""
        n_features = self.model.observation_space.shape[0]
        layers = list(self._first_layers().values())
        read = layers[0].topology.fan_out()[:n_features] > 0
        is_chosen = all((layer.topology.fan_out()[:n_features] == read * layer.out_features).all() for layer in layers)
        return read & (is_chosen and self.model._n_updates > 0)

    def get_state(self) -> dict[str, Any]:
        """What is read, and how often that was chosen anew, as plain values and arrays."""
        return {"accepted": self.accepted, "n_moves": self.n_moves}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`, once training has started."""
        self.accepted, self.n_moves = state["accepted"], state["n_moves"]

    def _on_step(self) -> bool:
        # In every step: SB3 forgets what it has written.
        self.logger.record("reader/features", int(self.accepted.sum()))
        self.logger.record("reader/moves", self.n_moves)
        return True

    def start_anew(self, accepted: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Read these features from now on, with links drawn anew, and those of the actions too where none was chosen before.

        Args:
            accepted: bool ``(n_features,)``.
            rows: int64 ``(n,)``: of the replay, where the features' means and standard deviations are measured. With them a
                network starts as one whose inputs are standardised, and quietly. None: as one that reads them as they are.
        """
        is_first = not self.accepted.any()
        self.n_moves += not is_first
        self.link(accepted)
        rows = np.empty(0, np.int64) if rows is None else rows
        gains, centres = gains_and_centres(self.model, np.flatnonzero(accepted), rows)
        for name, layer in self._first_layers().items():
            rng = np.random.default_rng([*layer_seed(th.initial_seed(), f"{_TAG}.{name}"), self.n_moves])
            chosen = None if is_first else np.flatnonzero(accepted)
            n_actions = layer.in_features - len(accepted)
            of_layer = {
                "gains": np.pad(gains, (0, n_actions), constant_values=1),
                "centres": np.pad(centres, (0, n_actions)),
            }
            redraw(layer, rng, features=chosen, targets=self._targets(name), **of_layer)

    def link(self, accepted: np.ndarray) -> None:
        """Read these features from now on; those that are read already go on as they are, links to others start at zero.

        Args:
            accepted: bool ``(n_features,)``.
        """
        self.accepted = accepted
        for name, layer in self._first_layers().items():
            link_features(layer, self._read_by(layer), optimizer=self._optimizer(name), targets=self._targets(name))

    def carry(self, accepted: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
        """Read these features from now on, some of them with the links that others had; links to the rest start at zero.

        Args:
            accepted: bool ``(n_features,)``.
            old: int64 ``(n,)``: features that give their links away.
            new: int64 ``(n,)``: the accepted features that get them, in the same order.
        """
        self.accepted = accepted
        self.n_moves += 1
        for name, layer in self._first_layers().items():
            sources = np.where(np.arange(layer.in_features) < len(accepted), -1, np.arange(layer.in_features))
            sources[new] = old
            features, optimizer = self._read_by(layer), self._optimizer(name)
            move_features(layer, features, sources[features], optimizer=optimizer, targets=self._targets(name))

    def _read_by(self, layer: SparseLinear) -> np.ndarray:
        """What a first layer reads: behind the features a critic has the actions, all of which matter."""
        return np.concatenate([np.flatnonzero(self.accepted), np.arange(len(self.accepted), layer.in_features)])

    def _optimizer(self, name: str) -> th.optim.Optimizer:
        return self.model.actor.optimizer if name == "actor" else self.model.critic.optimizer

    def _first_layers(self) -> dict[str, nn.Module]:
        return {name: first_layer(network) for name, network in networks(self.model).items()}

    def _targets(self, name: str) -> list[SparseLinear]:
        """The first layers of the target networks of the actor or of a critic, of which SAC's actor has none."""
        targets = target_networks(self.model)
        return [first_layer(targets[name])] if name in targets else []

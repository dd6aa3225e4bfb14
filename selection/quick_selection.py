"""QuickSelection: what a sparse denoising autoencoder listens to are the features worth keeping."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from ..sparse.convert import sparse_layers, sparsify
from ..sparse.density import ErdosRenyiEpsilon
from ..sparse.evolution import evolve
from ..sparse.strength import feature_strength

# What each number must be, and a test of it.
_POSITIVE = ("positive and finite", lambda value: 0 < value < np.inf)
_NOT_NEGATIVE = ("finite and not negative", lambda value: 0 <= value < np.inf)
_BELOW_ONE = ("in [0, 1)", lambda value: 0 <= value < 1)
_COUNT = ("a whole number, 1 or more", lambda value: isinstance(value, Integral) and value >= 1)
_RULES = {
    "n_features": _COUNT,
    "hidden_units": _COUNT,
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "epsilon": _POSITIVE,
    "fraction": ("in [0, 1]", lambda value: 0 <= value <= 1),
    "noise_std": _NOT_NEGATIVE,
    "dropout": _BELOW_ONE,
    "learning_rate": _POSITIVE,
    "momentum": _BELOW_ONE,
    "weight_decay": _NOT_NEGATIVE,
}


class QuickSelection(SelectorMixin, BaseEstimator):
    """Select features without labels, by the neuron strength of a sparse autoencoder's inputs.

    The autoencoder learns to restore standardised samples from noisy ones, and is rewired by SET after each epoch but the
    last: its few links gather at features that help to restore others. The sum of a feature's absolute weights, its
    strength, ranks it. One training ranks all features. Links must be few for each feature, ``epsilon`` small: where they
    are plenty, features of noise, which can be restored from nothing but themselves, are the strongest.

    A transformer as scikit-learn's others: ``fit``, ``transform``, ``get_support``, clones, pipelines.

    Args:
        n_features: How many features to select.
        hidden_units: Neurons of the one hidden layer (sigmoid); the output is linear.
        epsilon: A layer has ``epsilon * (in + out)`` links, at most all: with a large one the autoencoder is dense.
        fraction: Of the links that are replaced after an epoch, in [0, 1]; ζ in the paper. 0: the links stay.
        noise_std: Standard deviation of the noise on the standardised samples.
        dropout: Of the hidden neurons, in [0, 1).
        epochs: Passes over the samples. 10 and 100 in the paper.
        batch_size: Samples in an update.
        learning_rate: Of stochastic gradient descent on half the squared error of a sample, summed over its features.
        momentum: In [0, 1).
        weight_decay: L2.
        random_state: Seed of everything drawn, as in scikit-learn; torch's own generators are left as they are.

    Attributes:
        strength_: float64 ``(n_features_in_,)``.
        ranking_: int64 ``(n_features_in_,)``: 1 for the strongest feature, and so on; ties are broken at random.
        n_features_in_: Features seen in ``fit``.

    Raises:
        ValueError: From ``fit``, as scikit-learn has it: if an argument is out of its range, if fewer than ``n_features``
            features are given, or if training diverges.

    Source:
        Atashgahi et al., Quick and Robust Feature Selection (Machine Learning 2022), Algorithm 1. Deviations: noise and
        order are drawn anew in each epoch (the code draws the noise once); grown links start at 0 (normal); strengths are
        of the trained network (the code takes those of the last but one epoch, before growth); samples are always
        standardised (scaled to [0, 1] for two of the paper's data sets), and the output always linear (tanh for Madelon).

    Example:
        >>> from sklearn.datasets import make_classification
        >>> X, _ = make_classification(1000, 300, n_informative=5, n_redundant=15, shuffle=False, random_state=0)
        >>> selector = QuickSelection(n_features=10, epochs=10, batch_size=20, random_state=0).fit(X)
        >>> selector.transform(X).shape, bool((selector.get_support(indices=True) < 20).all())
        ((1000, 10), True)
    """

    def __init__(
        self,
        n_features: int = 50,
        *,
        hidden_units: int = 1000,
        epsilon: float = 13.0,
        fraction: float = 0.2,
        noise_std: float = 0.2,
        dropout: float = 0.2,
        epochs: int = 100,
        batch_size: int = 100,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 1e-5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_features = n_features
        self.hidden_units = hidden_units
        self.epsilon = epsilon
        self.fraction = fraction
        self.noise_std = noise_std
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.random_state = random_state

    def _check(self) -> None:
        for name, (wanted, holds) in _RULES.items():
            value = getattr(self, name)
            if not (isinstance(value, Real) and holds(value)):
                raise ValueError(f"{name} must be {wanted}, got {value!r}")

    def fit(self, X: Any, y: Any = None) -> QuickSelection:  # noqa: N803 - as all of scikit-learn calls it
        """Train the autoencoder and rank the features.

        Args:
            X: Samples, ``(n_samples, n_features_in_)``.
            y: Not used.
        """
        self._check()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)  # noqa: N806
        if self.n_features > X.shape[1]:
            raise ValueError(f"n_features={self.n_features} is more than the {X.shape[1]} features of X")
        std = X.std(axis=0)
        samples = torch.from_numpy(((X - X.mean(axis=0)) / np.where(std > 0, std, 1.0)).astype(np.float32))
        random_state = check_random_state(self.random_state)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(random_state.randint(2**31))
            strength = feature_strength(self._train(samples))
        if not np.isfinite(strength).all():
            raise ValueError(f"training diverged at learning_rate={self.learning_rate}: give a smaller one")
        self.strength_ = strength
        strongest_first = np.lexsort((random_state.random_sample(len(self.strength_)), -self.strength_))
        self.ranking_ = np.empty(len(self.strength_), np.int64)
        self.ranking_[strongest_first] = np.arange(1, len(self.strength_) + 1)
        return self

    def _train(self, samples: torch.Tensor) -> nn.Module:
        width = samples.shape[1]
        net = nn.Sequential(
            nn.Linear(width, self.hidden_units),
            nn.Sigmoid(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden_units, width),
        )
        sparsify(net, ErdosRenyiEpsilon(self.epsilon))
        optimizer = torch.optim.SGD(
            net.parameters(), lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay
        )
        epoch_updates = -(-len(samples) // self.batch_size)
        if sparse_layers(net) and self.fraction > 0 and self.epochs > 1:
            last = (self.epochs - 1) * epoch_updates
            evolve(net, optimizer, "set", period_updates=epoch_updates, fraction=self.fraction, stop_updates=last)
        for _ in range(self.epochs):
            for batch in samples[torch.randperm(len(samples))].split(self.batch_size):
                restored = net(batch + self.noise_std * torch.randn_like(batch))
                loss = (restored - batch).square().sum() / (2 * len(batch))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return net

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "ranking_")
        return self.ranking_ <= self.n_features

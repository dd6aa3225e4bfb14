"""Run an actor that ``siftrl-export`` wrote as npz. Needs numpy alone: copy this file to where the actor is to run.

    actor = Actor("model.npz")
    action = actor(observation)                      # float32 (n_features,), or (batch, n_features)
    action = actor.act(observation[actor.reads])     # the same from the features that it reads alone

MIT licence, as the rest of SiftRL.
"""

import numpy as np

FORMAT = 1
# Below this share of links in a layer, adding them up one by one is quicker than a product with a dense matrix: of 1 700
# inputs, 1 % take 11 µs instead of 29, and 5 % as long as that.
_FEW = 0.04


class Actor:
    """An actor: from an observation to the action.

    Args:
        file: A path or an open file.

    Attributes:
        n_features: Length of an observation.
        reads: int32 ``(n_reads,)``: the features that the actor reads; it needs no other.
        low: float32 ``(n_actions,)``: the least actions.
        high: float32 ``(n_actions,)``: the largest.

    Raises:
        ValueError: If the file is of another format.
    """

    def __init__(self, file):
        with np.load(file, allow_pickle=False) as arrays:
            form = int(arrays["format"]) if "format" in arrays else None
            if form != FORMAT:
                raise ValueError(f"the file has format {form}, this runner reads format {FORMAT}.")
            self.n_features, self.reads = int(arrays["n_features"]), arrays["reads"]
            self.low, self.high = arrays["low"], arrays["high"]
            n_inputs, self._layers = len(self.reads), []
            for number, activation in enumerate(arrays["activations"]):
                names = ("weight", "bias", "indptr", "indices")
                stored = [arrays.get(f"layer{number}/{name}") for name in names]
                self._layers.append((_product(n_inputs, *stored), str(activation)))
                n_inputs = len(stored[1])

    def __call__(self, observation):
        """The action for an observation ``(n_features,)``, or the actions for ``(batch, n_features)``; float32."""
        observation = np.asarray(observation, np.float32)
        if observation.shape[-1] != self.n_features:
            raise ValueError(f"an observation has {self.n_features} features, not {observation.shape[-1]}.")
        if observation.ndim > 1:
            return np.stack([self(row) for row in observation])
        return self.act(observation[self.reads])

    def act(self, readings):
        """The action for the values of the features ``reads``, float32 ``(n_reads,)``."""
        x = readings
        for product, activation in self._layers:
            x = product(x)
            if activation == "relu":
                np.maximum(x, 0, out=x)
            elif activation == "tanh":
                np.tanh(x, out=x)
        return self.low + 0.5 * (x + 1) * (self.high - self.low)


def _product(n_inputs, weight, bias, indptr, indices):
    """What computes a layer's ``W x + b``."""
    if indptr is None:
        return lambda x: weight @ x + bias
    n_links = np.diff(indptr)
    if len(weight) >= _FEW * len(bias) * n_inputs:
        dense = np.zeros((len(bias), n_inputs), np.float32)
        dense[np.repeat(np.arange(len(bias)), n_links), indices] = weight
        return lambda x: dense @ x + bias
    linked, columns = np.flatnonzero(n_links), indices.astype(np.intp)
    starts = indptr[linked]

    def product(x):
        out = bias.copy()
        out[linked] += np.add.reduceat(x[columns] * weight, starts)
        return out

    return product

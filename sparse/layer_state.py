"""What drop and grow rules see of a layer at a rewiring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .topology import Topology


@dataclass(frozen=True, eq=False)
class LayerState:
    """A layer at a rewiring, in numpy: rules know of no modules and no optimisers.

    Attributes:
        topology: Its links, before the rewiring.
        weight: Their weights, float32 ``(n_links,)``.
        gradient: The loss's gradient for them, float32 ``(n_links,)``; None where no backward has passed.
        moments: For rules with ``decays``: for each power p = 1, 2, … the weighted mean of the p-th powers of the gradient
            of all places over the rule's window, float32 ``(size,)`` in the order of positions.
        tried: For rules that ask for it: bool ``(size,)``, true where there is or ever was a link.
        evidence: How strongly another network reads each input feature, float ``(in_features,)``; None where there is no
            such network.

    Example:
        >>> topology = Topology.from_mask(np.array([[True, False, True], [False, False, True]]))
        >>> LayerState(topology, np.array([1.0, 2.0, -3.0])).strength().tolist()
        [1.0, 0.0, 5.0]
    """

    topology: Topology
    weight: np.ndarray
    gradient: np.ndarray | None = None
    moments: tuple[np.ndarray, ...] = ()
    tried: np.ndarray | None = None
    evidence: np.ndarray | None = None

    def strength(self) -> np.ndarray:
        """Neuron strength of each input feature, float64 ``(in_features,)``: the sum of its links' absolute weights.

        Source:
            Atashgahi et al., "Quick and Robust Feature Selection" (2022).
        """
        return np.bincount(self.topology.inputs, np.abs(self.weight), minlength=self.topology.shape[1])

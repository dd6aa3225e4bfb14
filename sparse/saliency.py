"""Layer densities from a gradient: where the weights that matter for the loss are, there the links go."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import nn

from .convert import dense_layers
from .density import Explicit
from .density_rule import require_density


@torch.no_grad()
def snip(net: nn.Module, density: float, layers: Collection[str] | None = None) -> Explicit:
    """SNIP's layer densities: each layer's share in the weights that matter most for the loss.

    The saliency of a weight is ``|w * dL/dw|`` with the gradient that is in ``weight.grad``, of one batch or of several
    whose backward passes have added up. The most salient weights of all layers together are counted layer by layer, and
    only the counts are kept: which links a layer gets is drawn at random. Weights that tie for the last
    places count in part.

    Args:
        net: A dense network after ``backward``; not changed.
        density: Links of all layers over places of all layers, in (0, 1].
        layers: Names of the layers that share the density. None: all.

    Returns:
        The rule, for ``sparsify(net, rule, layers=layers)``; its links are the budget to within half a link a layer.

    Raises:
        ValueError: If a layer has no finite gradient or would get no link, the network has none to convert, a name is
            unknown, or ``density`` is outside (0, 1].

    Source:
        Lee et al., "SNIP: Single-shot Network Pruning based on Connection Sensitivity" (2019), Algorithm 1; ratios alone:
        Liu et al., "The Unreasonable Effectiveness of Random Pruning" (2022).

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False))
        >>> for layer, weight in zip(net, ([[3.0, 0.5]], [[2.0], [1.0]]), strict=True):
        ...     _ = layer.weight.data.copy_(torch.tensor(weight))
        >>> net(torch.ones(1, 2)).sum().backward()  # saliencies 9, 1.5 and 7, 3.5
        >>> snip(net, density=0.75)
        Explicit(densities=(('0', 0.5), ('1', 1.0)), default=1.0)
    """
    require_density("density", density)
    saliencies = {name: _saliency(name, layer) for name, layer in dense_layers(net, layers).items()}
    everything = np.concatenate(list(saliencies.values()))
    n_links = round(density * everything.size)
    threshold = np.partition(everything, -max(n_links, 1))[-max(n_links, 1)]
    above = {name: np.count_nonzero(saliency > threshold) for name, saliency in saliencies.items()}
    tied = {name: np.count_nonzero(saliency == threshold) for name, saliency in saliencies.items()}
    share = (n_links - sum(above.values())) / sum(tied.values())
    counts = {name: above[name] + share * tied[name] for name in saliencies}
    for name, count in counts.items():
        if round(count) < 1:
            raise ValueError(f"density={density} leaves layer {name!r} without a link: its weights are not salient enough")
    return Explicit({name: float(count / saliencies[name].size) for name, count in counts.items()})


def _saliency(name: str, layer: nn.Module) -> np.ndarray:
    weight = layer.weight
    if weight.grad is None or not weight.grad.isfinite().all():
        raise ValueError(f"layer {name!r} of net has no finite gradient: run backward on a batch of data first")
    return (weight * weight.grad).abs().flatten().float().cpu().numpy()

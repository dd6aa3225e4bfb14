"""What a run's networks and its replay cost, beside dense networks and a replay of whole observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..training.config import RunConfig
from ..training.memory import human_bytes
from .saved_model import SavedLayer

_MOMENTS = 8  # bytes that Adam keeps for each weight


class CostRow(NamedTuple):
    """One kind of cost: what it is, of this run, of its dense equivalent, and the share, as text."""

    what: str
    here: str
    dense: str
    share: str


def cost_rows(layers: Sequence[SavedLayer], config: RunConfig) -> list[CostRow]:
    """The costs of the networks with ``layers`` in a run with ``config``.

    FLOPs are counted as in :mod:`siftrl.sparse.diagnostics`: two for each link and row of input, three times as many in an
    update; dense gradients that some methods read now and then are left out.

    Args:
        layers: Of actor, critics and their targets; at least one of an actor.
        config: The run's options.
    """
    trained = [layer for layer in layers if not layer.is_target]
    actor = [layer for layer in trained if layer.network == "actor"]
    here = [sum(layer.links for layer in of) for of in (trained, actor)]
    dense = [sum(layer.places for layer in of) for of in (trained, actor)]
    moments = _MOMENTS * here[0], _MOMENTS * dense[0]
    memory = sum(layer.nbytes for layer in layers) + moments[0], sum(layer.dense_nbytes for layer in layers) + moments[1]
    return [
        _row("links of actor and critics", here[0], dense[0]),
        _row("FLOPs of an action", 2 * here[1], 2 * dense[1]),
        _row("FLOPs of an update, per transition of the batch", 6 * here[0], 6 * dense[0]),
        _row("memory of networks, targets and the moments of Adam", *memory, as_bytes=True),
        _replay_row(actor, config),
    ]


def _row(what: str, here: int, dense: int, *, as_bytes: bool = False) -> CostRow:
    words = [human_bytes(count) if as_bytes else f"{count:,}" for count in (here, dense)]
    return CostRow(what, *words, f"{here / dense:.1%}")


def _replay_row(actor: Sequence[SavedLayer], config: RunConfig) -> CostRow:
    from gymnasium import spaces

    from ..agents.replay import replay_nbytes

    n_features, n_actions = actor[0].shape[1], actor[-1].shape[0]
    actions = spaces.Box(-1.0, 1.0, (n_actions,))
    n_real = real_features(n_features, config.noise)
    sizes = (replay_nbytes(config.buffer_size, stored, actions, config.n_envs) for stored in (n_real, n_features))
    return _row("replay when full, beside one of whole observations", *sizes, as_bytes=True)


def real_features(n_features: int, noise: float) -> int:
    """How many of so many features are the task's own.

    Args:
        n_features: Real ones and noise together.
        noise: Fraction of noise.

    Raises:
        ValueError: Where no number of real features makes so many.

    Example:
        >>> real_features(1700, 0.99), real_features(170, 0.9), real_features(17, 0.0)
        (17, 17, 17)
    """
    from ..envs.noise import total_features

    about = round(n_features * (1 - noise))  # the total was rounded up, so this is right or one too many
    for n_real in (about, about - 1):
        if n_real >= 1 and total_features(n_real, noise) == n_features:
            return n_real
    raise ValueError(f"noise {noise:g} makes no task of {n_features:,} features.")

"""What a saved model tells without being loaded: its layers and versions. Nothing is unpickled, and no agent is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..training.archive import open_archive

_WEIGHTS = "policy.pth"
_SYSTEM = "system_info.txt"
_MOST_LINES = 20
_TARGETS = "target"


@dataclass(frozen=True)
class SavedLayer:
    """A linear layer of a saved model.

    Attributes:
        network: "actor", or "qf0", "qf1", … for a critic.
        name: Qualified name within the network.
        shape: ``(out_features, in_features)``.
        links: Weights that exist.
        nbytes: Of its weights, biases and the places of its links.
        is_target: Whether it belongs to a target network, which learns nothing by itself.
    """

    network: str
    name: str
    shape: tuple[int, int]
    links: int
    nbytes: int
    is_target: bool

    @property
    def places(self) -> int:
        """Links of the dense layer."""
        return self.shape[0] * self.shape[1]

    @property
    def dense_nbytes(self) -> int:
        """Bytes of the dense layer in float32."""
        return 4 * (self.places + self.shape[0])


def saved_layers(path: Path) -> list[SavedLayer]:
    """The linear layers of the SAC or TD3 model at ``path``, targets included, in the order in which they were saved.

    Raises:
        ValueError: Where its weights cannot be read or are not those of linear layers.
    """
    weights = _weights(path)
    try:
        layers = [_layer(name.removesuffix(".weight"), weights) for name in weights if name.endswith(".weight")]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the weights of {path} are not those of linear layers: {error!r}") from error
    if not any(layer.network == "actor" for layer in layers) or any(layer.places < 1 for layer in layers):
        raise ValueError(f"the weights of {path} are not those of an actor and its critics.")
    return layers


def saved_versions(path: Path) -> dict[str, str]:
    """What the model at ``path`` was saved with, by name, such as "PyTorch"; empty where it does not say.

    Raises:
        ValueError: Where it is no intact zip.
    """
    with open_archive(path) as archive:
        text = archive.read(_SYSTEM).decode(errors="replace") if _SYSTEM in archive.namelist() else ""
    lines = [line.removeprefix("- ").partition(": ") for line in text.splitlines()[:_MOST_LINES]]
    return {name: value for name, _, value in lines if value}


def _weights(path: Path) -> dict[str, Any]:
    import torch

    with open_archive(path) as archive:
        try:
            with archive.open(_WEIGHTS) as file:
                weights = torch.load(file, map_location="cpu", weights_only=True)
            return dict(weights)
        except Exception as error:
            # Foreign content has torch raise anything, over many lines.
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"cannot read the weights of {path}: {type(error).__name__}: {reason}") from error


def _layer(name: str, weights: dict[str, Any]) -> SavedLayer:
    weight, bias, indptr = weights[f"{name}.weight"], weights[f"{name}.bias"], weights.get(f"{name}.indptr")
    n_in = weight.shape[1] if indptr is None else len(indptr) - 1
    tensors = [weights.get(f"{name}.{part}") for part in ("weight", "bias", "indptr", "neurons")]
    owner, _, rest = name.partition(".")
    network, _, layer = rest.partition(".") if owner.startswith("critic") else (owner.removesuffix("_target"), "", rest)
    return SavedLayer(
        network=network,
        name=layer,
        shape=(len(bias), n_in),
        links=weight.numel(),
        nbytes=sum(tensor.nbytes for tensor in tensors if tensor is not None),
        is_target=owner.endswith(_TARGETS),
    )

"""The formats of an exported actor; light, so that a wrong name is answered before torch is loaded."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..names import known


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        suffix: Of its files.
        module: In this package, with ``encode(actor) -> bytes`` and ``runtime(bytes)``, which gives a function from
            observations ``(batch, n_features)`` to actions.
        needs: Packages that are not among those that siftrl always has.
    """

    suffix: str
    module: str
    needs: tuple[str, ...] = ()

    def loaded(self) -> ModuleType:
        """The module."""
        return importlib.import_module(f".{self.module}", __package__)


FORMATS = {
    "npz": Format(".npz", "npz"),
    "onnx": Format(".onnx", "onnx_graph", needs=("onnx", "onnxruntime")),
    "torchscript": Format(".pt", "torchscript"),
    "pt2": Format(".pt2", "pt2"),
}


def format_of(name: str | None, path: Path | None) -> str:
    """The format that a name and a path mean, either of which may be missing.

    Raises:
        ValueError: If name or suffix are no format's or contradict each other, or packages are missing.

    Example:
        >>> format_of(None, Path("actor.pt2")), format_of(None, None)
        ('pt2', 'npz')
        >>> format_of("npz", Path("actor.onnx"))
        Traceback (most recent call last):
            ...
        ValueError: the output of format npz must end in .npz, not 'actor.onnx'.
    """
    if name is None:
        by_suffix = {format.suffix: name for name, format in FORMATS.items()}
        if path is not None and path.suffix not in by_suffix:
            raise ValueError(f"the output must end in {', '.join(by_suffix)}, not {path.name!r}.")
        name = "npz" if path is None else by_suffix[path.suffix]
    else:
        suffix = FORMATS[known(name, FORMATS, "format")].suffix
        if path is not None and path.suffix != suffix:
            raise ValueError(f"the output of format {name} must end in {suffix}, not {path.name!r}.")
    missing = [package for package in FORMATS[name].needs if importlib.util.find_spec(package) is None]
    if missing:
        raise ValueError(f"the format {name} needs {' and '.join(missing)}: pip install 'siftrl[export]'.")
    return name

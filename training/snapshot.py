"""Snapshots: nested dicts and lists of plain values and arrays, as JSON and npy members of an archive, without pickles."""

from __future__ import annotations

import json
import zipfile
from collections import deque
from typing import Any

import numpy as np

from .sealed import UNREADABLE, SealedWriter, read_array

_JSON, _ARRAY = "state.json", "npy"


def write_snapshot(archive: SealedWriter, tree: Any) -> None:
    """Write ``tree`` into ``archive``.

    Args:
        archive: where to.
        tree: dicts with string keys, lists, tuples and deques of ``None``, booleans, numbers, strings, NumPy scalars and
            arrays.

    Raises:
        TypeError: for values of other kinds.
    """
    arrays: list[np.ndarray] = []

    def replaced(leaf: Any) -> Any:
        if isinstance(leaf, deque):
            return list(leaf)
        if not isinstance(leaf, np.ndarray | np.generic):
            raise TypeError(f"a snapshot holds plain values and arrays, not {leaf!r}")
        arrays.append(np.asarray(leaf))
        return {_ARRAY: _member(len(arrays) - 1)}

    text = json.dumps(tree, default=replaced)
    archive.write(_JSON, text.encode())
    for number, array in enumerate(arrays):
        archive.write_array(_member(number), array)


def array_nbytes(tree: Any) -> int:
    """Bytes of the arrays in such a tree.

    Example:
        >>> array_nbytes({"a": [np.zeros(3), {"b": np.zeros(2, np.uint8)}], "c": 1})
        26
    """
    if isinstance(tree, dict | list | tuple | deque):
        return sum(map(array_nbytes, tree.values() if isinstance(tree, dict) else tree))
    return tree.nbytes if isinstance(tree, np.ndarray) else 0


def read_snapshot(archive: zipfile.ZipFile) -> Any:
    """Read what :func:`write_snapshot` wrote; tuples and deques come back as lists, NumPy scalars as such.

    Raises:
        ValueError: where it is something else.
    """

    def restored(node: dict[str, Any]) -> Any:
        if node.keys() != {_ARRAY}:
            return node
        return read_array(archive, node[_ARRAY])[()]

    try:
        return json.loads(archive.read(_JSON), object_hook=restored)
    except UNREADABLE as error:
        raise ValueError(f"the state in {archive.filename} cannot be read: {error}") from error


def _member(number: int) -> str:
    return f"state/{number}.npy"

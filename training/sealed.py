"""Sealed archives: zips with a manifest of their members' checksums, and of the versions that wrote them."""

from __future__ import annotations

import contextlib
import json
import math
import platform
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .zip_size import require_sensible_size

MANIFEST = "manifest.json"
FORMAT = 2
_PACKAGES = ("gymnasium", "mujoco", "numba", "numpy", "stable_baselines3", "torch")
# What reading a damaged or forged zip raises.
UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)
_CHUNK = 2**22  # bytes read or written at a time


def versions() -> dict[str, str]:
    """The versions that decide the bits of a run."""
    from .. import __version__

    return {"siftrl": __version__, "python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


class SealedWriter:
    """Writes a zip (stored, not compressed) whose last member is its manifest. Arrays go to the file in small pieces.

    Args:
        file: open for writing in binary, seekable.
        num_timesteps: environment steps done, for the manifest.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> with SealedWriter(file, num_timesteps=7) as archive:
        ...     archive.write_array("a.npy", np.arange(3))
        >>> sorted(zipfile.ZipFile(file).namelist())
        ['a.npy', 'manifest.json']
    """

    def __init__(self, file: BinaryIO, num_timesteps: int) -> None:
        self._zip = zipfile.ZipFile(file, "w")
        self._num_timesteps = num_timesteps
        self._digests: dict[str, str] = {}

    def __enter__(self) -> SealedWriter:
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        if kind is None:
            content = {
                "format": FORMAT,
                "num_timesteps": self._num_timesteps,
                "versions": versions(),
                "sha256": self._digests,
            }
            self._zip.writestr(MANIFEST, json.dumps(content, indent=2))
        self._zip.close()

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Add a member."""
        with self._open(name) as member:
            member.write(content)

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Add an array as a member in NumPy's ``npy`` format.

        Raises:
            ValueError: for an array of Python objects, which only a pickle could hold.
        """
        with self._open(name) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[_Hashed]:
        with self._zip.open(name, "w", force_zip64=True) as member:
            hashed = _Hashed(member)
            yield hashed
        self._digests[name] = hashed.digest.hexdigest()


class _Hashed:
    """What is written here goes to a file and into a checksum."""

    def __init__(self, file: Any) -> None:
        self._file, self.digest = file, sha256()

    def write(self, content: bytes | memoryview) -> int:
        """Write ``content``, and return how many bytes of it the file took."""
        self.digest.update(content)
        return self._file.write(content)


def check_seal(path: Path) -> dict[str, Any]:
    """Read a whole sealed archive, and compare its members with its manifest.

    Returns:
        The manifest.

    Raises:
        ValueError: where the file is unreadable, cut, or changed, naming the first member that is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            require_sensible_size(archive)
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']}, this version reads format {FORMAT}.")
            if not isinstance(manifest["versions"], dict):
                raise ValueError("its manifest says nothing about versions.")
            for name, digest in manifest["sha256"].items():
                if _digest(archive, name) != digest:
                    raise ValueError(f"its member {name} does not match its checksum.")
    except UNREADABLE as error:
        raise ValueError(f"the checkpoint {path} is damaged: {error}") from error
    return manifest


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    digest = sha256()
    with archive.open(name) as member:
        while chunk := member.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_array_into(archive: zipfile.ZipFile, name: str, target: np.ndarray) -> None:
    """Read an ``npy`` member straight into the first rows of ``target``.

    Args:
        archive: the open zip.
        name: the member.
        target: C-contiguous, of the saved dtype, and of the saved shape but for the length of its first axis.

    Raises:
        ValueError: where the member does not fit into ``target``.
    """
    with archive.open(name) as member:
        shape, dtype = _read_header(member)
        if dtype != target.dtype or not shape or shape[1:] != target.shape[1:] or shape[0] > len(target):
            raise ValueError(f"{name} holds {dtype} of shape {shape}, where {target.dtype} of {target.shape} is expected.")
        if not target[: shape[0]].size:
            return
        rest = memoryview(target[: shape[0]]).cast("B")
        while len(rest):
            count = member.readinto(rest[:_CHUNK])
            if not count:
                raise ValueError(f"{name} ends early.")
            rest = rest[count:]


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an ``npy`` member.

    Raises:
        ValueError: for an array of Python objects, which only a pickle could hold, and for one that declares more numbers
            than there are.
    """
    with archive.open(name) as member:
        shape, dtype = _read_header(member)
    if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
        raise ValueError(f"{name} ends early.")
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _read_header(member: Any) -> tuple[tuple[int, ...], np.dtype]:
    major, _ = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    return shape, dtype

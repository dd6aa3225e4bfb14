"""Model archives: Stable-Baselines3's zip, plus a member that says which run made it and in which environment."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .atomic import atomic_write
from .config import RunConfig
from .zip_size import require_sensible_size

#: The member of a model's zip that holds its provenance.
PROVENANCE = "siftrl.json"
FORMAT = 1


@dataclass(frozen=True)
class Provenance:
    """Which run a model comes from, so that a lone zip knows its environment.

    Args:
        config: the run's options.
        permutation: number of the feature order at the moment of saving, as :func:`siftrl.envs.make_ene` counts them.
        num_timesteps: environment steps behind the model.
        planned_timesteps: environment steps that the schedules of its networks were made for; a run that is prolonged
            keeps its schedules. ``None``: as many as ``config`` says.
    """

    config: RunConfig
    permutation: int = 0
    num_timesteps: int = 0
    planned_timesteps: int | None = None

    def to_json(self) -> str:
        """As JSON, with the format's number and the version that wrote it."""
        from .. import __version__

        content = {
            "format": FORMAT,
            "siftrl": __version__,
            "permutation": self.permutation,
            "num_timesteps": self.num_timesteps,
            "planned_timesteps": self.planned_timesteps,
            "config": self.config.to_dict(),
        }
        return json.dumps(content, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: for another format or for damaged content.
        """
        content = json.loads(text)
        if content.get("format") != FORMAT:
            raise ValueError(f"its format is {content.get('format')}, this version reads format {FORMAT}.")
        numbers = {name: content.get(name) for name in ("permutation", "num_timesteps", "planned_timesteps")}
        for name, value in numbers.items():
            is_count = type(value) is int and 0 <= value < 2**63
            if not is_count and not (value is None and name == "planned_timesteps"):
                raise ValueError(f"its {name} is {value!r}, not a number of 0 or more.")
        return cls(RunConfig.from_dict(content["config"]), **numbers)


def save_model(model: Any, path: str | os.PathLike, provenance: Provenance) -> None:
    """Write ``model`` and its provenance to ``path``, atomically. ``SAC.load(path)`` of SB3 reads it like any other."""
    with atomic_write(path) as file:
        write_model(model, file, provenance)


def write_model(model: Any, file: BinaryIO, provenance: Provenance) -> None:
    """Write ``model`` and its provenance into the open, seekable ``file``."""
    model.save(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(PROVENANCE, provenance.to_json())


def read_provenance(path: Path, file: BinaryIO | Path | None = None) -> Provenance | None:
    """Which run made the zip at ``path``; ``None`` for a model that SB3 saved outside of ``train.py``.

    Args:
        path: the zip, named in messages.
        file: its content, where ``path`` only contains it.

    Raises:
        ValueError: where it is no intact model archive.
    """
    with open_archive(path, file) as archive:
        if PROVENANCE not in archive.namelist():
            return None
        try:
            return Provenance.from_json(archive.read(PROVENANCE).decode())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"cannot read which run made {path}: {error}") from error


def open_archive(path: Path, file: BinaryIO | Path | None = None) -> zipfile.ZipFile:
    """Open a zip after checking that it is one, and whole.

    Args:
        path: the zip, named in messages.
        file: its content, where ``path`` only contains it.

    Raises:
        ValueError: where it is empty, no zip, damaged, or a bomb.
    """
    try:
        if file is None and path.stat().st_size == 0:
            raise ValueError(f"the file {path} is empty.")
        archive = zipfile.ZipFile(path if file is None else file)
        _require_sensible(archive, path)
        damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"the file {path} is no intact zip: {error}") from error
    if damaged is not None:
        archive.close()
        raise ValueError(f"the zip {path} is damaged: its member {damaged} does not match its checksum.")
    return archive


def _require_sensible(archive: zipfile.ZipFile, path: Path) -> None:
    try:
        require_sensible_size(archive)
    except ValueError as error:
        archive.close()
        raise ValueError(f"the file {path} is not read: {error}") from error


@dataclass(frozen=True)
class SavedModel:
    """What a zip of SB3 says about its model without unpickling anything.

    Args:
        algorithm: ``sac``, ``td3``, ``ppo`` or ``dqn``.
        n_features: length of the observations that its policy reads; ``None`` where they are no plain vectors.
    """

    algorithm: str
    n_features: int | None


#: Hyper-parameters that only this algorithm of SB3 has; SB3's zips do not name their class.
_SIGNATURES = {
    "sac": {"target_entropy"},
    "td3": {"policy_delay"},
    "ppo": {"clip_range"},
    "dqn": {"exploration_fraction"},
}


def inspect_model(path: Path) -> SavedModel:
    """Say which algorithm's model SB3 saved at ``path`` and how many features it reads.

    Raises:
        ValueError: for a zip that is no SB3 model, and for an algorithm that is not known here.
    """
    with open_archive(path) as archive:
        if not {"data", "policy.pth"} <= set(archive.namelist()):
            raise ValueError(f"the zip {path} holds no model of Stable-Baselines3: it lacks data or policy.pth.")
        try:
            parameters = json.loads(archive.read("data"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the zip {path} holds no model of Stable-Baselines3: its data is no JSON.") from error
    if not isinstance(parameters, dict):
        raise ValueError(f"the zip {path} holds no model of Stable-Baselines3: its data is no JSON object.")
    algorithm = next((name for name, needs in _SIGNATURES.items() if needs <= parameters.keys()), None)
    if algorithm is None:
        known = ", ".join(name.upper() for name in _SIGNATURES)
        raise ValueError(f"the model {path} comes from none of the algorithms known here: {known}.")
    space = parameters.get("observation_space")
    shape = space.get("_shape") if isinstance(space, dict) else None
    return SavedModel(algorithm, shape[0] if isinstance(shape, list) and len(shape) == 1 else None)

"""The model that a path means, ready to act: where it says how it was made, nothing of it is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import __version__
from ..training.agent import saved_agent, weights_only_agent
from ..training.archive import inspect_model, read_provenance
from ..training.environments import make_vec_env
from ..training.foreign_env import require_named


def saved_model(path: Path, env_id: str | None = None, noise: float | None = None) -> tuple[Any, dict[str, Any]]:
    """Load the model at ``path`` on the CPU.

    A model of ``train.py`` is built anew from its options, with the saved weights: no code of the file can run. Another is
    loaded by SB3, which unpickles.

    Args:
        path: A zip.
        env_id: The task, for a zip of other origin; and where the zip's own would import a module, to allow that.
        noise: The fraction of noise features in that task.

    Returns:
        The model, and where it comes from in values that JSON knows.

    Raises:
        ValueError: If there is no such model, its task is not known, or it knows another one than is named.
    """
    algorithm = inspect_model(path).algorithm
    if algorithm not in ("sac", "td3"):
        raise ValueError(f"export knows the actors of SAC and TD3, not those of {algorithm.upper()}.")
    provenance = read_provenance(path)
    about = {"siftrl": __version__, "algorithm": algorithm}
    if provenance is None:
        if env_id is None:
            raise ValueError(
                f"the model {path} was not saved by train.py, so it does not know its task: name it with --env, if you "
                "trust the file, as its pickles can run any code."
            )
        about["environment"] = {"env_id": env_id, "noise_fraction": noise or 0.0}
        return saved_agent(path, make_vec_env(about["environment"], seed=0), "cpu"), about
    require_named(provenance.config.env, env_id, path)
    if noise is not None or env_id not in (None, provenance.config.env):
        raise ValueError(f"env and noise are for models of other origin: {path} was trained in {provenance.config.env}.")
    about["environment"] = provenance.config.ene_kwargs()
    about["permutation"], about["num_timesteps"] = provenance.permutation, provenance.num_timesteps
    return weights_only_agent(path, provenance, make_vec_env(about["environment"], seed=0), "cpu"), about

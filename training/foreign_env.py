"""Environment ids that come from a file: one such as ``package:Task-v0`` has Gymnasium import the package, which is code."""

from __future__ import annotations

import shlex
from pathlib import Path


def env_flag(env_id: str) -> str:
    """What a later command must add to take this id from a file: nothing, if it imports no module.

    Example:
        >>> env_flag("Hopper-v5"), env_flag("mine:Task-v0")
        ('', ' --env mine:Task-v0')
    """
    return f" --env {shlex.quote(env_id)}" if ":" in env_id else ""


def require_named(env_id: str, named: str | None, source: Path) -> None:
    """Refuse an id that would import a module, unless the user has named the same one.

    Args:
        env_id: the id in the file.
        named: the id on the command line, if any.
        source: the file.

    Raises:
        ValueError: naming the module.

    Example:
        >>> require_named("Hopper-v5", None, Path("model.zip"))
        >>> require_named("mine:Task-v0", "mine:Task-v0", Path("model.zip"))
        >>> require_named("mine:Task-v0", None, Path("model.zip"))
        Traceback (most recent call last):
            ...
        ValueError: the task mine:Task-v0 of model.zip imports the module mine: if you trust that, add --env mine:Task-v0.
    """
    flag = env_flag(env_id)
    if flag and env_id != named:
        module = env_id.partition(":")[0]
        raise ValueError(f"the task {env_id} of {source} imports the module {module}: if you trust that, add{flag}.")

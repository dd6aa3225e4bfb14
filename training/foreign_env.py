"""Environment ids that come from a file: one such as ``package:Task-v0`` has Gymnasium import the package, which is code."""

from __future__ import annotations

from pathlib import Path


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
    module, colon, _ = env_id.partition(":")
    if colon and env_id != named:
        raise ValueError(
            f"the task {env_id} of {source} imports the module {module}: if you trust that, add --env {env_id}."
        )

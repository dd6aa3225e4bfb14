"""Names that people type: which are valid, and which one was meant.

Every part of the package may use it; it uses none.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


def known(name: str, valid: Collection[str], argument: str) -> str:
    """``name``, if it is one of ``valid``.

    Args:
        name: What was given.
        valid: What could have been, such as a table's keys.
        argument: What the user calls the argument that takes the name.

    Raises:
        ValueError: If it is not, with all names that are and the closest of them.

    Example:
        >>> known("riggl", ["set", "rigl"], "recipe")
        Traceback (most recent call last):
            ...
        ValueError: recipe must be one of set, rigl, not 'riggl'. Did you mean rigl?
    """
    if name not in valid:
        raise ValueError(f"{argument} must be one of {', '.join(valid)}, not {name!r}.{did_you_mean(name, valid)}")
    return name


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """The closest of ``valid`` as a question to append to a message, whatever the case; empty where nothing is close.

    Example:
        >>> did_you_mean("hopper-v5", ["Hopper-v5", "Ant-v5"])
        ' Did you mean Hopper-v5?'
        >>> did_you_mean("xyz", ["Hopper-v5", "Ant-v5"])
        ''
    """
    by_lower_case = {other.lower(): other for other in valid}
    close = difflib.get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f" Did you mean {by_lower_case[close[0]]}?" if close else ""

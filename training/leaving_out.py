"""What a command on several runs does with those that it cannot use: it goes on, and says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class LeavingOut:
    """Leave out what cannot be used, with a line on standard error for each.

    Args:
        prog: What the user has called.

    Attributes:
        reasons: Why each was left out, in the order in which that came out.
    """

    def __init__(self, prog: str) -> None:
        self._prog = prog
        self.reasons: list[str] = []

    def each(self, work: Callable[[_Item], _Result], items: Sequence[_Item], none_left: str | None = None) -> list[_Result]:
        """What ``work`` gives for each item, but for those that it refuses with a ValueError.

        Args:
            work: Is done in order.
            items: What it is done for.
            none_left: What is wrong where nothing is left of several. None: that is as well, as it is of only one.

        Raises:
            ValueError: Where there is only one item, and it is refused; or all are, unless that is as well.

        Example:
            >>> LeavingOut("siftrl-nothing").each(int, ["1", "2"], "no number can be read.")
            [1, 2]
        """
        results = []
        for item in items:
            try:
                results.append(work(item))
            except ValueError as error:
                if len(items) == 1 and none_left is not None:
                    raise
                self.reasons.append(str(error))
                print(f"{self._prog}: left out: {error}", file=sys.stderr)
        if not results and none_left is not None:
            raise ValueError(none_left)
        return results

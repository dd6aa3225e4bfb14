"""Compiled kernels, kept on the disk where that can be written to, so that only a first process compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Compile a function with numba, when it is first called, to run without Python's global lock.

    Machine code is kept beside the source, or in the user's own cache where the installation is read-only. Where neither
    can be written to, numba refuses; the function is then compiled anew in each process.

    Args:
        **options: further ones of ``numba.njit``.

    Example:
        >>> @compiled()
        ... def doubled(x):
        ...     return 2 * x
        >>> doubled(21)
        42
    """

    def decorate(function: Callable) -> Any:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            return njit(nogil=True, **options)(function)

    return decorate

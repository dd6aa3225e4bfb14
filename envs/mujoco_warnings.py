"""Warnings of MuJoCo that no user can do anything about."""

from __future__ import annotations

import sys


def hush_deprecations() -> None:
    """Keep MuJoCo from calling settings deprecated that Gymnasium's own task files have; all else is printed as before."""
    import mujoco

    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(lambda text: None if "is deprecated" in text else print(text, file=sys.stderr))

"""Videos of an agent at work, rendered off-screen."""

from __future__ import annotations

import importlib.util
import os
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np

_GIF_FRAMES_PER_SECOND = 25
_NEEDS = {".gif": "imageio", ".mp4": "imageio_ffmpeg"}


def check_video(path: Path) -> None:
    """Check that a video can be written to ``path``.

    Raises:
        ValueError: for another suffix than .gif and .mp4, and where the packages for it are missing.
    """
    if path.suffix.lower() not in _NEEDS:
        raise ValueError(f"video must end in .gif or .mp4, not {path.name!r}.")
    for package in ("imageio", _NEEDS[path.suffix.lower()]):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"video needs the package {package}, which is missing: pip install 'siftrl[video]'")


def use_offscreen_gl() -> None:
    """Let MuJoCo render without a screen; to be called before it is imported, which reads the choice once.

    On Linux without a display MuJoCo's own first choice, a window, fails late and in obscure words.
    """
    has_screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if sys.platform != "linux" or has_screen or "MUJOCO_GL" in os.environ:
        return
    found = (name for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if find_library(library))
    os.environ["MUJOCO_GL"] = next(found, "egl")


class FirstEpisode:
    """A callback for SB3's ``evaluate_policy`` that collects the frames of the first episode.

    Attributes:
        frames: uint8 (height, width, 3) each, one for each environment step.
    """

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []
        self._over = False

    def __call__(self, locals_: dict[str, Any], _globals: dict[str, Any]) -> None:
        """Take the frame of this step.

        Raises:
            ValueError: where this machine cannot render.
        """
        # After the episode's last step the environment has already been reset: that frame belongs to the next one.
        self._over = self._over or bool(locals_["done"])
        if self._over:
            return
        try:
            frame = locals_["env"].get_images()[0]
        except Exception as error:
            # Each renderer fails in its own way, down to AttributeErrors from inside OpenGL.
            raise ValueError(
                "video cannot be rendered here: there is no OpenGL without a screen. Install libegl1 and set "
                f"MUJOCO_GL=egl, or libosmesa6 and MUJOCO_GL=osmesa ({type(error).__name__}: {error})"
            ) from error
        if frame is None:
            raise ValueError("video cannot be had of this task: it renders no images.")
        self.frames.append(frame)


def write_video(path: Path, frames: list[np.ndarray], frames_per_second: float) -> None:
    """Write ``frames`` to ``path`` at the speed of the task; a gif at half the size and about 25 frames a second."""
    import imageio.v3

    if path.suffix.lower() == ".gif":
        stride = max(1, round(frames_per_second / _GIF_FRAMES_PER_SECOND))
        imageio.v3.imwrite(
            path, [frame[::2, ::2] for frame in frames[::stride]], duration=1000 * stride / frames_per_second, loop=0
        )
    else:
        imageio.v3.imwrite(path, frames, fps=frames_per_second)

"""Videos of an agent at work, rendered off-screen."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Iterable
from ctypes.util import find_library
from pathlib import Path
from typing import Any, BinaryIO

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from .atomic import atomic_write
from .environments import relevant_features

_GIF_FRAMES_PER_SECOND = 25
_NEEDS = {".gif": (), ".mp4": ("imageio", "imageio_ffmpeg")}


def check_video(path: Path) -> None:
    """Check that a video can be written to ``path``.

    Raises:
        ValueError: for another suffix than .gif and .mp4, and where the packages for it are missing.
    """
    if path.suffix.lower() not in _NEEDS:
        raise ValueError(f"video must end in .gif or .mp4, not {path.name!r}.")
    for package in _NEEDS[path.suffix.lower()]:
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"video as .mp4 needs the package {package}, which is missing: pip install 'siftrl[video]', or film a .gif."
            )


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
    """A callback for SB3's ``evaluate_policy`` that films the first episode.

    Args:
        keep_observations: whether to keep what the agent sees, too.

    Attributes:
        frames: uint8 (height, width, 3) each, one for each environment step.
        observations: float32 (n_features,) each: what the agent sees when the task looks like the frame.
        relevant: int64 (n_real,): where the real features stand in them; ``None`` where the environment does not tell.
    """

    def __init__(self, keep_observations: bool = False) -> None:
        self.frames: list[np.ndarray] = []
        self.observations: list[np.ndarray] = []
        self.relevant: np.ndarray | None = None
        self._keeps_observations = keep_observations
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
        if not self.frames:
            follow(locals_["env"])
            self.relevant = relevant_features(locals_["env"])
        try:
            frame = locals_["env"].get_images()[0]
        except gym.error.DependencyNotInstalled as error:
            raise ValueError(f"video cannot be rendered here: {error}.") from error
        except Exception as error:
            # Each renderer fails in its own way, down to AttributeErrors from inside OpenGL.
            raise ValueError(
                "video cannot be rendered here: there is no OpenGL without a screen. On Debian or Ubuntu, install libegl1, "
                "libopengl0 and libgl1-mesa-dri; or libosmesa6, and set MUJOCO_GL=osmesa "
                f"({type(error).__name__}: {error})"
            ) from error
        if frame is None:
            raise ValueError("video cannot be had of this task: it renders no images.")
        self.frames.append(frame)
        if self._keeps_observations:
            self.observations.append(locals_["new_observations"][0])

    def check_frames(self) -> None:
        """Check that there is something to show.

        Raises:
            ValueError: where the episode was over after its first step.
        """
        if not self.frames:
            raise ValueError("video has no frame to show: the first episode was over after one step.")


def follow(env: VecEnv) -> None:
    """Look through the camera that follows the robot, where the task's model has one.

    Gymnasium's own choice stands still, and what runs has soon left the picture.
    """
    for single in getattr(env.unwrapped, "envs", ()):
        renderer = getattr(single.unwrapped, "mujoco_renderer", None)
        if renderer is not None:
            import mujoco

            # -1, which stands for Gymnasium's choice, where there is no such camera.
            renderer.camera_id = mujoco.mj_name2id(single.unwrapped.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")


def write_video(path: Path, frames: Iterable[np.ndarray], frames_per_second: float, *, full_size: bool = False) -> None:
    """Write frames to ``path`` at the speed of the task, whole or not at all; a gif at about 25 frames a second.

    Args:
        path: the file, .gif or .mp4.
        frames: uint8 (height, width, 3) each; at least one.
        frames_per_second: of the task.
        full_size: keep a gif's frames as they are, instead of halving them.
    """
    with atomic_write(path) as file:
        if path.suffix.lower() == ".gif":
            _write_gif(file, frames, frames_per_second, 1 if full_size else 2)
        else:
            _write_mp4(file, frames, frames_per_second)


def _write_mp4(file: BinaryIO, frames: Iterable[np.ndarray], frames_per_second: float) -> None:
    import imageio.v2

    with imageio.v2.get_writer(file, ".mp4", fps=frames_per_second) as video:
        for frame in frames:
            video.append_data(frame)


def _write_gif(file: BinaryIO, frames: Iterable[np.ndarray], frames_per_second: float, shrink: int) -> None:
    from PIL import Image

    stride = max(1, round(frames_per_second / _GIF_FRAMES_PER_SECOND))
    # Without dithering, whose dots change from frame to frame: they would double the file.
    pictures = [
        Image.fromarray(frame[::shrink, ::shrink]).quantize(dither=Image.Dither.NONE)
        for number, frame in enumerate(frames)
        if number % stride == 0
    ]
    # A gif counts hundredths of a second: frames of differing durations keep to the task's speed.
    ends = [round(100 * stride * number / frames_per_second) for number in range(len(pictures) + 1)]
    durations = [10 * (end - start) for start, end in itertools.pairwise(ends)]
    first, *others = pictures
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)

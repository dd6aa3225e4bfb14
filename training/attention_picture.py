"""A film's frames with what the agent attends to beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents.attention import attention
from ..envs.feature_names import feature_names
from .attention_rows import AttentionRows, attention_rows
from .video import FirstEpisode

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_HEIGHT = 480  # of a picture beside a smaller frame
_WIDTH = 400
_HEADER, _FOOTER, _MARGIN = 40, 24, 8
_TALLEST_ROW, _LEAST_ROW = 20, 10
_LABEL_WIDTH = 210
_TEXT, _FAINT, _LINE = (30, 30, 30), (165, 165, 165), (225, 225, 225)
_REAL, _NOISE = (31, 119, 180), (230, 97, 1)
_FULL_QUANTILE = 0.995  # a bar is full where so many are shorter


def with_attention(film: FirstEpisode, agent: Any, env_id: str) -> Iterator[np.ndarray]:
    """A film's frames with the agent's attention beside them.

    Args:
        film: With its observations.
        agent: A SAC or TD3 model, which has played it.
        env_id: The task, whose features are named where they are known.
    """
    observations = np.stack(film.observations)
    relevant = np.arange(observations.shape[1]) if film.relevant is None else film.relevant
    names = feature_names(env_id)
    if names is not None and len(names) != len(relevant):
        names = None
    n_rows = (max(len(film.frames[0]), _HEIGHT) - _HEADER - _FOOTER) // _LEAST_ROW
    return beside(film.frames, attention_rows(attention(agent, observations), relevant, names, n_rows))


def beside(frames: list[np.ndarray], rows: AttentionRows) -> Iterator[np.ndarray]:
    """Each frame with its bars to the right.

    Labels are drawn once; a bar is a slice of the picture.

    Args:
        frames: uint8 ``(height, width, 3)``.
        rows: As many frames of them.

    Yields:
        uint8, at least 480 pixels high, 400 wider than a frame.
    """
    height, width = max(len(frames[0]), _HEIGHT), frames[0].shape[1]
    full = float(np.quantile(rows.values.max(axis=1), _FULL_QUANTILE)) or 1.0
    step = min(_TALLEST_ROW, (height - _HEADER - _FOOTER) // len(rows.labels))
    panel = _panel(rows, height, step, full)
    left, right = _MARGIN + _LABEL_WIDTH, _WIDTH - _MARGIN
    lengths = np.rint(np.minimum(rows.values / full, 1) * (right - left)).astype(int)
    top = (height - len(frames[0])) // 2
    for frame, of_frame in zip(frames, lengths, strict=True):
        picture = np.full((height, width + _WIDTH, 3), 255, np.uint8)
        picture[top : top + len(frame), :width] = frame
        bars = picture[:, width:]
        bars[:] = panel
        for row, length in enumerate(of_frame):
            y = _HEADER + row * step
            bars[y + 1 : y + step - 1, left : left + length] = _NOISE if rows.is_noise[row] else _REAL
        yield picture


def _panel(rows: AttentionRows, height: int, step: int, full: float) -> np.ndarray:
    """What stays the same in all frames: headings, labels, and the line that bars start from."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN, 6), "What the actor listens to now", _TEXT, _font(15))
    draw.text((_MARGIN, 25), "real sensors", _REAL, _font(11))
    if rows.is_noise.any():
        draw.text((_MARGIN + 80, 25), "noise", _NOISE, _font(11))
    font = _font(min(12, step - 1))
    ever = rows.values.max(axis=0) > 0
    for row, label in enumerate(rows.labels):
        y = _HEADER + row * step + step // 2
        colour = _TEXT if ever[row] else _FAINT
        draw.text((_MARGIN + _LABEL_WIDTH - 6, y), _shortened(label, font), colour, font, anchor="rm")
    x = _MARGIN + _LABEL_WIDTH - 1
    draw.line((x, _HEADER, x, _HEADER + len(rows.labels) * step), _LINE)
    footer = f"full bar: a standard deviation moves the actions by {full:.2g} of half their range"
    draw.text((_WIDTH - _MARGIN, height - _FOOTER + 6), footer, _TEXT, _font(10), anchor="ra")
    return np.asarray(image)


def _font(size: int) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _shortened(label: str, font: FreeTypeFont) -> str:
    while font.getlength(label) > _LABEL_WIDTH - 8:
        label = label.rstrip("…")[:-1] + "…"
    return label

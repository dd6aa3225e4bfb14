"""A picture of what a network's first layer reads, over training: a row for each feature, a column for each record."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .feature_history import FeatureHistory

_WIDTH = 512  # pixels of the part that shows records
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 78, 46, 22, 22, 6
_STRIP = 8  # pixels of the bar that tells real features from noise
_PER_FEATURE = 8  # pixels, where there is room
_ROOM = {"real": 160, "noise": 320, "features": 400}  # pixels
_VIRIDIS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]])  # at its quarters
_SHADES = 241
_SCALE = np.stack([np.interp(np.linspace(0, 4, _SHADES), range(5), channel) for channel in _VIRIDIS.T], -1).round()
_OTHERS = {
    "paper": (255, 255, 255),
    "ink": (29, 33, 38),
    "real": (10, 106, 176),
    "noise": (192, 90, 0),
    "features": (110, 110, 110),
}
_PALETTE = np.vstack([_SCALE, *_OTHERS.values()]).astype(np.uint8)
_PLACE = {name: _SHADES + number for number, name in enumerate(_OTHERS)}  # in the palette


def feature_picture(history: FeatureHistory, network: str) -> Image.Image:
    """Draw how loud each feature is in a network over training.

    A feature is as loud as its strength times its standard deviation, beside the loudest feature of the same record: that
    one is yellow, one without links dark blue, and a quarter as loud is half the way (the scale is that of the square root).
    Real features come first, in the task's own order, with a blue bar; then noise, with an orange one, by its place in the
    observation. Where they are more than there is room for, a row shows the root mean square of some neighbours: one loud
    feature among many silent ones still shows, and many alike look like one. A record fills the time since the one before.
    White lines: there the order of the features had changed.

    Args:
        history: of at least one record.
        network: one of its networks.

    Returns:
        A picture with a palette, which makes files small.

    Example:
        >>> one = np.ones((1, 3), np.float32)
        >>> links, strength = {"actor": one.astype(np.int32)}, {"actor": one}
        >>> zero = np.zeros(1, np.int64)
        >>> history = FeatureHistory(zero + 10, zero, zero[None], one, links, strength)
        >>> feature_picture(history, "actor").size
        (636, 74)
    """
    kinds = _kinds(history, network)
    panels = {kind: _fitted(values, _ROOM[kind]) for kind, values in kinds.items()}
    height = _TOP + sum(len(values) + _GAP for values in panels.values()) - _GAP + _BOTTOM
    canvas = np.full((height, _LEFT + _WIDTH + _RIGHT), _PLACE["paper"], np.uint8)
    record, start = _records(history)
    moved = np.flatnonzero(np.diff(history.permutation[record]))
    top, captions = _TOP, {}
    for kind, values in panels.items():
        rows = slice(top, top + len(values))
        canvas[rows, _LEFT : _LEFT + _WIDTH] = _shade(values)[:, record]
        canvas[rows, _LEFT + moved] = _PLACE["paper"]
        canvas[rows, _LEFT - _STRIP - 2 : _LEFT - 2] = _PLACE[kind]
        captions[kind] = top, _caption(kind, kinds[kind].shape[1])
        top += len(values) + _GAP
    scale = slice(_TOP, top - _GAP)
    canvas[scale, _LEFT + _WIDTH + 8 : _LEFT + _WIDTH + 16] = _shade(np.linspace(1, 0, top - _GAP - _TOP)[:, None] ** 2)
    return _labelled(canvas, f"{network}: how loud each feature is", captions, (start, int(history.timesteps[-1])))


def _kinds(history: FeatureHistory, network: str) -> dict[str, np.ndarray]:
    """How loud the features of each kind are, from 0 to 1, float ``(n, n_of_the_kind)``."""
    loud = np.nan_to_num(history.strength[network] * history.feature_std, posinf=0.0)
    loud /= np.maximum(loud.max(1, keepdims=True), np.finfo(np.float32).tiny)
    if not history.relevant.shape[1]:
        return {"features": loud}
    is_noise = np.ones(loud.shape, bool)
    np.put_along_axis(is_noise, history.relevant, False, axis=1)
    kinds = {"real": np.take_along_axis(loud, history.relevant, axis=1), "noise": loud[is_noise].reshape(len(loud), -1)}
    return {kind: values for kind, values in kinds.items() if values.size}


def _fitted(values: np.ndarray, room: int) -> np.ndarray:
    """Values ``(n, n_features)`` as rows of pixels, ``(height, n)``: several for each feature, or one for several."""
    n_features = values.shape[1]
    if n_features <= room:
        return np.repeat(values.T, min(_PER_FEATURE, room // n_features), axis=0)
    starts = np.arange(room) * n_features // room
    squares = np.add.reduceat(np.square(values), starts, axis=1) / np.diff(starts, append=n_features)
    return np.sqrt(squares).T


def _caption(kind: str, n_features: int) -> str:
    if n_features <= _ROOM[kind]:
        return f"{kind}\n{n_features:,}"
    return f"{kind}\n{n_features:,}\n{n_features / _ROOM[kind]:.1f} in a row"


def _records(history: FeatureHistory) -> tuple[np.ndarray, int]:
    """Which record each column of pixels shows, int64 ``(_WIDTH,)``, and where time starts."""
    steps = history.timesteps
    start = max(int(2 * steps[0] - steps[1]), 0) if len(steps) > 1 else 0
    times = start + (np.arange(_WIDTH) + 0.5) / _WIDTH * (steps[-1] - start)
    return np.searchsorted(steps[:-1], times), start


def _shade(values: np.ndarray) -> np.ndarray:
    """Places in the palette, uint8, of values from 0 to 1."""
    return (np.sqrt(values) * (_SHADES - 1)).round().astype(np.uint8)


def _labelled(canvas: np.ndarray, title: str, captions: dict[str, tuple[int, str]], span: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(canvas, "P")
    image.putpalette(_PALETTE.tobytes())
    draw = ImageDraw.Draw(image)
    height, right, ink = len(canvas), _LEFT + _WIDTH, _PLACE["ink"]
    draw.text((_LEFT, 4), title, ink)
    for kind, (top, caption) in captions.items():
        draw.multiline_text((4, top), caption, _PLACE[kind])
    draw.text((_LEFT, height - _BOTTOM + 5), f"{span[0]:,}", ink)
    end = f"{span[1]:,} environment steps"
    draw.text((right - draw.textlength(end), height - _BOTTOM + 5), end, ink)
    for share, place in (("1", _TOP), ("1/4", (_TOP + height - _BOTTOM) // 2 - 6), ("0", height - _BOTTOM - 12)):
        draw.text((right + 20, place), share, ink)
    return image

"""The picture beside a film: bars in proportion, frames as they were."""

import numpy as np
import pytest
from siftrl.training import attention_picture
from siftrl.training.attention_picture import beside, with_attention
from siftrl.training.attention_rows import AttentionRows
from siftrl.training.video import FirstEpisode

WIDTH = 400
REAL, NOISE = attention_picture._REAL, attention_picture._NOISE


def rows(values, n_noise=2):
    values = np.float32(values)
    labels = tuple(f"row {number}" for number in range(values.shape[1]))
    return AttentionRows(labels, np.arange(values.shape[1]) >= values.shape[1] - n_noise, values)


def bars(picture, frame_width):
    """Pixels of the longest run of each colour in each line, below the header."""
    panel = picture[40:, frame_width:]
    return [(panel == colour).all(axis=2).sum(axis=1) for colour in (REAL, NOISE)]


@pytest.mark.parametrize("height", [120, 480, 500])
def test_frames_stay_as_they_are(height):
    frames = [np.random.default_rng(seed).integers(0, 255, (height, 300, 3), np.uint8) for seed in range(2)]
    pictures = list(beside(frames, rows([[1, 0, 0.5, 2], [0, 1, 1, 1]])))
    for picture, frame in zip(pictures, frames, strict=True):
        assert picture.shape == (max(height, 480), 300 + WIDTH, 3)
        assert picture.dtype == np.uint8
        top = (len(picture) - height) // 2
        assert np.array_equal(picture[top : top + height, :300], frame)
        assert (picture[:top, :300] == 255).all()


def test_bars_are_in_proportion_and_of_two_colours():
    frames = 2 * [np.zeros((480, 480, 3), np.uint8)]
    full, half = beside(frames, rows([[4, 0, 0, 0], [0, 2, 1, 0]]))
    real, noise = bars(full, 480)
    longest = real.max()
    assert longest == pytest.approx(174, abs=2)  # what is left of 400 by labels and margins
    assert noise.max() == 0
    real, noise = bars(half, 480)
    assert real.max() == pytest.approx(longest / 2, abs=2)
    assert noise.max() == pytest.approx(longest / 4, abs=2)
    assert real.argmax() < noise.argmax()


def test_without_attention_there_are_no_bars():
    (picture,) = beside([np.zeros((480, 480, 3), np.uint8)], rows([[0, 0, 0]]))
    assert [bar.max() for bar in bars(picture, 480)] == [0, 0]


def test_forty_rows_and_long_labels_stay_inside():
    values = np.ones((1, 41), np.float32)
    labels = tuple("left upper arm contact torque about the axis x" for _ in range(41))
    (picture,) = beside([np.zeros((480, 480, 3), np.uint8)], AttentionRows(labels, np.zeros(41, bool), values))
    margin = picture[:, 480:486]
    assert (margin == 255).all()
    real, _ = bars(picture, 480)
    assert (real > 100).sum() == 41 * 8  # ten pixels each, two of them white


class Reader:
    """An agent whose action is its observation's first feature, twice."""

    device = "cpu"

    class actor:  # noqa: N801
        @staticmethod
        def _predict(x, deterministic):
            assert deterministic
            return 2 * x[:, :1]


@pytest.mark.parametrize(("env_id", "n_real"), [("InvertedPendulum-v5", 4), ("InvertedPendulum-v5", 3), ("CartPole-v1", 4)])
def test_a_film_gets_its_agents_attention(env_id, n_real, monkeypatch):
    film = FirstEpisode(keep_observations=True)
    film.frames = [np.zeros((480, 480, 3), np.uint8)] * 3
    film.observations = list(np.float32([[0, 1, 2, 3, 4], [1, 1, 2, 5, 4], [2, 1, 2, 7, 4]]))
    film.relevant = np.arange(n_real)
    taken = []
    monkeypatch.setattr(attention_picture, "beside", lambda frames, rows: taken.append(rows) or iter(frames))
    assert len(list(with_attention(film, Reader(), env_id))) == 3
    named = env_id == "InvertedPendulum-v5" and n_real == 4
    assert taken[0].labels[0] == ("slider position" if named else "feature 0")
    np.testing.assert_allclose(taken[0].values[:, 0], 2 * np.std([0, 1, 2]), rtol=1e-6)
    assert (taken[0].values[:, 1:] == 0).all()
    assert len(taken[0].labels) == n_real + 2
    film.relevant = None
    list(with_attention(film, Reader(), env_id))
    assert not taken[1].is_noise.any()

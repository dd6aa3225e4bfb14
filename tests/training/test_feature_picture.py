"""The picture of a feature history: what its pixels say, however many features and records there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.training import feature_picture as pictures
from siftrl.training.feature_history import FeatureHistory

LOUDEST, HALF_WAY, SILENT = (253, 231, 37), (33, 145, 140), (68, 1, 84)
LEFT, RIGHT, TOP, BOTTOM = 78, 590, 22, 22  # of the part that shows records, from the edges (RIGHT from the left one)
BLUE, ORANGE, GREY = (10, 106, 176), (192, 90, 0), (110, 110, 110)


def history(strength, relevant=None, timesteps=None, permutation=None, std=None):
    strength = np.asarray(strength, np.float32)
    n = len(strength)
    return FeatureHistory(
        timesteps=np.arange(1, n + 1) * 10 if timesteps is None else np.array(timesteps),
        permutation=np.zeros(n, np.int64) if permutation is None else np.array(permutation),
        relevant=np.empty((n, 0), np.int64) if relevant is None else np.array(relevant, np.int64).reshape(n, -1),
        feature_std=np.ones_like(strength) if std is None else np.asarray(std, np.float32),
        links={"actor": np.ones(strength.shape, np.int32)},
        strength={"actor": strength},
    )


def feature_picture(history):
    """The actor's picture in colours."""
    return np.asarray(pictures.feature_picture(history, "actor").convert("RGB"))


def inside(picture):
    """The part that shows records."""
    return picture[TOP:-BOTTOM, LEFT:RIGHT]


def column(picture, share):
    """The colours at a moment, from top to bottom; each once where neighbours are alike."""
    colours = [tuple(map(int, pixel)) for pixel in inside(picture)[:, int(share * 511)]]
    return [colour for place, colour in enumerate(colours) if place == 0 or colours[place - 1] != colour]


WHITE = (255, 255, 255)


def test_real_features_come_first_wherever_they_stand():
    picture = feature_picture(history([[0, 1, 0], [1, 0, 0]], relevant=[[1], [0]], permutation=[0, 1]))
    assert column(picture, 0.2) == column(picture, 0.8) == [LOUDEST, WHITE, SILENT]
    bar = picture[TOP:-BOTTOM, LEFT - 5]
    assert [tuple(map(int, colour)) for colour in (bar[0], bar[-1])] == [BLUE, ORANGE]


def test_real_features_keep_the_order_of_the_task():
    picture = feature_picture(history([[1, 0, 0.25]], relevant=[[2, 0]]))
    assert column(picture, 0.5)[:2] == [HALF_WAY, LOUDEST]


def test_where_nobody_knows_which_are_real_all_are_of_one_kind():
    picture = feature_picture(history([[1, 0, 1]]))
    assert column(picture, 0.5) == [LOUDEST, SILENT, LOUDEST]
    assert (picture[TOP:-BOTTOM, LEFT - 5] == GREY).all()


def test_all_features_may_be_real():
    picture = feature_picture(history([[1, 0]], relevant=[[0, 1]]))
    assert column(picture, 0.5) == [LOUDEST, SILENT]
    assert (picture[TOP:-BOTTOM, LEFT - 5] == BLUE).all()


def test_loudness_takes_the_scale_of_a_feature_into_account():
    assert column(feature_picture(history([[1, 10]], std=[[1, 0]])), 0.5) == [LOUDEST, SILENT]


def test_a_record_fills_the_time_since_the_one_before():
    picture = feature_picture(history([[0, 1], [1, 0], [0, 1]], timesteps=[10, 20, 60]))
    # From 0 to 10, to 20, to 60.
    assert [column(picture, share)[0] for share in (0.1, 0.22, 0.5, 0.95)] == [SILENT, LOUDEST, SILENT, SILENT]


def test_a_run_that_began_late_is_not_drawn_from_the_first_step_on():
    picture = feature_picture(history([[0, 1], [1, 0]], timesteps=[1_000, 1_010]))
    assert [column(picture, share)[0] for share in (0.3, 0.7)] == [SILENT, LOUDEST]


def test_a_new_order_is_a_white_line():
    strength = np.ones((3, 4))
    moved = feature_picture(history(strength, permutation=[0, 0, 1]))
    still = feature_picture(history(strength))
    white = (inside(moved) == 255).all((0, 2))
    assert white.sum() == 1
    assert abs(np.flatnonzero(white)[0] - 2 / 3 * 512) < 2
    assert not (inside(still) == 255).all((0, 2)).any()


def test_one_loud_feature_of_thousands_is_seen():
    strength = np.zeros((1, 34_800))
    strength[0, 20_000] = strength[0, 7] = 1
    picture = feature_picture(history(strength, relevant=[np.arange(348)]))
    before, few, between, line, quiet, many, after = column(picture, 0.5)
    assert (before, between, line, quiet, after) == (SILENT, SILENT, WHITE, SILENT, SILENT)
    # Of two or three in a row, and of 107 or 108.
    assert few[1] > 130
    assert 80 < many[1] < 110


def test_many_that_are_alike_look_like_one():
    assert column(feature_picture(history(np.ones((2, 5_000)))), 0.5) == [LOUDEST]


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_weights_that_are_no_numbers_or_nothing_make_a_picture_too(value):
    assert column(feature_picture(history([[value, value]])), 0.5) == [SILENT]
    assert column(feature_picture(history([[value, 1]])), 0.5) == [SILENT, LOUDEST]


@settings(max_examples=40)
@given(st.integers(1, 130), st.integers(1, 900), st.integers(0, 400))
def test_the_picture_has_a_sensible_size(n, n_features, d):
    relevant = np.tile(np.arange(min(d, n_features)), (n, 1))
    picture = feature_picture(history(np.ones((n, n_features)), relevant=relevant))
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (636, 3)
    assert picture.shape[0] <= 540

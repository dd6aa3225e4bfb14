"""The row from which on changes are of another kind."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.agents.change_point import change_point


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(50, 350), min_size=1, max_size=3))
def test_each_sequence_has_its_own(seed, moments):
    rng = np.random.default_rng(seed)
    changes = rng.standard_normal((400, len(moments), 12))
    is_after = np.arange(400)[:, None] >= moments
    changes[..., :6] *= np.where(is_after, 10.0, 0.1)[..., None]
    changes[..., 6:] *= np.where(is_after, 0.1, 10.0)[..., None]
    assert change_point(changes, 50, 50).tolist() == moments


def test_an_outlier_decides_nothing():
    changes = np.random.default_rng(0).standard_normal((300, 1, 8))
    changes[:200, :, :4] *= 0.1
    changes[200:, :, 4:] *= 0.1
    changes[120, 0, 0] = 1e6
    assert change_point(changes, 50, 50).tolist() == [200]


def test_features_that_stand_still_say_nothing():
    changes = np.zeros((100, 1, 3))
    changes[:, :, 0] = np.where(np.arange(100)[:, None] < 60, 0.1, 3.0)
    assert change_point(changes, 10, 10).tolist() == [60]

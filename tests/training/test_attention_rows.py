"""The rows of a picture: real features by name and in order, the rest pooled."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from siftrl.training.attention_rows import attention_rows


@given(
    seed=st.integers(0, 2**32 - 1),
    n_real=st.integers(1, 60),
    n_noise=st.integers(0, 60),
    n_rows=st.integers(5, 45),
)
def test_every_feature_is_in_exactly_one_row(seed, n_real, n_noise, n_rows):
    rng = np.random.default_rng(seed)
    relevant = rng.permutation(n_real + n_noise)[:n_real]
    attention = rng.random((4, n_real + n_noise), dtype=np.float32)
    rows = attention_rows(attention, relevant, None, n_rows)
    assert len(rows.labels) == len(rows.is_noise) == rows.values.shape[1] <= n_rows
    assert rows.is_noise.sum() == (2 if n_noise else 0)
    # The row of the largest noise feature alone repeats one that is in another row.
    squares = np.square(rows.values.astype(float))
    distinct = squares.sum(axis=1) - (squares[:, -2] if n_noise else 0)
    np.testing.assert_allclose(distinct, np.square(attention.astype(float)).sum(axis=1), rtol=1e-4)
    if n_noise:
        noise = np.delete(attention, relevant, axis=1)
        assert np.array_equal(rows.values[:, -2], noise.max(axis=1))
    shown = [int(label.removeprefix("feature ")) for label in rows.labels if label.startswith("feature ")]
    assert shown == sorted(shown)
    for row, feature in enumerate(shown):
        assert np.array_equal(rows.values[:, row], attention[:, relevant[feature]])


def test_those_with_the_most_attention_are_shown():
    attention = np.float32([[1, 9, 2, 8, 3, 4, 0, 0], [1, 9, 2, 8, 3, 4, 0, 0]])
    rows = attention_rows(attention, np.arange(6), ["a", "b", "c", "d", "e", "f"], 6)
    assert rows.labels == ("b", "d", "f", "3 others together", "noise: the largest", "noise: all 2 together")
    np.testing.assert_allclose(rows.values[0], [9, 8, 4, 14**0.5, 0, 0])

"""AUROC and precision: known rankings, ties, and agreement with the definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.ranking import auroc, precision_at

REAL = np.array([True, True, False, False, False])

LABELLED = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30).filter(
    lambda pairs: len({is_real for _, is_real in pairs}) == 2
)


@pytest.mark.parametrize(
    ("scores", "area", "precision"),
    [
        ([5, 4, 3, 2, 1], 1.0, 1.0),
        ([1, 2, 3, 4, 5], 0.0, 0.0),
        ([5, 1, 4, 3, 2], 0.5, 0.5),
        ([1, 1, 1, 1, 1], 0.5, 0.4),  # all tie: two real ones of five
        ([2, 1, 1, 0, 0], 5.5 / 6, 0.75),  # one place is left for a real one or another
        ([np.inf, 0, 0, 0, -np.inf], 5 / 6, (1 + 1 / 3) / 2),
    ],
)
def test_known_rankings(scores, area, precision):
    assert auroc(np.array(scores, float), REAL) == pytest.approx(area)
    assert precision_at(2, np.array(scores, float), REAL) == pytest.approx(precision)


@given(LABELLED)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs):
    scores, is_real = np.array([score for score, _ in pairs], float), np.array([real for _, real in pairs])
    wins = [(a > b) + (a == b) / 2 for a, b in itertools.product(scores[is_real], scores[~is_real])]
    assert auroc(scores, is_real) == pytest.approx(np.mean(wins))


@given(LABELLED, st.data())
def test_precision_is_the_mean_over_all_orders_of_ties(pairs, data):
    scores, is_real = np.array([score for score, _ in pairs], float), np.array([real for _, real in pairs])
    k = data.draw(st.integers(1, len(pairs)))
    rng = np.random.default_rng(0)
    ties = rng.random((2000, len(scores)))
    orders = np.lexsort((ties, np.broadcast_to(-scores, ties.shape)))
    assert precision_at(k, scores, is_real) == pytest.approx(is_real[orders[:, :k]].mean(), abs=0.06)


@pytest.mark.parametrize("is_real", [np.zeros(5, bool), np.ones(5, bool)])
def test_there_is_no_ranking_where_all_features_are_alike(is_real):
    assert np.isnan(auroc(np.arange(5.0), is_real))


@pytest.mark.parametrize("measure", [auroc, lambda *given: precision_at(2, *given)])
def test_scores_that_rank_nothing_are_refused(measure):
    with pytest.raises(ValueError, match="is_real must be a vector like scores"):
        measure(np.arange(4.0), REAL)
    with pytest.raises(ValueError, match="scores hold NaN"):
        measure(np.array([1, 2, np.nan, 4, 5]), REAL)


@pytest.mark.parametrize("k", [0, 6])
def test_precision_is_of_some_features_and_at_most_all(k):
    with pytest.raises(ValueError, match=rf"k={k} is outside \[1, 5\]"):
        precision_at(k, np.arange(5.0), REAL)

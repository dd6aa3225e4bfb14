"""Features are followed to where they stand, named, and ranked."""

import dataclasses

import numpy as np
import pytest
from siftrl.reports.listening import listening, ranking_quality
from siftrl.sparse.ranking import auroc


def test_real_features_are_followed_when_the_order_changes(make_history):
    still, moved = (listening(make_history(permuted=permuted), None) for permuted in (False, True))
    assert (still.links["actor"][:, :3] == moved.links["actor"][:, :3]).all()
    assert np.sort(still.links["actor"], 1).tolist() == np.sort(moved.links["actor"], 1).tolist()
    assert (still.moves.tolist(), moved.moves.tolist()) == ([], [200, 300, 400])
    assert still.labels[:4] == ("feature 0", "feature 1", "feature 2", "noise at 3")


def test_strength_is_scaled_by_what_was_observed(make_history):
    plain = make_history()
    scaled = dataclasses.replace(plain, feature_std=plain.feature_std * np.linspace(0, 2, 12, dtype=np.float32))
    expected = plain.strength["actor"] * scaled.feature_std
    assert listening(scaled, None).strength["actor"] == pytest.approx(expected)


def test_names_are_taken_where_there_is_one_for_each_real_feature(make_history):
    assert listening(make_history(), ("x", "y", "z")).labels[:3] == ("x", "y", "z")
    assert listening(make_history(), ("x", "y")).labels[:3] == ("feature 0", "feature 1", "feature 2")


def test_kinds(make_history):
    assert listening(make_history(), None).kinds() == {"real": slice(0, 3), "noise": slice(3, None)}
    assert listening(make_history(n_real=12), None).kinds() == {"real": slice(0, 12)}
    unknown = listening(make_history(n_real=0), tuple("abcdefghijkl"))
    assert (unknown.n_real, unknown.kinds(), unknown.labels) == (None, {"all": slice(None)}, tuple("abcdefghijkl"))


def test_the_ranking_puts_what_is_no_number_last(make_history):
    history = make_history()
    history.strength["actor"][-1, 1] = np.nan
    heard = listening(history, None)
    assert heard.ranking("actor")[-1] == 1
    assert sorted(heard.ranking("actor")) == list(range(12))


def test_the_quality_is_that_of_the_last_record(make_history):
    heard = listening(make_history(seed=5), None)
    is_real = np.arange(12) < 3
    assert ranking_quality(heard, "actor")[0] == auroc(heard.strength["actor"][-1], is_real)
    assert ranking_quality(heard, "actor") == (1, 1)
    heard.strength["actor"][-1, :3] = 0
    assert ranking_quality(heard, "actor")[0] < 0.2
    for n_real in (0, 12):
        assert np.isnan(ranking_quality(listening(make_history(n_real=n_real), None), "actor")).all()


def test_two_features_in_one_place_are_refused(make_history):
    history = make_history()
    history.relevant[1] = [4, 4, 5]
    with pytest.raises(ValueError, match="one place"):
        listening(history, None)

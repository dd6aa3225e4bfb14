"""QuickSelection: it finds what hangs together, by rewiring; and it is a scikit-learn transformer in every respect."""

import numpy as np
import pytest
import torch
from siftrl.selection import QuickSelection
from siftrl.sparse.ranking import auroc, precision_at
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

SMALL = {"n_features": 3, "hidden_units": 20, "epochs": 2}


@pytest.fixture
def samples():
    return np.random.default_rng(0).normal(size=(50, 8))


def small_madelon(seed):
    """1 000 samples of 300 features; the first 20 hang together."""
    return make_classification(
        1000, 300, n_informative=5, n_redundant=15, n_clusters_per_class=16, shuffle=False, random_state=seed
    )[0]


@parametrize_with_checks([QuickSelection(n_features=1, hidden_units=10, epochs=2)])
def test_it_is_a_transformer_as_scikit_learn_has_them(estimator, check):
    check(estimator)


def test_rewiring_finds_features_that_hang_together_where_fixed_links_and_chance_do_not():
    is_real = np.arange(300) < 20
    found = {fraction: [] for fraction in (0.3, 0.0)}
    for seed in range(3):
        for fraction, precisions in found.items():
            selector = QuickSelection(
                20, hidden_units=500, epsilon=3, epochs=30, batch_size=50, fraction=fraction, random_state=seed
            ).fit(small_madelon(seed))
            precisions.append(precision_at(20, selector.strength_, is_real))
    # Seen: about 0.5 and 0.2; a random ranking has 20 of 300.
    assert np.mean(found[0.3]) > np.mean(found[0.0]) + 0.15
    assert np.mean(found[0.3]) > 20 / 300 + 0.25


def test_a_dense_autoencoder_listens_to_the_noise():
    """Each noise feature can only be restored from itself, and where links are plenty it is."""
    is_real = np.arange(300) < 20
    dense = QuickSelection(20, hidden_units=200, epsilon=1000, epochs=20, batch_size=50, random_state=0)
    assert auroc(dense.fit(small_madelon(0)).strength_, is_real) < 0.1


def test_ranking_counts_from_the_strongest_and_support_is_the_first_of_it(samples):
    selector = QuickSelection(**SMALL, random_state=0).fit(samples)
    assert sorted(selector.ranking_) == list(range(1, 9))
    by_rank = np.argsort(selector.ranking_)
    assert (np.diff(selector.strength_[by_rank]) <= 0).all()
    assert set(selector.get_support(indices=True)) == set(by_rank[:3])
    np.testing.assert_array_equal(selector.transform(samples), samples[:, np.sort(by_rank[:3])])


def test_scale_and_shift_of_a_feature_do_not_matter(samples):
    moved = samples * np.geomspace(1e-3, 1e3, 8) + np.arange(8)
    before, after = (QuickSelection(**SMALL, random_state=0).fit(X).strength_ for X in (samples, moved))
    np.testing.assert_allclose(after, before, rtol=1e-4)


def test_the_seed_decides_and_the_global_generator_is_left_alone(samples):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, same, other = (QuickSelection(**SMALL, random_state=seed).fit(samples).strength_ for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_links_are_rewired_after_each_epoch_but_the_last(samples, monkeypatch):
    seen = []
    rewire = "siftrl.sparse.evolution.Evolution.rewire"
    monkeypatch.setattr(rewire, lambda evolution, fraction: seen.append((evolution.n_updates, fraction)))
    arguments = {"hidden_units": 20, "epsilon": 2, "batch_size": 20}  # three updates an epoch
    QuickSelection(3, epochs=4, **arguments).fit(samples)
    assert seen == [(3, 0.2), (6, 0.2), (9, 0.2)]
    QuickSelection(3, epochs=1, **arguments).fit(samples)
    QuickSelection(3, epochs=4, fraction=0, **arguments).fit(samples)
    assert len(seen) == 3


def test_links_are_as_many_as_epsilon_says(samples, monkeypatch):
    nets = []
    train = QuickSelection._train
    monkeypatch.setattr(QuickSelection, "_train", lambda self, samples: nets.append(train(self, samples)) or nets[-1])
    QuickSelection(3, hidden_units=20, epsilon=2, epochs=3).fit(samples)
    QuickSelection(3, hidden_units=20, epsilon=100, epochs=3).fit(samples)
    assert [layer.weight.numel() for net in nets for layer in (net[0], net[3])] == [56, 56, 160, 160]  # 2 · (8 + 20); 8 · 20


def test_a_constant_feature_is_no_obstacle(samples):
    samples[:, 2] = 7.0
    assert np.isfinite(QuickSelection(**SMALL).fit(samples).strength_).all()


def test_it_works_in_a_pipeline_and_as_a_clone(samples):
    selector = QuickSelection(**SMALL, random_state=0)
    assert make_pipeline(StandardScaler(), clone(selector)).fit_transform(samples).shape == (50, 3)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n_features", 0), ("n_features", 2.0), ("hidden_units", 0), ("epochs", 0), ("batch_size", 0), ("epsilon", 0),
        ("epsilon", np.inf), ("fraction", 1.1), ("fraction", np.nan), ("noise_std", -1), ("dropout", 1),
        ("learning_rate", 0), ("momentum", 1), ("weight_decay", -1), ("epochs", "ten"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(argument, value, samples):
    with pytest.raises(ValueError, match=f"{argument} must be .*, got {value!r}"):
        QuickSelection(**{**SMALL, argument: value}).fit(samples)


def test_there_must_be_as_many_features_as_are_wanted(samples):
    with pytest.raises(ValueError, match="n_features=9 is more than the 8 features of X"):
        QuickSelection(9).fit(samples)


def test_a_diverged_training_is_no_result(samples):
    with pytest.raises(ValueError, match="diverged"):
        QuickSelection(**{**SMALL, "epochs": 100}, learning_rate=100, fraction=0).fit(samples)

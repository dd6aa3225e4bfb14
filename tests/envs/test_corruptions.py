"""Each corruption by itself: what it does, exactly, and what of it stays for an episode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.envs.corruptions import CORRUPTIONS, SEVERITIES, Reading, level_of

MEAN, STD = np.array([0.0, 10.0, -5.0, 3.0]), np.array([1.0, 0.1, 2.0, 0.0])  # the last feature never varies


def episode(name, level, values, seed=0):
    """What a corruption makes of an episode, float64 (steps, n)."""
    rng, memory = np.random.default_rng(seed), {}
    values = np.asarray(values, np.float64)
    before = values.copy()
    mean, std = np.resize(MEAN, values.shape[1]), np.resize(STD, values.shape[1])
    seen = [CORRUPTIONS[name].apply(Reading(row, mean, std, level, rng, memory)).copy() for row in values]
    np.testing.assert_array_equal(values, before)  # what the task gave is left alone
    return np.array(seen)


def walk(steps=400, n=4, seed=1):
    """Values that vary as their moments say."""
    return np.resize(MEAN, n) + np.resize(STD, n) * np.random.default_rng(seed).standard_normal((steps, n))


@pytest.mark.parametrize("name", CORRUPTIONS)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 6), severity=st.sampled_from(SEVERITIES))
def test_values_stay_finite_and_the_seed_decides(name, seed, n, severity):
    level = level_of(name, severity)
    once, again = (episode(name, level, walk(12, n), seed) for _ in range(2))
    assert once.shape == (12, n)
    assert np.isfinite(once).all()
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in ("scale", "swap", "stale", "delay")])
def test_a_feature_that_never_varies_has_no_units_to_fail_in(name):
    values = walk()
    np.testing.assert_allclose(episode(name, level_of(name, 5), values)[:, 3], 3)


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in ("quantise", "high-pass")])
def test_level_zero_changes_nothing(name):
    np.testing.assert_array_equal(episode(name, 0, walk()), walk())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_higher_severity_is_further_from_the_truth(name):
    values = walk(2_000)
    values = values.cumsum(0) / 50 if name in ("low-pass", "high-pass", "delay", "stale") else values
    distances = [np.abs(episode(name, level_of(name, s), values) - values).mean() for s in SEVERITIES]
    assert distances[0] > 0
    assert (np.diff(distances) > 0).all() or name == "swap"  # pairs of four features: one, one, one, two, two
    assert distances[4] > distances[0]


def test_gaussian_noise_has_the_size_that_it_says():
    error = episode("gaussian", 0.4, walk(4_000)) - walk(4_000)
    np.testing.assert_allclose(error.std(0), 0.4 * STD, rtol=0.05)
    np.testing.assert_allclose(error.mean(0), 0, atol=0.05)
    assert abs(np.corrcoef(error[:, 0], error[:, 1])[0, 1]) < 0.06


def test_impulses_and_dropouts_hit_as_often_as_they_say_and_where_they_say():
    values = walk(4_000)
    for name, targets in (("impulse", (MEAN - 3 * STD, MEAN + 3 * STD)), ("dropout", (MEAN,))):
        seen = episode(name, 0.1, values)
        hit = (seen != values)[:, :3]
        np.testing.assert_allclose(hit.mean(0), 0.1, atol=0.02)
        assert abs(np.corrcoef(hit[:, 0], hit[:, 1])[0, 1]) < 0.06  # each feature by itself
        for target in targets:
            assert np.isclose(seen, target)[:, :3].any(0).all()
        assert np.isclose(seen[:, None], targets)[:, :, :3].any(1)[hit].all()


def test_a_bias_stays_and_a_drift_grows():
    values = walk(201)
    bias = episode("bias", 0.5, values) - values
    np.testing.assert_allclose(np.abs(bias), np.broadcast_to(0.5 * STD, bias.shape), atol=1e-12)
    np.testing.assert_allclose(bias, np.broadcast_to(bias[0], bias.shape), atol=1e-12)
    drift = episode("drift", 0.5, values) - values
    np.testing.assert_allclose(np.abs(drift[[0, 100, 200]]), [0 * STD, 0.5 * STD, STD], atol=1e-12)
    signs = {tuple(np.sign(episode("bias", 0.5, values[:1], seed)[0] - values[0])[:3]) for seed in range(60)}
    assert len(signs) == 8


def test_scale_is_a_wrong_gain():
    gains = episode("scale", 0.2, walk()) / walk()
    np.testing.assert_allclose(gains, np.broadcast_to(gains[0], gains.shape))
    assert set(gains[0].round(9)) <= {0.8, 1.2}


def test_a_quantiser_has_so_many_cells_and_ends():
    grid = np.linspace(-5, 5, 1_001)[:, None] * STD + MEAN
    seen = (episode("quantise", 2, grid) - MEAN)[:, :3] / STD[:3]
    np.testing.assert_allclose(np.unique(seen.round(6)), [-2.25, -0.75, 0.75, 2.25])
    fine = (episode("quantise", 12, grid) - grid)[200:801, :3] / STD[:3]
    assert np.abs(fine).max() <= 3 / 2**12 + 1e-9


def test_stale_shows_what_was_seen_last():
    values = np.arange(1_000.0)[:, None] * np.ones(3)
    seen = episode("stale", 0.3, values)
    assert (seen == seen[:, :1]).all()  # the whole observation
    is_new = seen[1:, 0] == values[1:, 0]
    np.testing.assert_array_equal(seen[1:, 0], np.where(is_new, values[1:, 0], seen[:-1, 0]))
    assert abs(is_new.mean() - 0.7) < 0.05
    assert seen[0, 0] == 0


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_delay_is_exact_and_waits_with_the_first_values(steps):
    values = np.arange(20.0)[:, None] * np.ones(2)
    np.testing.assert_array_equal(episode("delay", steps, values)[:, 0], np.maximum(np.arange(20.0) - steps, 0))


def test_the_passes_split_a_signal():
    n = 2_000
    slow, fast = np.sin(np.arange(n) / 100)[:, None], ((-1.0) ** np.arange(n))[:, None]
    low, high = (episode(name, 5, slow + fast)[200:, 0] for name in ("low-pass", "high-pass"))
    np.testing.assert_allclose(low + high, (slow + fast)[200:, 0], atol=1e-12)  # the mean is 0
    assert np.abs(low - slow[200:, 0]).max() < 0.2
    assert np.abs(high - fast[200:, 0]).max() < 0.2
    kept = episode("low-pass", 8, np.eye(60)[:, 10:11])[:, 0]  # an impulse at step 10
    assert kept[18] / kept[10] == pytest.approx(np.exp(-1))


def test_flicker_alternates():
    error = episode("flicker", 0.4, walk(6)) - walk(6)
    np.testing.assert_allclose(np.abs(error), np.broadcast_to(0.4 * STD, error.shape), atol=1e-12)
    np.testing.assert_allclose(error[1:], -error[:-1], atol=1e-12)


@pytest.mark.parametrize(("share", "moved"), [(0.1, 2), (0.4, 4), (1.0, 10)])
def test_a_swap_is_of_whole_pairs_and_stays(share, moved):
    values = np.arange(30.0).reshape(3, 10)
    seen = episode("swap", share, values)
    order = seen[0].astype(int)
    assert (order != np.arange(10)).sum() == moved
    np.testing.assert_array_equal(order[order], np.arange(10))
    np.testing.assert_array_equal(seen, values[:, order])
    np.testing.assert_array_equal(episode("swap", 1.0, values[:, :1]), values[:, :1])  # alone, it has nobody to swap with


def test_unknown_names_and_severities_get_one_sentence():
    with pytest.raises(ValueError, match=r"corruption must be one of gaussian, .*, not 'delai'. Did you mean delay\?"):
        level_of("delai", 1)
    with pytest.raises(ValueError, match="severity must be a whole number from 1 to 5, not 6"):
        level_of("delay", 6)

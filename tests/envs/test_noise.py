"""The noise features: their count, their keys, their statistics, and the task they must not touch."""

import gymnasium as gym
import numpy as np
import pytest
from siftrl.envs import FeatureHistogram, NoiseFeatures, NoiseSource, total_features


def regenerate(source, key):
    noise = np.empty((1, source.n_noise), np.float32)
    source.fill(np.asarray(key)[None], noise)
    return noise[0]


def random_keys(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, (n, 2)).astype(np.uint64)


def draw(source, keys):
    noise = np.empty((len(keys), source.n_noise), np.float32)
    source.fill(keys, noise)
    return noise


def pendulum(**kwargs):
    return NoiseFeatures(gym.make("Pendulum-v1"), **{"noise_fraction": 0.9, **kwargs})


@pytest.fixture(scope="module")
def histogram():
    return FeatureHistogram.record("Pendulum-v1", n_steps=2_000)


@pytest.mark.parametrize(
    ("n_real", "noise_fraction", "total"),
    [
        (17, 0, 17),
        (17, 0.8, 85),
        (17, 0.9, 170),
        (17, np.float32(0.9), 170),
        (17, 0.95, 340),
        (17, 0.98, 850),
        (17, 0.99, 1700),
        (11, 0.8, 55),
        (11, 0.98, 550),
        (376, 0.9, 3760),
        (348, 0.99, 34800),
        (17, 1 / 3, 26),
        (3, 1e-9, 4),
    ],
)
def test_feature_counts_are_exact(n_real, noise_fraction, total):
    assert total_features(n_real, noise_fraction) == total


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "CartPole-v1", "InvertedPendulum-v5", "Hopper-v5"])
def test_task_is_untouched_and_noise_regenerates(env_id):
    clean, noisy = gym.make(env_id), NoiseFeatures(gym.make(env_id), 0.85)
    d, source = noisy.n_real_features, noisy.noise_source
    clean.action_space.seed(3)
    for seed in (5, None, None):
        expected, _ = clean.reset(seed=seed)
        observation, info = noisy.reset(seed=seed)
        previous, steps, done = None, 0, False
        while not done and steps < 60:
            assert observation.dtype == np.float32
            assert observation in noisy.observation_space
            np.testing.assert_array_equal(observation[:d], expected.astype(np.float32))
            np.testing.assert_array_equal(observation[d:], regenerate(source, info["noise_key"]))
            assert info["noise_key"].dtype == np.uint64
            assert info["noise_key"][1] == steps
            assert previous is None or info["noise_key"][0] == previous[0]
            previous = info["noise_key"]
            action = clean.action_space.sample()
            expected, reward, *flags, _ = clean.step(action)
            observation, noisy_reward, *noisy_flags, info = noisy.step(action)
            assert (reward, flags) == (noisy_reward, noisy_flags)
            done, steps = any(flags), steps + 1


def test_seeds_episodes_and_noise_seeds_choose_the_noise():
    def stream(env, seed):
        return int(env.reset(seed=seed)[1]["noise_key"][0])

    env, other = pendulum(), pendulum()
    assert stream(env, 0) == stream(other, 0)
    assert stream(env, None) == stream(other, None)
    assert len({stream(env, seed) for seed in (0, 1, 2, None, None)}) == 5
    assert stream(env, 0) == stream(other, 0), "a seeded reset starts the streams anew"
    assert stream(pendulum(), None) != stream(pendulum(), None)

    fixed, same = pendulum(noise_seed=7), pendulum(noise_seed=7)
    assert stream(fixed, 1) == stream(same, 2)
    assert stream(fixed, None) == stream(same, None)
    assert stream(pendulum(noise_seed=7), None) != stream(pendulum(noise_seed=8), None)


def test_observations_and_keys_are_fresh_arrays():
    env = pendulum()
    first, first_info = env.reset(seed=0)
    kept, kept_key = first.copy(), first_info["noise_key"].copy()
    second, *_, second_info = env.step(env.action_space.sample())
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(first_info["noise_key"], kept_key)
    assert second_info["noise_key"] is not first_info["noise_key"]


def test_no_noise_adds_nothing_and_casts():
    env = NoiseFeatures(gym.make("InvertedPendulum-v5"), 0)
    observation, info = env.reset(seed=0)
    assert observation.shape == (4,)
    assert observation.dtype == np.float32
    assert info["noise_key"].shape == (2,)


@pytest.mark.parametrize(("distribution", "std"), [("normal", 1), ("normal", 4), ("uniform", 2)])
def test_marginals(distribution, std):
    source = NoiseSource(17, 153, distribution, std)
    noise = draw(source, random_keys(4_000)) / std
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert np.abs(noise.mean(axis=0)).max() < 0.08, "each feature is centred"
    quantiles = np.quantile(noise, [0.1, 0.25, 0.75, 0.9])
    expected = {"normal": [-1.2816, -0.6745, 0.6745, 1.2816], "uniform": np.array([-0.8, -0.5, 0.5, 0.8]) * np.sqrt(3)}
    np.testing.assert_allclose(quantiles, expected[distribution], atol=0.02)
    assert distribution == "normal" or np.abs(noise * std).max() <= source.bounds[1]


@pytest.mark.parametrize("n_noise", [5, 153, 1683])
def test_no_correlation_over_time_or_across_features(n_noise):
    n = 4_000
    consecutive = np.stack((np.full(n, 12345), np.arange(n)), axis=1).astype(np.uint64)
    noise = draw(NoiseSource(17, n_noise), consecutive)[:, :200]
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0)
    limit = 5.5 / np.sqrt(n)  # of 40 000 coefficients none should pass 5.5 standard errors
    across = noise.T @ noise / n - np.eye(noise.shape[1])
    assert np.abs(across).max() < limit
    for lag in (1, 2, 7):
        assert np.abs(noise[:-lag].T @ noise[lag:] / n).max() < limit


def test_observations_do_not_repeat():
    noise = draw(NoiseSource(3, 27), random_keys(200_000))
    assert len(np.unique(noise, axis=0)) == len(noise)
    streams = np.stack((np.repeat(np.arange(300), 300), np.tile(np.arange(300), 300)), axis=1).astype(np.uint64)
    assert len(np.unique(NoiseSource(348, 34452).segments(streams[::10]).offsets, axis=0)) == len(streams[::10])


def test_imitation_follows_each_real_feature(histogram):
    source = NoiseSource(3, 28, "imitate", histogram=histogram)
    noise = draw(source, random_keys(20_000))
    for i, features in enumerate((range(10), range(10, 19), range(19, 28))):
        middle = (histogram.edges[i, :-1] + histogram.edges[i, 1:]) / 2
        share = histogram.counts[i] / histogram.counts[i].sum()
        for j in features:
            drawn, _ = np.histogram(noise[:, j], histogram.edges[i])
            assert drawn.sum() >= len(noise) - 2, "float32 may round a value past the outermost edge"
            assert np.abs(drawn / len(noise) - share).max() < 0.012
            assert abs(noise[:, j].mean() - share @ middle) < 0.05 * np.ptp(middle)
    within = np.abs(np.corrcoef(noise.T) - np.eye(28))
    assert within.max() < 0.05


def test_imitation_is_recorded_from_a_copy_or_read_from_a_file(tmp_path):
    recorded = pendulum(distribution="imitate")
    histogram = recorded.noise_source.histogram
    assert histogram == FeatureHistogram.record("Pendulum-v1")
    assert histogram.counts.sum(axis=1).tolist() == [10_000] * 3
    histogram.save(tmp_path / "pendulum.npz")
    read = pendulum(distribution="imitate", histogram=tmp_path / "pendulum.npz")
    assert read.noise_source == recorded.noise_source
    np.testing.assert_array_equal(read.reset(seed=1)[0], recorded.reset(seed=1)[0])


def test_a_constant_feature_is_imitated_by_a_constant():
    histogram = FeatureHistogram(np.full((1, 101), 2.5), np.eye(1, 100))
    noise = draw(NoiseSource(1, 9, "imitate", histogram=histogram), random_keys(10))
    assert (noise == 2.5).all()


def test_one_table_serves_sources_of_any_width():
    source = NoiseSource(17, 1683)
    assert source.segments(random_keys(1)).table is NoiseSource(34, 100).segments(random_keys(1)).table
    assert NoiseSource(17, 1683, std=2) != source


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"noise_fraction": 1}, "noise_fraction must be a number from 0 up to but not including 1, got 1"),
        (
            {"noise_fraction": 0.9999999},
            "noise_fraction=0.9999999 would make 30,000,000 features of 3, more than 10,000,000",
        ),
        ({"noise_fraction": -0.1}, "noise_fraction .* got -0.1"),
        ({"noise_fraction": float("nan")}, "noise_fraction .* got nan"),
        ({"noise_fraction": "most"}, "noise_fraction .* got 'most'"),
        ({"noise_fraction": "9/10"}, "noise_fraction .* got '9/10'"),
        ({"distribution": "autoregresive"}, r"distribution must be one of normal, .* Did you mean autoregressive\?"),
        ({"correlation": 1}, r"correlation must lie between 0 and 0\.999, got 1"),
        ({"correlation": float("nan")}, r"correlation must lie between 0 and 0\.999, got nan"),
        ({"recording": "x.npz"}, "recording must be None unless distribution is 'shadow', got 'x.npz' for 'normal'"),
        ({"recording": "missing.npz", "distribution": "shadow"}, "recording must be an .npz file .* 'missing.npz'"),
        ({"std": -1}, "std .* got -1"),
        ({"std": float("inf")}, "std .* got inf"),
        ({"live_noise": 28}, "live_noise must lie between 0 and the 27 noise features, got 28"),
        ({"noise_seed": -3}, "noise_seed must not be negative, got -3"),
        ({"histogram": "x.npz"}, "histogram must be None unless distribution is 'imitate' or 'copies', got 'x.npz'"),
        ({"histogram": "missing.npz", "distribution": "imitate"}, "histogram must be an .npz file .* 'missing.npz'"),
    ],
)
def test_bad_arguments_get_one_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        pendulum(**kwargs)


def test_bad_environments_get_one_sentence():
    with pytest.raises(TypeError, match="NoiseFeatures needs an environment with a Box observation space, got Discrete"):
        NoiseFeatures(gym.make("FrozenLake-v1"), 0.5)
    images = gym.wrappers.ReshapeObservation(gym.make("CartPole-v1"), (2, 2))
    with pytest.raises(ValueError, match=r"one axis, got shape \(2, 2\): wrap .*FlattenObservation first"):
        NoiseFeatures(images, 0.5)
    assert NoiseFeatures(gym.wrappers.FlattenObservation(images), 0.5).observation_space.shape == (8,)
    with pytest.raises(ValueError, match="env must not have noise features yet"):
        NoiseFeatures(pendulum(), 0.5)
    task = gym.make("Pendulum-v1").unwrapped
    task.spec = None
    for kind, name in (("imitate", "histogram"), ("shadow", "recording")):
        with pytest.raises(ValueError, match=f"{name} must name a file where the task cannot be copied"):
            NoiseFeatures(task, 0.5, kind)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "arrays 'edges' and 'counts'"),
        ({"edges": np.arange(3.0)[None]}, "arrays 'edges' and 'counts'"),
        ({"edges": np.zeros((2, 5)), "counts": np.ones((2, 5))}, "cannot be used: a histogram needs edges of shape"),
        ({"edges": np.arange(3.0)[None, ::-1], "counts": np.ones((1, 2))}, "must be finite and rise"),
        ({"edges": np.full((1, 3), np.nan), "counts": np.ones((1, 2))}, "must be finite and rise"),
        ({"edges": np.arange(3.0)[None], "counts": np.zeros((1, 2))}, "at least one positive"),
        ({"edges": np.array([["a", "b"]]), "counts": np.ones((1, 1))}, "cannot be used"),
        ({"edges": np.arange(3.0)[None], "counts": np.ones((1, 2))}, "must describe the task's 3 features, got 1"),
    ],
)
def test_bad_histogram_files_get_one_sentence(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        pendulum(distribution="imitate", histogram=tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"edges,counts\n1,2\n"])
def test_broken_histogram_files_get_one_sentence(tmp_path, content):
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(ValueError, match="histogram must be an"):
        FeatureHistogram.load(tmp_path / "broken.npz")

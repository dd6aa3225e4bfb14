"""Noise of every kind, in an environment and alone: given back to the bit, and nothing else touched."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.envs import FeatureHistogram, NoiseFeatures, NoiseSource
from siftrl.envs.noise_tables import KINDS
from siftrl.envs.recording import Recording, watch

# No test here asks for more numbers.
pytestmark = pytest.mark.usefixtures("short_tables")


@pytest.fixture(scope="module")
def histogram():
    return FeatureHistogram.record("Pendulum-v1", n_steps=500)


@pytest.fixture(scope="module")
def recording_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("recording") / "pendulum.npz"
    np.savez(file, observations=watch("Pendulum-v1", 700))
    return file


@pytest.fixture(scope="module")
def source_of(histogram, recording_file):
    """Makes a source of any kind for a task of three features."""
    of_the_task = {"histogram": histogram, "recording": Recording.load(recording_file), "correlation": 0.95}

    def make(n_noise, kind, **kwargs):
        return NoiseSource(3, n_noise, kind, **{name: of_the_task[name] for name in KINDS[kind].needs}, **kwargs)

    return make


def random_keys(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, (n, 2)).astype(np.uint64)


def draw(source, keys, real=None):
    noise = np.empty((len(keys), source.n_noise), np.float32)
    source.fill(keys, noise, real)
    return noise


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("live", [None, 0, 5, 26])
def test_the_task_is_untouched_and_noise_regenerates(kind, live, recording_file):
    file = recording_file if kind == "shadow" else None
    clean = gym.make("Pendulum-v1", max_episode_steps=25)
    all_alive, noisy = (
        NoiseFeatures(gym.make("Pendulum-v1", max_episode_steps=25), 0.9, kind, recording=file, live_noise=n)
        for n in (None, live)
    )
    clean.action_space.seed(3)
    n_live = 27 if live is None else live
    for seed in (5, None):
        (expected, _), (whole, _), (observation, info) = (env.reset(seed=seed) for env in (clean, all_alive, noisy))
        done = False
        while not done:
            assert observation in noisy.observation_space
            np.testing.assert_array_equal(observation[:3], expected)
            np.testing.assert_array_equal(observation[: 3 + n_live], whole[: 3 + n_live])
            assert not observation[3 + n_live :].any()
            again = draw(noisy.noise_source, info["noise_key"][None], observation[None, :3])
            np.testing.assert_array_equal(observation[3:], again[0])
            action = clean.action_space.sample()
            expected, reward, *flags, _ = clean.step(action)
            whole = all_alive.step(action)[0]
            observation, noisy_reward, *noisy_flags, info = noisy.step(action)
            assert (reward, flags) == (noisy_reward, noisy_flags)
            done = any(flags)


@settings(max_examples=80)
@given(n_noise=st.integers(0, 700), rows=st.integers(0, 5), live=st.integers(0, 700), kind=st.sampled_from(list(KINDS)))
def test_segments_describe_what_fill_writes(n_noise, rows, live, kind, source_of):
    source = source_of(n_noise, kind, n_live=min(live, n_noise))
    keys, out = random_keys(rows), np.full((rows, n_noise + 2), 9, np.float32)
    source.fill(keys, out[:, 1:-1], np.zeros((rows, 3), np.float32))
    table, offsets, starts, widths = source.segments(keys)
    assert offsets.dtype == starts.dtype == widths.dtype == np.int64
    assert widths.sum() == n_noise
    assert not len(widths) or widths.max() <= 256
    n_parts = -(-n_noise // 3) if kind == "shadow" else n_noise  # a shadow is made of whole copies of the task
    assert len(widths) >= min(n_parts, 8)
    built = [[table[o + j] for o, w in zip(row, widths, strict=True) for j in range(w)] for row in offsets]
    np.testing.assert_array_equal(out[:, 1:-1], np.reshape(np.array(built, np.float32), (rows, n_noise)))
    assert (out[:, [0, -1]] == 9).all(), "fill stays within its bounds"


@pytest.mark.parametrize("kind", KINDS)
def test_amplitude_multiplies_every_kind(kind, source_of):
    real, keys = np.full((50, 3), 0.5, np.float32), random_keys(50)
    centre = 0.5 if kind == "copies" else 0
    soft, loud, silent = (draw(source_of(27, kind, std=std), keys, real) - centre for std in (1, 16, 0))
    np.testing.assert_allclose(loud, 16 * soft, rtol=1e-4, atol=1e-4)
    assert soft.std() > 0.1
    assert not silent.any()


@pytest.mark.parametrize("kind", KINDS)
def test_sources_travel_without_their_table(kind, source_of):
    source, keys, real = source_of(27, kind), random_keys(3), np.ones((3, 3), np.float32)
    before = draw(source, keys, real)
    for twin in (pickle.loads(pickle.dumps(source)), copy.deepcopy(source)):
        assert twin == source
        assert hash(twin) == hash(source)
        np.testing.assert_array_equal(draw(twin, keys, real), before)
        assert twin.segments(keys).table is source.segments(keys).table, "one table in a process"
    assert source_of(9, kind).segments(keys).table is source.segments(keys).table
    assert len(pickle.dumps(source)) < 10_000


def test_copies_follow_each_real_feature(histogram):
    """As many each as can be, off by their own errors, of the size of the feature's own deviation."""
    real = np.random.default_rng(0).normal(size=(3_000, 3)).astype(np.float32)
    source = NoiseSource(3, 28, "copies", 0.5, histogram)
    errors = draw(source, random_keys(3_000), real) - np.repeat(real, [10, 9, 9], axis=1)
    np.testing.assert_allclose(errors.std(axis=0), 0.5 * np.repeat(histogram.std, [10, 9, 9]), rtol=0.1)
    assert np.abs(np.corrcoef(errors.T, real.T) - np.eye(31)).max() < 0.1


def test_a_kind_takes_what_it_needs_and_nothing_else(histogram, recording_file):
    recording = Recording.load(recording_file)
    for arguments, message in [
        ({"distribution": "shadow"}, "distribution='shadow' needs recording, got None"),
        ({"distribution": "copies"}, "distribution='copies' needs histogram, got None"),
        ({"distribution": "normal", "histogram": histogram}, "distribution='normal' takes no histogram, got"),
        (
            {"distribution": "imitate", "histogram": histogram, "recording": recording},
            "distribution='imitate' takes no recording, got",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            NoiseSource(3, 27, **arguments)
    with pytest.raises(ValueError, match="recording must describe the task's 4 features, got 3"):
        NoiseSource(4, 27, "shadow", recording=recording)


def test_fill_refuses_other_dtypes_and_shapes(source_of):
    source = NoiseSource(3, 27)
    with pytest.raises(ValueError, match="keys must be uint64"):
        source.fill(np.zeros((1, 2), np.int64), np.empty((1, 27), np.float32))
    with pytest.raises(ValueError, match="out must be float32"):
        source.fill(np.zeros((1, 2), np.uint64), np.empty((1, 27)))
    copies = source_of(27, "copies")
    for real in (None, np.zeros((1, 4), np.float32), np.zeros((1, 3))):
        with pytest.raises(ValueError, match=r"real must be float32 of shape \(1, 3\), got"):
            draw(copies, random_keys(1), real)

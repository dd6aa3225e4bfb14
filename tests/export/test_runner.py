"""The numpy runner: alone with numpy, on every kind of layer."""

import itertools
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.export import runner
from siftrl.export.actor import Actor, Layer
from siftrl.export.npz import encode, runtime
from siftrl.export.write import export_actor

ALONE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "runner"}:
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Nothing())
sys.path.insert(0, ".")
import numpy as np
import runner
actor = runner.Actor("actor.npz")
np.save("actions.npy", actor(np.load("observations.npy")))
"""


@pytest.mark.parametrize("model", ["sifted", "dense with tanh"], indirect=True)
def test_it_needs_numpy_and_nothing_else(model, tmp_path):
    observations = np.random.default_rng(2).standard_normal((5, 200), np.float32)
    export_actor(model, tmp_path / "actor.npz")
    np.save(tmp_path / "observations.npy", observations)
    shutil.copy(runner.__file__, tmp_path / "runner.py")
    subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, check=True)
    expected, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(np.load(tmp_path / "actions.npy"), expected, atol=1e-5)


def test_one_observation_or_many(sifted_model):
    from siftrl.export.actor import actor_of

    act = runtime(encode(actor_of(sifted_model)))
    observations = np.random.default_rng(3).standard_normal((4, 200))
    assert act(observations).dtype == np.float32
    assert np.array_equal(act(observations)[2], act(observations[2]))
    assert np.array_equal(act(list(observations[2])), act(observations[2]))
    with pytest.raises(ValueError, match="has 200 features, not 17"):
        act(np.zeros(17))


def test_another_format_is_refused(sifted_model, tmp_path):
    export_actor(sifted_model, tmp_path / "actor.npz")
    with np.load(tmp_path / "actor.npz") as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "format": np.int32(2)})
    with pytest.raises(ValueError, match="format 2, this runner reads format 1"):
        runner.Actor(tmp_path / "other.npz")


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    density=st.sampled_from([0.0, 0.01, 0.03, 0.1, 0.6, 1.0]),
)
def test_sparse_layers_of_any_shape_are_dense_ones_with_zeros(seed, sizes, density):
    """Neurons without a link, layers without any, and both ways of adding up included."""
    rng = np.random.default_rng(seed)
    layers, x = [], rng.standard_normal(sizes[0])
    expected = x
    for n_in, n_out in itertools.pairwise(sizes):
        mask = rng.random((n_out, n_in)) < density
        weight = np.where(mask, rng.standard_normal((n_out, n_in)), 0)
        bias, activation = rng.standard_normal(n_out), rng.choice(["relu", "tanh", "none"])
        neurons, inputs = np.nonzero(mask)
        indptr = np.concatenate([[0], np.cumsum(mask.sum(1))]).astype(np.int32)
        links = weight[neurons, inputs].astype(np.float32), bias.astype(np.float32)
        layers.append(Layer(*links, str(activation), n_in, indptr, inputs.astype(np.int32)))
        assert np.array_equal(layers[-1].dense(), weight.astype(np.float32))
        functions = {"relu": lambda y: np.maximum(y, 0), "tanh": np.tanh, "none": lambda y: y}
        expected = functions[activation](weight @ expected + bias)
    ones = np.ones(sizes[-1], np.float32)
    actor = Actor(sizes[0], np.arange(sizes[0], dtype=np.int32), tuple(layers), -ones, ones)
    np.testing.assert_allclose(runtime(encode(actor))(x), expected, rtol=1e-4, atol=1e-4)


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", timesteps=[1])
    with pytest.raises(ValueError, match="format None, this runner reads format 1"):
        runner.Actor(tmp_path / "other.npz")

"""The file of a feature history: it comes back as it was, and nothing else is taken for one."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.training.feature_history import FeatureHistory, load_features


def history(n=3, n_features=5, d=2, nets=("actor", "qf0", "qf1"), most_links=256):
    rng = np.random.default_rng(n)
    return FeatureHistory(
        timesteps=np.arange(1, n + 1) * 100,
        permutation=np.arange(n),
        relevant=rng.integers(0, n_features, (n, d)),
        feature_std=rng.random((n, n_features), np.float32),
        links={net: rng.integers(0, most_links + 1, (n, n_features), np.int32) for net in nets},
        strength={net: rng.random((n, n_features), np.float32) for net in nets},
    )


def arrays(history):
    return {
        **{name: getattr(history, name) for name in ("timesteps", "permutation", "relevant", "feature_std")},
        **{f"{kind}/{net}": array for kind in ("links", "strength") for net, array in getattr(history, kind).items()},
    }


def assert_same(left, right):
    left, right = arrays(left), arrays(right)
    assert list(left) == list(right)
    for name in left:
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name])


@given(st.integers(0, 4), st.integers(1, 40), st.integers(0, 3), st.sampled_from([0, 256, 2**16 - 1, 2**16, 10**6]))
def test_a_history_comes_back_as_it_was(n, n_features, d, most_links):
    there = history(n, n_features, d, most_links=most_links)
    assert_same(FeatureHistory.from_bytes(there.to_bytes()), there)


def test_the_file_is_a_plain_npz_that_depends_on_the_history_alone(tmp_path):
    content = history().to_bytes()
    assert content == FeatureHistory.from_bytes(content).to_bytes()
    (tmp_path / "features.npz").write_bytes(content)
    with np.load(tmp_path / "features.npz") as file:
        assert set(file) == set(arrays(history()))
        assert file["links/actor"].dtype == np.uint16
    assert_same(load_features(tmp_path), history())
    assert_same(load_features(str(tmp_path)), history())


def test_features_without_links_take_no_room(tmp_path):
    # As many records as a run keeps of so many features.
    there = history(16, 60_000, nets=("actor",))
    empty = {"actor": np.zeros((16, 60_000), np.int32)}
    there = replace(
        there, feature_std=np.ones_like(there.feature_std), links=empty, strength={"actor": there.feature_std * 0}
    )
    (tmp_path / "features.npz").write_bytes(there.to_bytes())
    assert (tmp_path / "features.npz").stat().st_size < 500_000
    assert load_features(tmp_path).n_features == 60_000


def test_rows_and_what_follows():
    there = history(5)
    assert_same(there.rows([0, 1]).followed_by(there.rows([2, 3, 4])), there)
    with pytest.raises(ValueError, match="timesteps do not increase"):
        there.followed_by(there)
    with pytest.raises(ValueError, match="cannot follow"):
        there.rows([0]).followed_by(history(5, nets=("actor",)).rows([1]))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timesteps": np.array([3, 2, 1])}, "timesteps do not increase"),
        ({"timesteps": np.array([1, 2])}, r"timesteps holds int64 of shape \(2,\)"),
        ({"relevant": np.full((3, 1), 5)}, "relevant names features beyond the 5"),
        ({"relevant": np.full((3, 1), -1)}, "relevant names features beyond the 5"),
        ({"feature_std": np.ones((3, 5))}, "feature_std holds float64"),
        ({"feature_std": np.ones(5, np.float32)}, "holds"),
        ({"links": {"actor": np.ones((3, 4), np.int32)}}, r"links/actor holds int32 of shape \(3, 4\)"),
        ({"links": {}}, "networks differ"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(history(), **changes)


def test_a_run_without_one_is_told_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"holds no features\.npz: runs write it at each evaluation and at their end\.$"):
        load_features(tmp_path)


def zip_of(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()


def npz(**changes):
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in {**arrays(history()), **changes}.items() if array is not None})
    return file.getvalue()


DAMAGED = {
    "empty": b"",
    "no zip": b"evaluations",
    "cut": history().to_bytes()[:-30],
    "without an array": npz(timesteps=None),
    "with another array": npz(extra=np.ones(3)),
    "of objects": npz(permutation=np.array([print, 1, 2], dtype=object)),
    "no array": zip_of(**{"timesteps.npy": b"timesteps"}),
    "changed": history().to_bytes()[:90] + bytes(3) + history().to_bytes()[93:],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_one_is_named_in_a_sentence(content, tmp_path):
    (tmp_path / "features.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"features\.npz cannot be read: it is no intact feature history: .") as caught:
        load_features(tmp_path)
    assert "\n" not in str(caught.value)


def test_one_that_expands_to_a_hundred_megabytes_is_not_read(tmp_path):
    (tmp_path / "features.npz").write_bytes(zip_of(**{"timesteps.npy": bytes(100_000_000)}))
    with pytest.raises(ValueError, match=r"would expand to 100\.0 MB"):
        load_features(tmp_path)


def test_a_folder_of_that_name_is_none(tmp_path):
    (tmp_path / "features.npz").mkdir()
    with pytest.raises(ValueError, match="holds no features"):
        load_features(tmp_path)

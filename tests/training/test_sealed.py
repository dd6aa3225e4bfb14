"""Sealed archives: any changed, missing or cut byte is found, and arrays come back without a second copy."""

import json
import zipfile

import numpy as np
import pytest
from siftrl.training.sealed import MANIFEST, SealedWriter, check_seal, read_array_into, versions


def write(path, **arrays):
    with path.open("wb") as file, SealedWriter(file, num_timesteps=70) as archive:
        archive.write("note.txt", b"text")
        for name, array in arrays.items():
            archive.write_array(f"{name}.npy", array)
    return path


def test_the_manifest_says_what_is_there_and_what_wrote_it(tmp_path):
    manifest = check_seal(write(tmp_path / "a.zip", a=np.arange(3)))
    assert (manifest["num_timesteps"], set(manifest["sha256"])) == (70, {"note.txt", "a.npy"})
    assert manifest["versions"] == versions()
    assert {"siftrl", "torch", "numpy", "mujoco", "python"} <= versions().keys()


def test_every_flipped_bit_and_every_cut_is_found(tmp_path):
    path = write(tmp_path / "a.zip", a=np.arange(40.0))
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        ends = archive.start_dir
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("a.npy").header_offset + 60
    for place in rng.integers(start, start + 300, 20):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"a\.zip is damaged"):
            check_seal(path)
    for length in rng.integers(0, ends, 20):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.zip is damaged"):
            check_seal(path)


def test_a_member_that_was_exchanged_is_named(tmp_path):
    path, other = write(tmp_path / "a.zip", a=np.arange(3)), tmp_path / "b.zip"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(other, "w") as forged:
        for name in archive.namelist():
            forged.writestr(name, b"else" if name == "note.txt" else archive.read(name))
    with pytest.raises(ValueError, match=r"note\.txt does not match its checksum"):
        check_seal(other)


def test_another_format_is_named(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps({"format": 99}))
    with pytest.raises(ValueError, match="its format is 99"):
        check_seal(path)


def test_a_writer_that_fails_leaves_no_manifest(tmp_path):
    path = tmp_path / "a.zip"
    with pytest.raises(ValueError, match="Object arrays"):
        write(path, a=np.array([object()]))
    with pytest.raises(ValueError, match="damaged"):
        check_seal(path)


def test_an_array_is_read_into_the_first_rows(tmp_path):
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    path, target = write(tmp_path / "a.zip", rows=rows, empty=rows[:0]), np.full((8, 3), 7, np.float32)
    with zipfile.ZipFile(path) as archive:
        read_array_into(archive, "rows.npy", target)
        read_array_into(archive, "empty.npy", np.zeros((8, 3), np.float32))
    np.testing.assert_array_equal(target[:5], rows)
    assert (target[5:] == 7).all()


@pytest.mark.parametrize(
    "target", [np.zeros((4, 3), np.float32), np.zeros((8, 2), np.float32), np.zeros((8, 3), np.float64)], ids=str
)
def test_an_array_that_does_not_fit_is_refused(target, tmp_path):
    path = write(tmp_path / "a.zip", rows=np.ones((5, 3), np.float32))
    with zipfile.ZipFile(path) as archive, pytest.raises(ValueError, match=r"rows\.npy holds float32 of shape \(5, 3\)"):
        read_array_into(archive, "rows.npy", target)

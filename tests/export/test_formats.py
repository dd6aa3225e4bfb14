"""Which format a name and a path mean."""

from pathlib import Path

import pytest
from siftrl.export.formats import FORMATS, format_of


@pytest.mark.parametrize("name", FORMATS)
def test_name_and_suffix_mean_the_same(name):
    path = Path("folder.npz") / f"actor{FORMATS[name].suffix}"
    assert format_of(name, None) == format_of(None, path) == format_of(name, path) == name


def test_what_fits_no_format_is_refused():
    with pytest.raises(ValueError, match=r"must end in .npz, .onnx, .pt, .pt2, not 'actor.bin'"):
        format_of(None, Path("actor.bin"))
    with pytest.raises(ValueError, match="format must be one of npz, onnx, torchscript, pt2, not 'npy'"):
        format_of("npy", None)
    with pytest.raises(ValueError, match=r"of format pt2 must end in .pt2, not 'actor.pt'"):
        format_of("pt2", Path("actor.pt"))


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert format_of("npz", None) == "npz"
    with pytest.raises(ValueError, match=r"needs onnx and onnxruntime: pip install 'siftrl\[export\]'"):
        format_of("onnx", None)

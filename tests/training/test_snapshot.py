"""Snapshots: plain values and arrays come back as they were, to the bit, and nothing else goes in."""

import io
import zipfile
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from siftrl.training.sealed import SealedWriter
from siftrl.training.snapshot import read_snapshot, write_snapshot


def there_and_back(tree):
    file = io.BytesIO()
    with SealedWriter(file, 0) as archive:
        write_snapshot(archive, tree)
    with zipfile.ZipFile(file) as archive:
        return read_snapshot(archive)


plain = st.none() | st.booleans() | st.integers(-(2**130), 2**130) | st.floats() | st.text()
names = st.text(min_size=1).filter(lambda name: name != "npy")


@given(st.recursive(plain, lambda leaf: st.lists(leaf, max_size=3) | st.dictionaries(names, leaf, max_size=3), max_leaves=9))
def test_plain_values_come_back_to_the_bit(tree):
    assert repr(there_and_back(tree)) == repr(tree)  # repr tells -0.0 from 0.0, and takes nan for equal


@given(hnp.arrays(st.sampled_from([np.float32, np.uint64, np.bool_]), hnp.array_shapes(min_dims=0, min_side=0)))
def test_arrays_keep_dtype_shape_and_bits(array):
    back = there_and_back({"deep": [{"array": array}]})["deep"][0]["array"]
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_numpy_scalars_stay_such_and_containers_become_lists():
    back = there_and_back({"scalar": np.float32(0.1), "tuple": (1, 2), "deque": deque([{"r": np.int64(3)}])})
    assert back == {"scalar": np.float32(0.1), "tuple": [1, 2], "deque": [{"r": 3}]}
    assert type(back["scalar"]) is np.float32


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_other_values_are_refused(value):
    with pytest.raises(TypeError, match="plain values and arrays"):
        there_and_back([value])


def test_arrays_of_objects_are_refused():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        there_and_back([np.array([object()])])

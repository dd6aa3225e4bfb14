"""What every density rule builds on: layers, link counts, and the draw of a layer's links."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.density_rule import ROLES, Density, LayerSpec, n_links
from siftrl.sparse.topology import Topology

SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 300)) | st.tuples(*[st.integers(1, 12)] * 4)


@given(shape=SHAPES, density=st.floats(1e-9, 1.0))
def test_links_are_the_rounded_share_of_places_or_an_error(shape, density):
    size = LayerSpec("0", shape, "input").size
    if density * size <= 0.5:
        with pytest.raises(ValueError, match="without a link"):
            n_links(shape, density)
    else:
        assert n_links(shape, density) == round(density * size)


def test_a_layer_is_found_by_its_name_before_its_role():
    layer = LayerSpec("mu.0", (4, 3), "input")
    assert layer.look_up({"mu.0": 1, "input": 2}, 3) == 1
    assert layer.look_up({"input": 2}, 3) == 2
    assert layer.look_up({"hidden": 2}, 3) == 3
    assert layer.is_one_of(["mu.0"])
    assert layer.is_one_of(["input", "output"])
    assert not layer.is_one_of(["mu", "output"])


class Half(Density):
    def __call__(self, layers):
        return [0.5] * len(layers)


def test_a_rule_draws_as_topologies_are_drawn_unless_it_says_otherwise():
    layer = LayerSpec("0", (20, 30), "input")
    drawn = Half().draw(layer, 0.25, np.random.default_rng(3))
    assert drawn.positions.tolist() == Topology.random((20, 30), 150, np.random.default_rng(3)).positions.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: n_links((4, 4), 0), r"density=0 is outside \(0, 1\]"),
        (lambda: n_links((4, 4), 1.5), r"density=1\.5 is outside \(0, 1\]"),
        (lambda: n_links((4, 4), 0.01), r"density=0\.01 leaves a layer of shape \(4, 4\).*one link is a density of 0\.0625"),
        (
            lambda: LayerSpec("0", (4, 4), "inptu"),
            r"role of layer '0' must be one of input, hidden, output, not 'inptu'\. Did you mean input\?",
        ),
        (lambda: LayerSpec("0", (4, 0), ROLES[0]), r"shape=\(4, 0\) of layer '0' is not \(out, in, \.\.\.\)"),
        (lambda: LayerSpec("0", (4,), ROLES[0]), r"shape=\(4,\) of layer '0' is not \(out, in, \.\.\.\)"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()

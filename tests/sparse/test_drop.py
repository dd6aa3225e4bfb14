"""Drop rules: exact counts, no favourites, and what each one goes by."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse import Topology
from siftrl.sparse.drop import (
    DROP_RULES,
    GlobalMagnitude,
    Magnitude,
    RandomDrop,
    SetSigned,
    Taylor,
    Threshold,
    WholeFeatures,
)
from siftrl.sparse.layer_state import LayerState

every_rule = pytest.mark.parametrize("rule", DROP_RULES.values(), ids=DROP_RULES)
few_values = st.sampled_from([0.0, -0.0, 0.1, -0.1, 0.2, -0.2, 1.0, -1.0])


def layer(weight, gradient=None, shape=None, positions=None) -> LayerState:
    """A layer with these weights; of one neuron that reads every feature once unless said otherwise."""
    weight = np.array(weight, dtype=np.float32)
    shape = shape or (1, weight.size)
    positions = np.arange(weight.size) if positions is None else np.array(positions)
    gradient = np.ones_like(weight) if gradient is None else np.array(gradient, dtype=np.float32)
    return LayerState(Topology(shape, positions), weight, gradient)


def drop(rule, state, n_drop, seed=0):
    return rule(state, n_drop, np.random.default_rng(seed)).tolist()


@st.composite
def layers_and_counts(draw) -> tuple[LayerState, int]:
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 10))
    size = shape[0] * shape[1]
    positions = sorted(draw(st.sets(st.integers(0, size - 1))))
    values = st.lists(few_values | st.floats(-10, 10, width=32), min_size=len(positions), max_size=len(positions))
    state = layer(draw(values), draw(values), shape, np.array(positions, dtype=np.int64))
    return state, draw(st.integers(0, len(positions)))


@every_rule
@given(case=layers_and_counts(), seed=st.integers(0, 2**32))
def test_every_rule_drops_so_many_links_and_leaves_the_layer_alone(rule, case, seed):
    state, n_drop = case
    before = state.weight.copy()
    dropped = rule()(state, n_drop, np.random.default_rng(seed))
    assert dropped.dtype == np.int64
    assert dropped.size == n_drop or (dropped.size < n_drop and not rule.exact)
    assert np.all(np.diff(dropped) > 0)
    assert np.all((dropped >= 0) & (dropped < state.weight.size))
    assert np.array_equal(dropped, rule()(state, n_drop, np.random.default_rng(seed)))
    assert np.array_equal(state.weight, before)


@every_rule
def test_ties_fall_on_every_link_alike(rule):
    newborn, rng = layer(np.zeros(10)), np.random.default_rng(0)
    counts = np.bincount(np.concatenate([rule()(newborn, 3, rng) for _ in range(5000)]), minlength=10)
    chi_square = ((counts - 1500) ** 2 / 1500).sum()
    assert chi_square < 27.9  # the 99.9 % quantile at nine degrees of freedom


@every_rule
def test_rules_compare_and_pickle(rule):
    assert pickle.loads(pickle.dumps(rule())) == rule()


@every_rule
@pytest.mark.parametrize("n_drop", [-1, 4])
def test_counts_that_cannot_be_had_are_refused(rule, n_drop):
    with pytest.raises(ValueError, match=rf"={n_drop} is outside \[0, 3\]"):
        rule()(layer([1, 2, 3]), n_drop, np.random.default_rng(0))


@pytest.mark.parametrize("rule", [rule for name, rule in DROP_RULES.items() if name not in ("random", "threshold")])
def test_diverged_weights_are_refused(rule):
    with pytest.raises(ValueError, match="NaN"):
        rule()(layer([1, np.nan, -1]), 1, np.random.default_rng(0))


def test_magnitude_by_hand():
    assert drop(Magnitude(), layer([0.5, -0.01, 0.02, -0.5, 0.03, 0.0]), 3) == [1, 2, 5]


@given(case=layers_and_counts())
def test_set_signed_drops_the_same_fraction_from_either_side(case):
    state, n_drop = case
    weight, dropped = state.weight, SetSigned()(state, n_drop, np.random.default_rng(0))
    for side in (weight >= 0, weight < 0):
        gone = np.intersect1d(np.flatnonzero(side), dropped)
        kept = np.setdiff1d(np.flatnonzero(side), dropped)
        assert abs(gone.size - n_drop * side.sum() / max(weight.size, 1)) <= 0.5
        assert max(np.abs(weight[gone]), default=0) <= min(np.abs(weight[kept]), default=np.inf)


@pytest.mark.parametrize(
    ("n_drop", "dropped"),
    [
        (2, [1, 5]),  # five of eight are not negative and give 1.25, so one: the zero; the negatives give one
        (3, [1, 2, 5]),  # 1.875, so two
        (5, [1, 2, 4, 5, 7]),  # 3.125, so three
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_set_signed_by_hand(n_drop, dropped):
    assert drop(SetSigned(), layer([0.5, -0.01, 0.02, -0.5, 0.03, 0.0, 0.9, -0.02]), n_drop) == dropped


def test_random_drop_does_not_look_at_the_weights():
    large, small = layer([9, 9, 9, 0, 0, 0]), layer([0, 0, 0, 9, 9, 9])
    assert drop(RandomDrop(), large, 3) == drop(RandomDrop(), small, 3)


def test_taylor_drops_the_least_product_of_weight_and_gradient():
    state = layer([1.0, -0.1, 3.0, 0.5], gradient=[0.1, -9.0, 0.01, 0.5])  # squares: 0.01, 0.81, 0.0009, 0.0625
    assert drop(Taylor(), state, 2) == [0, 2]
    with pytest.raises(ValueError, match="gradient is None"):
        drop(Taylor(), LayerState(state.topology, state.weight), 2)


@pytest.mark.parametrize(
    ("cap", "dropped"),
    [(0, []), (1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (5, [1, 2, 3])],  # 0.3 lies on the threshold and stays
)
def test_threshold_drops_what_is_below_it_up_to_the_cap(cap, dropped):
    assert drop(Threshold(0.3), layer([0.3, 0.0, -0.29, 0.1, 5.0]), cap) == dropped


class TestWholeFeatures:
    # Features 0 to 3 with 3, 1, 2 and 0 links: strengths 0.6, 0.5, 4.1 and 0.
    STATE = layer([0.3, -0.1, 0.2, 0.5, -4.0, 0.1], shape=(3, 4), positions=[0, 1, 2, 4, 6, 8])

    @pytest.mark.parametrize(
        ("n_drop", "dropped"),
        [
            (0, []),
            (1, [3]),
            (2, [1, 3]),  # of feature 0 the weakest link
            (4, [0, 1, 2, 3]),
            (5, [0, 1, 2, 3, 5]),
            (6, [0, 1, 2, 3, 4, 5]),
        ],
    )
    def test_by_hand(self, n_drop, dropped):
        assert drop(WholeFeatures(), self.STATE, n_drop) == dropped

    @given(case=layers_and_counts(), seed=st.integers(0, 2**32))
    def test_features_go_whole_the_weakest_first_and_at_most_one_in_part(self, case, seed):
        state, n_drop = case
        dropped = WholeFeatures()(state, n_drop, np.random.default_rng(seed))
        fan_out = state.topology.fan_out()
        gone = np.bincount(state.topology.inputs[dropped], minlength=fan_out.size)
        whole, part, kept = (gone == fan_out) & (fan_out > 0), (gone > 0) & (gone < fan_out), (gone == 0) & (fan_out > 0)
        strength = state.strength()
        assert part.sum() <= 1
        assert max(strength[whole | part], default=0) <= min(strength[kept], default=np.inf)
        assert max(strength[whole], default=0) <= min(strength[part], default=np.inf)


class TestGlobalMagnitude:
    def test_one_threshold_decides_what_each_layer_loses(self):
        layers = [layer([1, 2, 3, 4]), layer([0.1, 0.2, 0.3, 5]), layer([10, 20, 30, 40])]
        rng = np.random.default_rng(0)
        assert GlobalMagnitude(floor=0).shares(layers, [2, 3, 2], rng) == [2, 3, 0]  # five together, all below 3
        assert Magnitude().shares(layers, [2, 3, 2], rng) == [2, 1, 2]

    def test_no_layer_falls_below_the_floor(self):
        layers = [layer([1, 2, 3, 4]), layer([0.1, 0.2, 0.3, 0.4])]
        assert GlobalMagnitude(floor=0.5).shares(layers, [2, 3], np.random.default_rng(0)) == [1, 2]
        assert GlobalMagnitude(floor=0.0).shares(layers, [2, 2], np.random.default_rng(0)) == [1, 3]  # one link stays
        assert [GlobalMagnitude(floor=0.01).fewest(size) for size in (20, 1000)] == [1, 10]

    @given(cases=st.lists(layers_and_counts(), min_size=1, max_size=4), seed=st.integers(0, 2**32))
    def test_all_layers_together_lose_what_was_asked_for(self, cases, seed):
        rule, layers = GlobalMagnitude(floor=0.1), [state for state, _ in cases]
        fewest = [min(state.weight.size, rule.fewest(state.topology.size)) for state in layers]
        n_links = [max(n, least) for (_, n), least in zip(cases, fewest, strict=True)]
        lost = rule.shares(layers, n_links, np.random.default_rng(seed))
        left = [state.weight.size - n for state, n in zip(layers, lost, strict=True)]
        assert sum(left) == sum(n_links)
        assert all(n >= least for n, least in zip(left, fewest, strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Threshold(0.0), r"threshold=0\.0 is not positive"),
        (lambda: Threshold(float("nan")), "threshold=nan"),
        (lambda: GlobalMagnitude(floor=1.0), r"floor=1\.0 is outside \[0, 1\)"),
        (lambda: GlobalMagnitude(floor=-0.1), r"floor=-0\.1"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

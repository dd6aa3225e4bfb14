"""Grow rules: exact counts on places that are free, and what each one goes by."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse import Topology
from siftrl.sparse.choice import sample_distinct
from siftrl.sparse.grow import (
    GROW_RULES,
    EvidenceGrowth,
    FanInGrowth,
    GradientGrowth,
    MomentumGrowth,
    NeverTriedFirst,
    RandomGrowth,
)
from siftrl.sparse.layer_state import LayerState

every_rule = pytest.mark.parametrize("rule", GROW_RULES.values(), ids=GROW_RULES)
NOTHING = np.empty(0, np.int64)


def layer(topology: Topology, gradient=None, seed=0, **evidence) -> LayerState:
    """A layer with all that any rule may ask for."""
    rng = np.random.default_rng(seed)
    if gradient is None:
        gradient = rng.integers(-3, 4, topology.size)  # small whole numbers tie
    gradient = np.array(gradient, dtype=np.float32)
    tried = topology.mask().T.reshape(-1) | (rng.random(topology.size) < 0.2)
    weight = np.ones(topology.n_links, np.float32)
    return LayerState(
        topology,
        weight,
        moments=(gradient, gradient**2),
        **{"tried": tried, "evidence": rng.random(topology.shape[1]), **evidence},
    )


def for_rule(rule, state: LayerState) -> LayerState:
    moments = state.moments[: len(rule.decays)]
    return LayerState(state.topology, state.weight, None, moments, state.tried, state.evidence)


@every_rule
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 30)),
    density=st.floats(0, 1),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    allow_regrowth=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_every_rule_grows_exactly_so_many_links_where_there_are_none(rule, shape, density, shares, allow_regrowth, seed):
    rng, grow = np.random.default_rng(seed), rule(allow_regrowth=allow_regrowth)
    topology = Topology.random(shape, int(density * shape[0] * shape[1]), rng)
    dropped = sample_distinct(topology.n_links, int(shares[0] * topology.n_links), rng)
    survivors = np.delete(topology.positions, dropped)
    taken = survivors if allow_regrowth or grow.keeps_fan_in else topology.positions
    n_grow = dropped.size if grow.keeps_fan_in else int(shares[1] * (topology.size - taken.size))
    state = for_rule(grow, layer(topology, seed=seed))
    before = [moment.copy() for moment in state.moments]

    grown, again = (grow(state, dropped, n_grow, np.random.default_rng(seed)) for _ in range(2))

    assert grown.dtype == np.int64
    assert grown.shape == (n_grow,)
    assert np.all(np.diff(grown) > 0)
    assert np.all((grown >= 0) & (grown < topology.size))
    assert np.intersect1d(grown, taken).size == 0
    assert np.array_equal(grown, again)
    assert all(np.array_equal(one, other) for one, other in zip(before, state.moments, strict=True))


@every_rule
def test_rules_compare_and_pickle(rule):
    assert rule().allow_regrowth is False
    assert pickle.loads(pickle.dumps(rule(allow_regrowth=True))) == rule(allow_regrowth=True) != rule()


@every_rule
def test_too_many_links_are_refused(rule):
    state = for_rule(rule(), layer(Topology((1, 3), np.array([1]))))
    with pytest.raises(ValueError, match=r"(n_grow|k)=3"):
        rule()(state, NOTHING, 3, np.random.default_rng(0))


@pytest.mark.parametrize("rule", [rule for rule in GROW_RULES.values() if rule.decays])
def test_where_nothing_slopes_growth_is_random(rule):
    state = for_rule(rule(), layer(Topology((1, 15), np.arange(5)), gradient=np.zeros(15)))
    rng = np.random.default_rng(0)
    # Rules that keep the fan-in put back as many as were dropped.
    dropped = np.arange(3) if rule.keeps_fan_in else NOTHING
    counts = np.bincount(np.concatenate([rule()(state, dropped, 3, rng) for _ in range(5000)]), minlength=15)
    assert counts[:5].sum() == 0
    assert ((counts[5:] - 1500) ** 2 / 1500).sum() < 27.9  # the 99.9 % quantile at nine degrees of freedom


@pytest.mark.parametrize("rule", [rule for rule in GROW_RULES.values() if rule.decays])
def test_missing_gradients_and_nan_are_refused(rule):
    topology = Topology((1, 3), np.array([0]))
    n_grow, dropped = 1, np.array([0]) if rule.keeps_fan_in else NOTHING
    for moments in ((), (np.zeros((1, 3), np.float32),) * len(rule.decays)):
        with pytest.raises(ValueError, match=r"of shape \(3,\): has no backward"):
            rule()(LayerState(topology, np.ones(1), moments=moments), dropped, n_grow, np.random.default_rng(0))
    state = for_rule(rule, layer(topology, gradient=[0, np.nan, 1]))
    with pytest.raises(ValueError, match="scores hold NaN"):
        rule()(state, dropped, n_grow, np.random.default_rng(0))


def test_random_growth_may_take_back_what_was_dropped_only_where_that_is_allowed():
    state = layer(Topology((1, 4), np.array([0, 1, 2, 3])))
    assert RandomGrowth(allow_regrowth=True)(state, np.array([1, 2]), 2, np.random.default_rng(0)).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"k=2 is outside \[0, 0\]"):
        RandomGrowth()(state, np.array([1, 2]), 2, np.random.default_rng(0))


class TestGradientGrowth:
    def test_takes_the_steepest_empty_places(self):
        rng = np.random.default_rng(0)
        gradient = rng.permutation(np.linspace(-1, 1, 1001)[1:] + 1e-4).astype(np.float32)
        topology = Topology.random((10, 100), 300, rng)
        grown = GradientGrowth()(for_rule(GradientGrowth(), layer(topology, gradient)), NOTHING, 50, rng)
        empty = np.setdiff1d(np.arange(1000), topology.positions)
        assert grown.tolist() == sorted(empty[np.argsort(-np.abs(gradient[empty]))[:50]])

    def test_infinite_gradients_come_first_and_nan_at_a_taken_place_does_not_matter(self):
        state = for_rule(GradientGrowth(), layer(Topology((1, 4), np.array([0])), [np.nan, 1.0, -np.inf, 2.0]))
        assert GradientGrowth()(state, NOTHING, 2, np.random.default_rng(0)).tolist() == [2, 3]


def test_momentum_growth_divides_by_the_size_of_the_gradient():
    mean, square = np.array([9.0, 0.1, -3.0, 1.0], np.float32), np.array([1.0, 0.01, 900.0, 4.0], np.float32)
    state = LayerState(Topology((1, 4), np.array([0])), np.ones(1), moments=(mean, square))  # ratios 9, 1, 0.1, 0.5
    assert MomentumGrowth()(state, NOTHING, 2, np.random.default_rng(0)).tolist() == [1, 3]


class TestNeverTriedFirst:
    @given(seed=st.integers(0, 2**32), n_grow=st.integers(1, 7))
    def test_covers_every_place_before_it_repeats_one(self, seed, n_grow):
        rng, size = np.random.default_rng(seed), 60
        topology = Topology.random((6, 10), n_grow + 3, rng)
        tried, n_repeated = topology.mask().T.reshape(-1), 0
        while not tried.all():
            dropped = sample_distinct(topology.n_links, n_grow, rng)
            grown = NeverTriedFirst()(layer(topology, tried=tried), dropped, n_grow, rng)
            assert min(n_grow, (~tried).sum()) == (~tried[grown]).sum()
            n_repeated += tried[grown].sum()
            topology, _ = topology.rewire(dropped, grown)
            tried[grown] = True
        assert n_repeated == -(size - n_grow - 3) % n_grow

    def test_once_all_were_tried_every_empty_place_is_as_likely_as_any_other(self):
        state, rng = layer(Topology((1, 15), np.arange(5)), tried=np.ones(15, bool)), np.random.default_rng(0)
        counts = np.bincount(np.concatenate([NeverTriedFirst()(state, NOTHING, 3, rng) for _ in range(5000)]), minlength=15)
        assert counts[:5].sum() == 0
        assert ((counts[5:] - 1500) ** 2 / 1500).sum() < 27.9


class TestFanInGrowth:
    def test_each_neuron_takes_its_own_steepest_places(self):
        # Neuron 0 reads features 0 and 1, neuron 1 features 0 and 2; both lose feature 0.
        topology = Topology.from_mask(np.array([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=bool))
        gradient = [9, 9, 9, 2, 5, 9, 6, 1]  # by feature: neuron 0, neuron 1
        state = for_rule(FanInGrowth(), layer(topology, gradient))
        dropped = np.flatnonzero(topology.inputs == 0)
        assert FanInGrowth()(state, dropped, 2, np.random.default_rng(0)).tolist() == [
            3,
            6,
        ]  # neuron 0 from feature 3, 1 from 1
        allowed = FanInGrowth(allow_regrowth=True)(state, dropped, 2, np.random.default_rng(0))
        assert allowed.tolist() == [0, 1]

    @given(
        shape=st.tuples(st.integers(1, 8), st.integers(1, 12)),
        density=st.floats(0, 1),
        share=st.floats(0, 1),
        seed=st.integers(0, 2**32),
    )
    def test_no_neuron_gains_or_loses_links(self, shape, density, share, seed):
        rng = np.random.default_rng(seed)
        topology = Topology.random(shape, int(density * shape[0] * shape[1]), rng)
        dropped = sample_distinct(topology.n_links, int(share * topology.n_links), rng)
        grown = FanInGrowth()(for_rule(FanInGrowth(), layer(topology, seed=seed)), dropped, dropped.size, rng)
        after, _ = topology.rewire(dropped, grown)
        assert after.fan_in().tolist() == topology.fan_in().tolist()
        # What was dropped comes back only to neurons that have no other place.
        back = np.intersect1d(grown, topology.positions)
        full = shape[1] - topology.fan_in() < np.bincount(topology.neurons[dropped], minlength=shape[0])
        assert full[back % shape[0]].all()

    def test_another_number_than_was_lost_is_refused(self):
        state = for_rule(FanInGrowth(), layer(Topology((1, 3), np.array([0]))))
        with pytest.raises(ValueError, match="n_grow=1 is not 0"):
            FanInGrowth()(state, NOTHING, 1, np.random.default_rng(0))


class TestEvidenceGrowth:
    def test_grows_at_the_features_that_others_read_most(self):
        topology = Topology((3, 4), np.array([0, 7]))  # neuron 0 from feature 0, neuron 1 from feature 2
        state = layer(topology, evidence=np.array([5.0, 1.0, 9.0, 1.0]))
        grown = EvidenceGrowth()(state, NOTHING, 4, np.random.default_rng(0))
        assert grown.tolist() == [1, 2, 6, 8]  # what is left of features 2 and 0
        one_more = Counter(EvidenceGrowth()(state, NOTHING, 5, np.random.default_rng(seed))[2] for seed in range(300))
        assert set(one_more) == {3, 4, 5, 6}  # of features 1 and 3, which tie, any place; else the first of feature 2

    def test_without_evidence_it_is_random_growth(self):
        state = layer(Topology((3, 4), np.array([0, 7])), evidence=None)
        grown, random = (rule()(state, NOTHING, 4, np.random.default_rng(0)) for rule in (EvidenceGrowth, RandomGrowth))
        assert np.array_equal(grown, random)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientGrowth(window_updates=0), "window_updates=0 is below 1"),
        (lambda: MomentumGrowth(window_updates=-2), "window_updates=-2 is below 1"),
        (lambda: FanInGrowth(window_updates=0), "window_updates=0 is below 1"),
        (lambda: MomentumGrowth(decays=(0.9,)), r"decays=\(0\.9,\) are not two numbers in \(0, 1\]"),
        (lambda: MomentumGrowth(decays=(0.9, 1.1)), r"decays=\(0\.9, 1\.1\)"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

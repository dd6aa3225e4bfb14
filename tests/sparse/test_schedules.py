"""Schedules: the published decay, the steps that are due, and what a wrong one is told."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.sparse.density import ERK, Explicit, InputOnly, LayerSpec, Uniform
from siftrl.sparse.schedules import DECAYS, Falling, Schedule


def due_steps(schedule: Schedule, until: int) -> list[int]:
    return [step for step in range(until + 1) if schedule.due(step)]


def test_cosine_from_a_half_to_two_hundredths():
    schedule = Schedule(fraction=0.5, min_fraction=0.005, decay="cosine", stop_updates=1000)
    assert [round(schedule.fraction_at(step), 4) for step in (0, 250, 500, 750, 1000)] == [
        0.5,
        0.4275,
        0.2525,
        0.0775,
        0.005,
    ]


def test_linear_falls_evenly():
    schedule = Schedule(fraction=0.5, min_fraction=0.1, decay="linear", stop_updates=1000)
    assert [schedule.fraction_at(step) for step in (0, 250, 500, 1000)] == pytest.approx([0.5, 0.4, 0.3, 0.1])


def test_an_exponent_makes_the_power_decay():
    schedule = Schedule(fraction=0.5, min_fraction=0.1, decay="linear", exponent=3, stop_updates=1000)
    assert [schedule.fraction_at(step) for step in (0, 250, 500, 1000)] == pytest.approx([0.5, 0.26875, 0.15, 0.1])
    assert Schedule(fraction=0.5, exponent=3, stop_updates=1000).fraction_at(900) == 0.5  # constant stays so


def test_progress_is_measured_from_step_zero_also_with_a_late_start():
    late, early = (Schedule(fraction=0.5, decay="cosine", start_updates=s, stop_updates=1000) for s in (500, 0))
    assert late.fraction_at(700) == early.fraction_at(700)


def test_due_every_period_from_start_to_stop_both_included():
    assert due_steps(Schedule(period_updates=10), 35) == [10, 20, 30]
    assert due_steps(Schedule(period_updates=10, start_updates=20, stop_updates=40), 100) == [20, 30, 40]
    assert due_steps(Schedule(period_updates=10, start_updates=21, stop_updates=39), 100) == [30]
    assert due_steps(Schedule(period_updates=1, stop_updates=3), 9) == [1, 2, 3]


@given(period=st.integers(1, 9), start=st.integers(0, 20), stop=st.none() | st.integers(20, 40), step=st.integers(0, 60))
def test_the_next_rewiring_is_the_first_one_due(period, start, stop, step):
    schedule = Schedule(period_updates=period, start_updates=start, stop_updates=stop)
    assert schedule.next_due(step) == next((due for due in range(step, 100) if schedule.due(due)), None)


def test_the_way_ends_exactly_at_the_last_rewiring():
    schedule = Schedule(period_updates=10, stop_updates=47)
    assert [schedule.progress(step) for step in (0, 10, 40, 47, 90)] == [0, 0.25, 1, 1, 1]


def test_the_way_begins_at_the_first_update_that_may_rewire():
    schedule = Schedule(period_updates=10, start_updates=20, stop_updates=67)
    assert [schedule.progress(step) for step in (0, 10, 20, 30, 40, 60, 70)] == [0, 0, 0, 0.25, 0.5, 1, 1]
    alone = Schedule(period_updates=10, start_updates=20, stop_updates=29)  # a single rewiring does all of it
    assert [alone.progress(step) for step in (10, 20, 30)] == [0, 1, 1]


@given(decay=st.sampled_from(list(DECAYS)), fraction=st.floats(0, 1), step=st.integers(0, 10**7))
def test_without_an_end_nothing_stops_and_the_fraction_stays(decay, fraction, step):
    schedule = Schedule(period_updates=5, fraction=fraction, decay=decay)
    assert schedule.fraction_at(step) == fraction
    assert schedule.due(5 * (step + 1))


@given(
    decay=st.sampled_from(list(DECAYS)),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    stop=st.integers(1, 10**6),
    share=st.floats(0, 1),
)
def test_every_decay_falls_from_the_fraction_to_its_minimum(decay, bounds, stop, share):
    schedule = Schedule(fraction=bounds[1], min_fraction=bounds[0], decay=decay, stop_updates=stop)
    end = bounds[1] if decay == "constant" else bounds[0]
    step = int(share * stop)
    assert schedule.fraction_at(0) == bounds[1]
    assert schedule.fraction_at(stop) == schedule.fraction_at(10 * stop) == end
    assert end - 1e-12 <= schedule.fraction_at(step + 1) <= schedule.fraction_at(step) + 1e-12 <= bounds[1] + 2e-12


def test_schedules_pickle_compare_and_take_numpy_integers():
    schedule = Schedule(period_updates=np.int64(100), stop_updates=np.int32(1000))
    assert schedule == pickle.loads(pickle.dumps(schedule))
    assert type(schedule.period_updates) is type(schedule.stop_updates) is int


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"period_updates": 0}, ValueError, "period_updates=0 is below 1"),
        ({"period_updates": 1e3}, TypeError, r"period_updates=1000\.0 is not a whole number of optimiser steps"),
        ({"start_updates": -1}, ValueError, "start_updates=-1 is below 0"),
        ({"stop_updates": 0}, ValueError, "stop_updates=0 is below 1"),
        ({"start_updates": 20, "stop_updates": 10}, ValueError, "stop_updates=10 is below 20"),
        ({"stop_updates": "soon"}, TypeError, "stop_updates='soon' is not a whole number of optimiser steps"),
        ({"fraction": 1.5}, ValueError, r"fraction=1\.5 is outside \[0, 1\]"),
        ({"fraction": float("nan")}, ValueError, r"fraction=nan is outside \[0, 1\]"),
        ({"min_fraction": 0.1}, ValueError, r"min_fraction=0\.1 is outside \[0, 0\.05\]"),
        ({"exponent": 0}, ValueError, "exponent=0 is not a positive, finite number"),
        ({"decay": "cosin"}, ValueError, "decay='cosin' is not one of 'constant', 'linear', 'cosine'"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_would_be_right(arguments, error, message):
    with pytest.raises(error, match=message):
        Schedule(**arguments)


# A density that falls

MLP = [LayerSpec("0", (256, 170), "input"), LayerSpec("2", (256, 256), "hidden"), LayerSpec("4", (6, 256), "output")]


@pytest.mark.parametrize(
    ("n_start", "expected"),
    [(50_000, [50_000, 26_875, 15_000, 10_625, 10_000]), (100_000, [100_000, 47_969, 21_250, 11_406, 10_000])],
)
def test_the_cubic_from_a_half_and_from_dense_to_a_tenth(n_start, expected):
    rule = Falling(Uniform(0.5), Uniform(0.1))
    assert [rule.n_links(n_start, 10_000, progress) for progress in (0, 0.25, 0.5, 0.75, 1)] == expected


def test_before_it_begins_nothing_falls():
    rule = Falling(Uniform(1.0), Uniform(0.1), begin=0.25)
    assert [rule.n_links(1000, 100, progress) for progress in (0, 0.25, 0.625, 1)] == [1000, 1000, 212, 100]


def test_a_layer_never_rises():
    rule = Falling(ERK(0.2), InputOnly(0.02))
    assert rule(MLP) == [max(pair) for pair in zip(ERK(0.2)(MLP), [0.02, 1, 1], strict=True)]
    assert rule.n_links(100, 200, 0.5) == 100


def test_only_what_ends_dense_stays_dense():
    assert Falling(Uniform(1.0), ERK(0.1)).stays_dense(MLP) == [False, False, True]
    assert Falling(Uniform(1.0), ERK(0.1))(MLP) == [1.0, 1.0, 1.0]
    assert Explicit({"0": 0.1}).stays_dense(MLP) == [False, True, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Falling(Uniform(1.0), Uniform(0.1), begin=1.0), r"begin=1\.0 is outside \[0, 1\)"),
        (lambda: Falling(Uniform(0.1), Uniform(0.2))(MLP), r"end=Uniform\(density=0\.2.* is nowhere below start=Uniform"),
        (lambda: Schedule(period_updates=10).progress(5), "stop_updates=None must be the step by which the density"),
        (lambda: Schedule(period_updates=10, stop_updates=9).progress(5), "stop_updates=9 .* every period_updates=10 steps"),
        (lambda: Schedule(10, start_updates=35, stop_updates=39).progress(5), "stop_updates=39"),
    ],
)
def test_a_fall_that_cannot_be_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

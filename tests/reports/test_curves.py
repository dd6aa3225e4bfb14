"""Rows become curves, in whatever order they come, or are refused."""

import numpy as np
import pytest
from siftrl.reports.curves import gather_curves


def rows(seeds=(0, 1), steps=(10, 20, 30), method="anf", task="Ant-v5"):
    return [
        {"method": method, "task": task, "seed": seed, "step": step, "mean_return": 100 * seed + step}
        for seed in seeds
        for step in steps
    ]


def test_rows_may_be_text_and_in_any_order():
    long = [*rows(), *rows(method="dense", seeds=(7,))]
    shuffled = [
        {name: str(value) for name, value in long[place].items()} for place in np.random.default_rng(0).permutation(9)
    ]
    curves = gather_curves(shuffled)["Ant-v5"]
    assert curves["anf"].returns.tolist() == [[10, 20, 30], [110, 120, 130]]
    assert curves["anf"].steps.tolist() == [10, 20, 30]
    assert curves["dense"].seeds.tolist() == [7]


def test_tasks_and_methods_keep_their_order():
    long = [*rows(task="Walker2d-v5"), *rows(), *rows(method="dense", task="Walker2d-v5")]
    assert {task: list(methods) for task, methods in gather_curves(long).items()} == {
        "Walker2d-v5": ["anf", "dense"],
        "Ant-v5": ["anf"],
    }


def test_runs_of_different_length_are_refused_until_they_are_cut():
    long = [*rows(seeds=(0,)), *rows(seeds=(1,), steps=(10, 20))]
    with pytest.raises(ValueError, match="seed 0 was 3 times up to step 30 and seed 1 2 times up to step 20"):
        gather_curves(long)
    assert gather_curves(long, until=20)["Ant-v5"]["anf"].returns.tolist() == [[10, 20], [110, 120]]


def test_rows_that_are_no_curves_are_refused():
    with pytest.raises(ValueError, match="step 20 of seed 1 of anf on Ant-v5 twice"):
        gather_curves([*rows(), *rows(seeds=(1,), steps=(20,))])
    with pytest.raises(ValueError, match="one lacks method, task"):
        gather_curves([{"recipe": "anf", "seed": 0, "step": 10, "mean_return": 1.0}])
    with pytest.raises(ValueError, match="hold none"):
        gather_curves([])
    with pytest.raises(ValueError, match="hold none"):
        gather_curves(rows(), until=5)

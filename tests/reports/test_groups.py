"""Runs are sorted by what they differ in, and compared where that is fair."""

import numpy as np
import pytest
from siftrl.reports.groups import group_runs
from siftrl.reports.runs import read_run


@pytest.fixture
def grouped(make_run):
    """Groups of runs that are given by their options."""

    def group(*options, returns=((1.0,), (2.0,))):
        runs = [make_run(f"{number}", **{"returns": returns, **given}) for number, given in enumerate(options)]
        return group_runs([read_run(run) for run in runs])

    return group


def methods(groups):
    return {group.task: {name: len(runs) for name, runs in group.methods.items()} for group in groups}


def test_tasks_and_methods_are_named_by_what_differs(grouped):
    runs = [
        {"recipe": "anf", "seed": 0},
        {"recipe": "anf", "seed": 1},
        {"recipe": "set", "density": 0.1, "seed": 0},
        {"recipe": "set", "density": 0.2, "seed": 0},
        {"recipe": "anf", "noise": 0.5},
    ]
    assert methods(grouped(*runs)) == {
        "Pendulum-v1, noise 0.75": {"sac anf": 2, "sac set, density 0.1": 1, "sac set, density 0.2": 1},
        "Pendulum-v1, noise 0.5": {"sac anf": 1},
    }


def test_values_that_look_alike_are_told_apart(grouped):
    names = methods(grouped({"learning_rate": 1e-4}, {"learning_rate": 1.0000001e-4}))["Pendulum-v1, noise 0.75"]
    assert len(names) == 2


def test_conditions_make_tasks(grouped):
    assert list(methods(grouped({}, {"noise_std": 2.0}))) == [
        "Pendulum-v1, noise 0.75, noise-std 1", "Pendulum-v1, noise 0.75, noise-std 2"
    ]  # fmt: skip


def test_of_the_same_run_the_longer_one_counts(grouped):
    (group,) = grouped({}, {"returns": ((1.0,), (2.0,), (3.0,)), "n_timesteps": 200}, {"seed": 1})
    assert [run.folder.name for run in group.methods["sac sift"]] == ["1", "2"]
    (sentence,) = group.left_out
    assert "/0 has the options and the seed of" in sentence


def test_unfinished_runs_are_left_out_beside_finished_ones(grouped):
    (group,) = grouped({"n_timesteps": 300, "returns": ((1.0,), (2.0,), (3.0,))}, {"n_timesteps": 300, "seed": 1})
    assert [run.config.seed for run in group.methods["sac sift"]] == [0]
    assert group.left_out[0].endswith("has come to step 200 of 300.")


def test_among_unfinished_runs_all_are_compared_as_far_as_they_got(grouped):
    (group,) = grouped(*({"n_timesteps": 900, "seed": seed, "returns": ((1.0,),) * (2 + seed)} for seed in range(3)))
    rows = group.rows()
    assert {row["seed"] for row in rows} == {0, 1, 2}
    assert max(row["step"] for row in rows) == 200
    assert not group.left_out


def begins_at(folder, first):
    """Move a run's evaluations, as those of a run that began from a saved model."""
    with np.load(folder / "evaluations.npz") as arrays:
        later = {**arrays, "timesteps": arrays["timesteps"] + first - arrays["timesteps"][0]}
    np.savez(folder / "evaluations.npz", **later)


def test_a_curve_that_begins_later_is_left_out(make_run):
    runs = [make_run(f"{seed}", returns=((1.0,), (2.0,)), n_timesteps=500, seed=seed) for seed in range(3)]
    begins_at(runs[2], 300)
    (group,) = group_runs([read_run(run) for run in runs])
    assert {row["seed"] for row in group.rows()} == {0, 1}
    (sentence,) = group.left_out
    assert sentence.endswith("has no evaluation before step 300; others have from step 100 on.")


@pytest.mark.parametrize("order", [1, -1])
def test_of_the_same_run_the_one_from_the_beginning_counts(make_run, order):
    runs = [make_run(name, returns=((1.0,), (2.0,)), n_timesteps=500) for name in "ab"]
    begins_at(runs[1], 300)
    (group,) = group_runs([read_run(run) for run in runs[::order]])
    assert [run.folder.name for run in group.methods["sac sift"]] == ["a"]


@pytest.mark.parametrize("option", [{"replay_noise": "fresh"}, {"quiet_start": True}, {"on_permute": "clear"}])
def test_what_an_agent_makes_of_noise_makes_methods(grouped, option):
    (of_task,) = methods(grouped({"recipe": "anf"}, {"recipe": "anf", **option})).values()
    assert len(of_task) == 2

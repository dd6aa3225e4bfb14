"""Draws depend on the seed, the trial's number and the trials before, not on what the process drew."""

import optuna
from siftrl.tuning.sampler import SteadyTPE
from siftrl.tuning.space import distributions
from siftrl.tuning.values import Choices, Range

SPACE = distributions({"a": Range(1e-4, 1.0), "b": Range(1, 100), "c": Choices(("x", "y"))})


def run(n_trials, fresh_each_time, seed=0):
    study = optuna.create_study(direction="maximize", sampler=SteadyTPE(SPACE, seed))
    for _ in range(n_trials):
        if fresh_each_time:
            study.sampler = SteadyTPE(SPACE, seed)
        trial = study.ask(SPACE)
        study.tell(trial, -abs(trial.params["a"] - 0.1) - trial.params["b"])
    return [trial.params for trial in study.trials]


def test_a_new_sampler_goes_on_as_the_old_one_would_have():
    assert run(20, fresh_each_time=True) == run(20, fresh_each_time=False)


def test_draws_differ_by_trial_parameter_and_seed():
    drawn = run(20, fresh_each_time=False)
    assert len({params["a"] for params in drawn}) == 20
    assert drawn != run(20, fresh_each_time=False, seed=1)
    space = distributions({"a": Range(0.0, 1.0), "b": Range(0.0, 1.0)})
    study = optuna.create_study(sampler=SteadyTPE(space, 0))
    params = study.ask(space).params
    assert params["a"] != params["b"]


def test_later_draws_follow_what_was_good():
    values = [params["b"] for params in run(60, fresh_each_time=False)]
    assert sum(values[40:]) < sum(values[:20]) / 2


def test_trials_that_lack_a_parameter_do_not_stop_the_joint_model():
    study = optuna.create_study(sampler=SteadyTPE(SPACE, 0))
    study.tell(study.ask(), 0.0)
    for _ in range(12):
        study.tell(study.ask(SPACE), 0.0)
    trial = study.ask()
    assert set(trial.relative_params) == {"a", "b", "c"}

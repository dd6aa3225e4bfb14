"""Plans: what a user's options come to, and what a search goes on with."""

import json

import pytest
from siftrl.tuning.options import SearchOptions
from siftrl.tuning.plan import PLAN, Plan, keep_plan, make_plan, read_plan
from siftrl.tuning.values import Range

BASE = {"recipe": "set", "env": "Pendulum-v1", "noise": 0.5, "n_timesteps": 3000}


def plan(search=None, wishes=None, **options):
    return make_plan({**BASE, **options}, SearchOptions(**(search or {})), wishes or {})


def test_short_runs_are_evaluated_and_saved_ten_times():
    assert (plan().base.eval_freq, plan().base.save_freq) == (300, 300)
    long = plan(n_timesteps=1_000_000).base
    assert (long.eval_freq, long.save_freq) == (5000, 50_000)
    assert plan(eval_freq=1000).base.eval_freq == 1000
    assert plan(n_timesteps=105).base.eval_freq == 10


def test_a_run_has_the_parameters_and_the_seed_and_the_rest_of_the_plan():
    config = plan(learning_rate=1e-3).config({"density": 0.05}, 1001)
    assert (config.density, config.seed, config.learning_rate, config.noise) == (0.05, 1001, 1e-3, 0.5)


def test_the_recipes_own_parameters_are_those_within_the_space():
    assert plan().own_parameters() == {
        "density": 0.2, "period_updates": 1000, "drop_fraction": 0.05, "learning_rate": 3e-4, "weight_decay": 0.0
    }  # fmt: skip
    assert "density" not in plan(wishes={"density": Range(0.01, 0.1)}).own_parameters()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eval_freq": 0}, r"eval-freq must be from 1 to n-timesteps \(3000\), not 0"),
        ({"eval_freq": 4000}, r"eval-freq must be from 1 to n-timesteps \(3000\), not 4000"),
        ({"hparams": "paper"}, "n-timesteps must be above 10000, where updates start, not 3000"),
        ({"learning_starts": 3000}, "n-timesteps must be above 3000"),
    ],
)
def test_a_search_that_could_find_nothing_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        plan(**options)


def test_a_plan_is_kept_and_read(tmp_path):
    folder = tmp_path / "search"
    keep_plan(plan(), folder)
    keep_plan(plan(), folder)
    assert read_plan(folder).to_dict() == plan().to_dict()
    for n_timesteps in range(150, 500, 50):
        short = plan(n_timesteps=n_timesteps)
        assert Plan.from_dict(short.to_dict()).space == short.space
    assert Plan.from_dict(json.loads((folder / PLAN).read_text())).space == plan().space


def test_test_seeds_machine_and_workers_may_change(tmp_path):
    keep_plan(plan(), tmp_path)
    keep_plan(plan({"workers": 2, "trials": 99, "test_seeds": 5}, seed=3, device="cpu", threads=1), tmp_path)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (lambda: plan(noise=0.9), r"begun with noise 0\.5, not 0\.9"),
        (lambda: plan(density=0.1), r"begun with density None, not 0\.1"),
        (lambda: plan({"tuning_seeds": 3}), "begun with tuning-seeds 2, not 3"),
        (lambda: plan({"sampler_seed": 3}), "begun with sampler-seed 0, not 3"),
        (lambda: plan(wishes={"density": Range(0.1, 0.2)}), r"begun with search density 0\.02:0\.5, not 0\.1:0\.2"),
    ],
)
def test_another_plan_is_refused_and_what_differs_is_named(tmp_path, changed, sentence):
    keep_plan(plan(), tmp_path)
    with pytest.raises(ValueError, match=sentence):
        keep_plan(changed(), tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "there is no search in"), ("{}", "cannot read the plan"), ("[", "cannot")]
)
def test_a_folder_without_a_readable_plan_is_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / PLAN).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_plan(tmp_path)

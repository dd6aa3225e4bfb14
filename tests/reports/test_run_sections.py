"""What is told of one run is what its folder holds."""

import pytest
from siftrl.reports.blocks import Drawer
from siftrl.reports.run_sections import headline, result_words, run_sections
from siftrl.reports.runs import read_run


def sections(run):
    return {section.key: section for section in run_sections(run, Drawer())}


def facts(section):
    return dict(section.blocks[0].tables[0].rows)


def test_the_result_is_the_mean_of_the_last_tenth(make_run):
    run = read_run(make_run(returns=tuple((float(step),) * 2 for step in range(20)), seed=3))
    assert result_words(run) == "18.5 (mean of the last 2 of 20 evaluations, 2 episodes each)"
    assert headline(run) == "SAC with sift on Pendulum-v1 among 75 % noise, seed 3"
    told = facts(sections(run)["result"])
    assert told["final return"] == result_words(run)
    assert told["best evaluation"] == "19.0 at step 2,000"
    assert told["environment steps"] == "2,000 of 2,000"
    assert told["environment steps, measured"] == "10 a second, evaluations included"


def test_a_run_that_goes_on_is_told_apart(make_run):
    run = read_run(make_run(n_timesteps=1000, returns=((1.0,),)))
    assert "not finished" in sections(run)["result"].blocks[0].text[0]
    assert result_words(run) == "1.0 (mean of the last evaluation, 1 episode each)"


def test_a_run_without_features_or_model_says_so(make_run):
    told = sections(read_run(make_run()))
    assert list(told) == ["result", "features", "configuration"]
    (sentence,) = told["features"].blocks[0].text
    assert sentence.startswith("This run holds no features.npz")


def test_features_have_the_names_of_the_task(make_run, make_history):
    told = sections(read_run(make_run(features=make_history())))
    (ranking,) = (block for block in told["features"].blocks if block.title == "Ranking")
    assert "angular velocity" in ranking.figures[0].svg
    assert facts(told["result"])["features"] == "12"


def test_options_are_all_there_and_the_changed_ones_first(make_run):
    folder = make_run(recipe="anf", seed=5)
    blocks = {block.title: block for block in sections(read_run(folder))["configuration"].blocks}
    changed = dict(blocks["Options that were changed"].tables[0].rows)
    assert changed["recipe"] == "anf"
    assert changed["seed"] == "5"
    rest = dict(blocks["Options at their defaults"].tables[0].rows)
    assert rest["density"] == "not given"
    assert not changed.keys() & rest.keys()
    assert blocks["Commands that made it"].code == ["siftrl-train --env Pendulum-v1"]
    assert blocks["Command that evaluates it"].code == [f"siftrl-evaluate {folder}"]


@pytest.mark.parametrize("n_real", [0, 12])
def test_what_is_not_known_is_not_told(make_run, make_history, n_real):
    told = sections(read_run(make_run(features=make_history(n_real=n_real))))
    (table,) = told["features"].blocks[0].tables
    assert len(table.header) == 2
    assert "AUROC" not in " ".join(table.header)

"""The experiments' tables and figures: those that stand beside a record are what the record gives."""

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import siftrl
from siftrl.agents import SAC
from siftrl.envs import make_ene
from siftrl.experiments import moves, rankings, record, understanding
from siftrl.reports.curves import Curves

RESULTS = Path(siftrl.__file__).parent / "experiments" / "results"


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("noise", None),
        ("moves", None),
        ("understanding", "--only-table"),
        ("rankings", None),
        ("robustness", "--only-draw"),
        ("screening", "--only-table"),
        ("exact_or_fresh", "--only-draw"),
        ("madelon", None),
        ("supervised", None),
    ],
)
def test_what_stands_beside_a_record_is_made_from_it(name, option, tmp_path, monkeypatch, capsys):
    script = importlib.import_module(f"siftrl.experiments.{name}")
    shutil.copy(RESULTS / f"{name}.csv", tmp_path)
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    monkeypatch.setattr(record, "shared_rows", None)  # nothing is missing
    monkeypatch.setattr(sys, "argv", [name, *([option] if option else [])])
    script.main()
    text = (tmp_path / f"{name}.md").read_text()
    assert text == (RESULTS / f"{name}.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert (RESULTS / f"{name}.csv").read_bytes() == (tmp_path / f"{name}.csv").read_bytes()
    if (RESULTS / f"{name}.png").exists():
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def curves(*returns):
    return Curves(
        np.arange(1_000, 1_000 * (len(returns[0]) + 1), 1_000), np.array(returns, float), list(range(len(returns)))
    )


def test_a_move_is_over_once_nine_tenths_of_the_way_are_regained(monkeypatch):
    # From 0 to 100 before the move after 4 500 steps; the mean of three evaluations is to get to 90.
    monkeypatch.setitem(moves.PERIODS, "Pendulum-v1", 4_500)
    back, never = [0, 100, 100, 100, 0, 60, 90, 90, 95], [0, 100, 100, 100, 0, 60, 90, 80, 95]
    steps = moves.steps_to_regain("Pendulum-v1", curves(back, never))
    assert steps.tolist() == [4_000, np.inf]
    assert moves.before_the_move("Pendulum-v1", curves(back, never)).tolist() == [100, 100]


def test_what_comes_after_a_second_move_is_left_out(tmp_path):
    path = tmp_path / "moves.csv"
    lines = [f"a,sift,Pendulum-v1,0,{step},-100,0" for step in (1_000, 15_500, 16_000)]
    path.write_text("\n".join(["run,method,env,seed,step,mean_return,std_return", *lines]))
    assert [int(row["step"]) for row in moves.ordered(path)] == [1_000, 15_500]


def small_agent(callback=None, **policy):
    env = make_ene("Pendulum-v1", noise_fraction=0.8)
    model = SAC("SparseMlpPolicy", env, policy_kwargs={"net_arch": [16], **policy}, learning_starts=10, seed=0)
    return model.learn(20, callback=callback)


def test_noise_moves_those_networks_alone_that_read_it():
    conditions = understanding.CONDITIONS
    for name, moves_q, moves_action in (
        ("dense", True, True),
        ("the actor alone reads no noise", True, False),
        ("the critics alone read no noise", False, True),
        ("3 of 147 noise features read", True, True),
    ):
        condition = conditions[name]
        model = small_agent(condition.callback and condition.callback(), **condition.policy)
        judged = understanding.newly_made(model)
        q, action = understanding.noise_shares(model, judged)
        assert (q > 1e-6, action > 1e-6) == (moves_q, moves_action), name
        assert understanding.td_error(model, judged) > 0


def test_replayed_and_new_transitions_follow_each_other(monkeypatch):
    monkeypatch.setattr(understanding, "N_JUDGED", 20)
    model = small_agent(recipe="dense")
    last = model._last_obs[0].copy()
    old, new = understanding.replayed(model), understanding.newly_made(model)
    np.testing.assert_array_equal(old.there[-1], last)
    np.testing.assert_array_equal(new.here[0], last)
    np.testing.assert_array_equal(new.there[:-1], new.here[1:])
    assert [len(part) for part in new] == [20] * 4


def test_a_ranking_is_the_better_the_longer_the_agent_lasts(monkeypatch):
    ends = {"good": ((0, 0, 0), (0, -9, -9)), "bad": ((0, -9, -9), (0, 0, 0))}
    rows = [
        {"recipe": "dense", "seed": "0", "ranking": name, "auroc": "1", "precision": "1", "removed": str(removed)}
        | {"least_first": str(least), "most_first": str(most)}
        for name, (of_least, of_most) in ends.items()
        for removed, least, most in zip((0, 1, 2), of_least, of_most, strict=True)
    ]
    lines = [line for line in rankings.table(rows).splitlines() if line.startswith("| dense")]
    assert [line.split(" | ")[-1] for line in lines] == ["6 |", "-6 |"]

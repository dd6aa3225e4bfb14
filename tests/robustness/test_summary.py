"""The tables: what stands in them, and whom they leave out."""

from siftrl.robustness.scores import Robustness
from siftrl.robustness.summary import by_method, summary


def agent(method="sac set", seed=0, clean=90.0, task="Ant-v5", **scores):
    return Robustness(method, task, seed, clean, -10.0, 5.0, {name: {5: value} for name, value in scores.items()})


AGENTS = [
    *(agent(seed=seed, bias=0.5 + seed / 10, delay=1.0) for seed in range(3)),
    agent("sac dense", bias=-1.0, delay=0.0),
    agent("sac dense", seed=1, clean=-10.0, bias=float("nan"), delay=float("nan")),
]


def test_methods_corruptions_and_agents_have_their_rows():
    lines = summary(AGENTS).splitlines()
    assert "## Ant-v5" in lines
    assert "Random actions: -10; no action: 5." in lines
    assert "| sac set | 3 | 90 (90 to 90) | 0.90 (0.88 to 0.93) | bias | 0.80 (0.75 to 0.85) |" in lines
    assert "| sac dense | 1 | 90 | 0.25 | bias | 0.00 |" in lines
    assert "| area | sac set | sac dense |" in lines
    assert "| delay | 1.00 (1.00 to 1.00) | 0.50 |" in lines
    assert "| sac set | 2 | 90 | 0.93 | bias | 0.85 |" in lines
    assert "| sac dense | 1 | -10 |  |  |  |" in lines
    assert "sac dense, seed 1: no better than random actions where all is well; it counts nowhere." in lines
    assert "sac set: 3 seeds: too few for a claim, which takes 5." in lines
    assert "sac dense: 1 seed: too few for a claim, which takes 5." in lines


def test_each_task_has_its_tables():
    text = summary([agent(bias=0.5), agent(task="Hopper-v5", bias=0.5)])
    assert text.count("| area | sac set |") == 2
    assert text.index("## Ant-v5") < text.index("## Hopper-v5")


def test_who_has_learnt_nothing_is_in_no_method():
    assert {method: len(agents) for method, agents in by_method(AGENTS).items()} == {"sac set": 3, "sac dense": 1}
    assert "| area |" not in summary(AGENTS[4:])

"""What failing sensors leave of sparse and of dense agents.

    siftrl-sweep experiments/robustness.toml --record experiments/results/robustness-training.csv
    python experiments/robustness.py

Tries the agents of ``studies/robustness`` under all corruptions, at three severities, and adds what is missing to
``experiments/results/robustness.csv`` (a row for each agent, corruption and severity); then writes ``robustness.md`` and
``robustness.png`` beside it. ``--only-draw`` needs no agents.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from siftrl.reports.statistics import difference
from siftrl.robustness.campaign import Campaign
from siftrl.robustness.figure import severity_figure
from siftrl.robustness.measurements import Measurements
from siftrl.robustness.scores import Robustness, robustness
from siftrl.robustness.subjects import find_subjects
from siftrl.robustness.summary import by_method, summary
from siftrl.sweeps.study import Study
from siftrl.training.disturbance import DISTURBANCES, OTHER_NOISE, Disturbance
from siftrl.training.launch import run_hash

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
EPISODES = 20
SEVERITIES = (1, 3, 5)
COLOURS = {"set": "tab:green", "static": "tab:olive", "dense": "tab:red", "dense-narrow": "tab:orange"}
PAIRS = (("set", "dense"), ("set", "dense-narrow"), ("set", "static"), ("static", "dense"), ("dense-narrow", "dense"))


def measure(folder: Path, record: Path) -> None:
    """Try the agents of the study under all that can go wrong without noise features."""
    runs = Study.from_file(FOLDER / "robustness.toml").runs()
    methods = {run_hash(run.config): run.method for run in runs}
    subjects = [subject for subject in find_subjects([folder]) if run_hash(subject.config) in methods]
    cells = [Disturbance(name, severity) for name in DISTURBANCES if name not in OTHER_NOISE for severity in SEVERITIES]
    campaign = Campaign(Measurements(record), episodes=EPISODES, seed=0, features="all", device="cpu", weights_only=True)
    for subject in subjects:
        method = methods[run_hash(subject.config)]
        campaign.carry_out(subject, method, cells, lambda what, n_done: print(what, flush=True) if n_done else None)


def differences(agents: list[Robustness]) -> Iterator[str]:
    """A markdown table: how much larger the mean area of one method is than that of another."""
    methods = by_method(agents)
    yield from ("| mean area | difference, IQM | 95 % interval |", "| --- | ---: | ---: |")
    for first, second in PAIRS:
        if {first, second} <= methods.keys():
            areas = ([agent.mean_area for agent in methods[method]] for method in (first, second))
            low, high, point = difference(*areas)
            yield f"| {first} over {second} | {point:+.3f} | {low:+.3f} to {high:+.3f} |"


def report(record: Path) -> None:
    """Write the tables and the figure of all that is recorded, beside the record."""
    order = list(COLOURS)
    n_corruptions = len(DISTURBANCES) - len(OTHER_NOISE)
    whole = [
        agent
        for agent in robustness(Measurements(record).rows)
        if [len(by_severity) for by_severity in agent.scores.values()] == [len(SEVERITIES)] * n_corruptions
    ]
    agents = sorted(whole, key=lambda agent: (order.index(agent.method), agent.seed))
    runs = Study.from_file(FOLDER / "robustness.toml").runs()
    steps = ", ".join(f"{n:,} for {name}" for name, n in {run.method: run.config.n_timesteps for run in runs}.items())
    text = f"""\
SAC on InvertedPendulum-v5 without noise features, then {EPISODES} episodes under each corruption. Steps of training:
{steps}. set and static: half of the links of each layer; dense-narrow: as many as these.

{summary(agents)}

## Differences

{chr(10).join(differences(agents))}

Commands: `siftrl-sweep experiments/robustness.toml`, `python experiments/robustness.py`
"""
    record.with_suffix(".md").write_text(text)
    print(text)
    severity_figure(agents, colours=COLOURS).savefig(record.with_suffix(".png"), dpi=130)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("studies/robustness"), help="of the study's runs")
    parser.add_argument("--only-draw", action="store_true", help="draw the figure and the tables from the rows there are")
    arguments = parser.parse_args()
    record = RESULTS / "robustness.csv"
    if not arguments.only_draw:
        measure(arguments.folder, record)
    report(record)


if __name__ == "__main__":
    main()

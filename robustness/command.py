"""The command ``siftrl-robustness``: try agents where something goes wrong, record it, compare them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ..envs.corrupt import FEATURES
from ..envs.corruptions import SEVERITIES
from ..names import known
from ..training.atomic import atomic_write, atomic_write_text, check_writable, make_folder
from ..training.command import carry_out
from ..training.device import resolve_device, spin_briefly
from ..training.disturbance import DISTURBANCES, OTHER_NOISE, Disturbance
from ..training.leaving_out import LeavingOut
from ..training.options import AT_LEAST_ONE, NOT_EMPTY, NOT_NEGATIVE, OptionParser, check_options, one_of, option
from .measurements import RESULTS, Measurements
from .subjects import Subject, find_subjects, method_names

_PROG = "siftrl-robustness"

_DESCRIPTION = """\
Try saved agents while their sensors fail, while an adversary shifts what they see, and among other noise than in training,
and say how much of what they have learnt is left (docs/robustness.md). RUN is a run folder of train.py, a model's zip, or a
folder: then all runs below. Runs that differ in nothing but their seed are one method.
"""

_EPILOG = """\
examples:
  siftrl-robustness logs/sac-sift/HalfCheetah-v5_0.9_s0_1
  # all runs of a study, three severities, twenty episodes each, into a folder of its own
  siftrl-robustness studies/noise --severities 1,3,5 --episodes 20 -o noise-robustness
  # what if single sensors fell silent, or all were late?
  siftrl-robustness logs/demo --corruptions dropout,delay

It writes to the folder of -o: results.csv (a row for each agent, corruption and severity), robustness.md and a figure for
each task. What is in results.csv already is not measured again: a call that was stopped goes on with the same command.

A saved model contains pickles, which can run any code when they are loaded: try only what you trust, or with --weights-only.
"""

_WHAT, _OUTPUT = "what goes wrong", "output"


@dataclass(frozen=True)
class Options:
    """The options of a comparison; each is a flag of ``siftrl-robustness``."""

    corruptions: str | None = option(
        None,
        "these alone: " + ", ".join(DISTURBANCES) + " (all that a run can have)",
        rule=NOT_EMPTY,
        group=_WHAT,
        metavar="A,B",
    )
    severities: str = option("1,2,3,4,5", "of 1 to 5", rule=NOT_EMPTY, group=_WHAT, metavar="S,T")
    features: str = option("all", "which sensors fail: all, real, or noise features", rule=one_of(*FEATURES), group=_WHAT)
    episodes: int = option(10, "of each cell, and where all is well", rule=AT_LEAST_ONE, group=_WHAT)
    seed: int = option(0, "of the episodes", rule=NOT_NEGATIVE, group=_WHAT)
    device: str = option("auto", "cpu, cuda, cuda:1, ...", rule=NOT_EMPTY, group=_WHAT)
    weights_only: bool = option(False, "take nothing but weights and options from the files", group=_WHAT)
    env: str | None = option(
        None, "the id MODULE:TASK of your own task, to import its module", rule=NOT_EMPTY, group=_WHAT, metavar="ID"
    )

    output: str = option("logs/robustness", "folder to write to", rule=NOT_EMPTY, short="-o", group=_OUTPUT, metavar="DIR")
    json: str | None = option(None, "also write the figures to this file", rule=NOT_EMPTY, group=_OUTPUT, metavar="FILE")

    def __post_init__(self) -> None:
        check_options(self)
        self.named_corruptions()
        self.named_severities()

    def named_corruptions(self) -> list[str]:
        """The corruptions that are named, none where none is.

        Raises:
            ValueError: an unknown name, with the closest one.
        """
        names = [name.strip() for name in (self.corruptions or "").split(",")] if self.corruptions else []
        return list(dict.fromkeys(known(name, DISTURBANCES, "corruptions") for name in names))

    def named_severities(self) -> list[int]:
        """The severities, in their order.

        Raises:
            ValueError: something else than numbers from 1 to 5.
        """
        texts = [text.strip() for text in self.severities.split(",")]
        if not all(text in map(str, SEVERITIES) for text in texts):
            raise ValueError(f"severities must be numbers from 1 to 5 with commas between them, not {self.severities!r}.")
        return sorted({int(text) for text in texts})


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0, 1 where the disk or the memory failed, 2 for wrong input, 130 after Ctrl-C.
    """
    parser = OptionParser(prog=_PROG, usage="%(prog)s RUN [RUN ...] [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, a folder above some, or a model's zip")
    parser.add_options(Options)
    spin_briefly()
    kept = "What was measured is recorded; the same command goes on."
    return carry_out(_PROG, lambda: _compare(parser.parse_options(argv)), kept=kept)


def _compare(given: dict[str, Any]) -> None:
    runs = given.pop("runs")
    options = Options(**given)
    leaving_out = LeavingOut(_PROG)
    subjects = find_subjects(runs, leaving_out, options.env)
    cells = [list(_cells(subject, options)) for subject in subjects]
    resolve_device(options.device)
    if options.json is not None:
        check_writable(options.json)
    folder = make_folder(options.output)
    measurements = Measurements(folder / RESULTS)
    rows = _measure(subjects, cells, measurements, options, leaving_out)
    _report(rows, leaving_out.reasons, folder, options)


def _cells(subject: Subject, options: Options) -> Iterator[Disturbance]:
    """All disturbances of an agent: those named, or all that its task can have."""
    has_noise = subject.config.noise > 0
    named = options.named_corruptions()
    if not has_noise and (impossible := [name for name in named if name in OTHER_NOISE]):
        raise ValueError(f"corruptions must not hold {impossible[0]} for {subject.name}, which has no noise features.")
    if not has_noise and options.features != "all":
        raise ValueError(f"features must be all for {subject.name}, which has no noise features, not {options.features}.")
    for name in named or DISTURBANCES:
        if has_noise or name not in OTHER_NOISE:
            yield from (Disturbance(name, severity) for severity in options.named_severities())


def _measure(
    subjects: list[Subject],
    cells: list[list[Disturbance]],
    measurements: Measurements,
    options: Options,
    leaving_out: LeavingOut,
) -> list[dict[str, str]]:
    # These load torch.
    from tqdm import tqdm

    from .campaign import Campaign

    campaign = Campaign(
        measurements,
        episodes=options.episodes,
        seed=options.seed,
        features=options.features,
        device=options.device,
        weights_only=options.weights_only,
    )
    with tqdm(total=sum(map(len, cells)), unit="cell", disable=None) as bar:

        def announce(what: str, n_done: int) -> None:
            bar.set_description(what, refresh=False)
            bar.update(n_done)

        def tried(agent: tuple[Subject, str, list[Disturbance]]) -> list[dict[str, str]]:
            return campaign.carry_out(*agent, announce)

        methods = method_names([subject.config for subject in subjects])
        agents = list(zip(subjects, methods, cells, strict=True))
        rows = leaving_out.each(tried, agents, f"none of the {len(agents)} agents can be tried.")
    return list(chain.from_iterable(rows))


def _report(rows: list[dict[str, str]], refused: list[str], folder: Path, options: Options) -> None:
    from .figure import severity_figure
    from .scores import robustness
    from .summary import by_method, summary

    agents = robustness(rows)
    text = "\n\n".join([summary(agents), *(f"Left out: {reason}" for reason in refused)])
    print(text)
    atomic_write_text(folder / "robustness.md", text + "\n")
    tasks = list(dict.fromkeys(agent.task for agent in agents))
    for number, task in enumerate(tasks):
        of_task = [agent for agent in agents if agent.task == task]
        if by_method(of_task):
            stem = "robustness" if len(tasks) == 1 else f"robustness-{number + 1}"
            with atomic_write(folder / f"{stem}.png") as file:
                severity_figure(of_task).savefig(file, dpi=150, format="png")
    if options.json is not None:
        figures = {"episodes": options.episodes, "features": options.features, "agents": [one.to_dict() for one in agents]}
        atomic_write_text(options.json, json.dumps(figures, indent=2, allow_nan=False) + "\n")
    print(f"\nResults: {folder / RESULTS}, robustness.md and figures beside it.")

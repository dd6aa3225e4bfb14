"""Write docs/reproduce.md: what papers published, and what their studies gave here.

python docs/reproduce.py

A study is a file in experiments/, its published figures are in experiments/published/<study>.csv, and what was found here
is in experiments/results/<study>.csv: the results.csv that `siftrl-sweep` writes into the study's folder.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from siftrl.reports.scores import area_under_curve, final_return
from siftrl.reports.statistics import iqm, stratified_bootstrap
from siftrl.sweeps.study import Study, StudyRun

PAGE = Path(__file__).with_suffix(".md")
EXPERIMENTS = PAGE.parents[1] / "experiments"
PUBLISHED, RESULTS = EXPERIMENTS / "published", EXPERIMENTS / "results"

STUDIES = {
    "anf": "Automatic noise filtering (Grooten et al., AAMAS 2023)",
    "transfer": "The same paper: features that change places",
    "ds": "DS-TD3 and DS-SAC (Sokar et al., IJCAI 2022)",
    "graesser": "The state of sparse training in deep RL (Graesser et al., ICML 2022)",
    "rlx2": "RLx2 (Tan et al., ICLR 2023)",
}

INTRODUCTION = """# Reproduce the papers

One study file for each paper holds its tasks, methods, seeds and evaluations; its head says what was published, what we
chose because nothing could be found, and what differs. `siftrl-sweep` runs it; `--parts`, `--methods`, `--seeds` and
`--scale` make it smaller ([sweeps](sweeps.md)). This page is made by `python docs/reproduce.py` from the published figures
in [experiments/published](../experiments/published) and the results in [experiments/results](../experiments/results).

**None of these studies was run here**: they are thousands of runs of a million steps. What was run are the smaller
experiments under *Beside the studies*. The published returns are those
of gym's -v2 and -v3 tasks, ours of Gymnasium's -v5: they compare protocols, not digits.

* *final return*: mean of the last tenth of a run's evaluations.
* *mean return*: area under the learning curve over its span.
* *share of dense*: final return over the mean final return of dense agents on the same task.
* *here*: interquartile mean over seeds and tasks, with its bootstrap 95 % interval from two seeds on. Fewer than five seeds
  are too few for a claim, and fewer steps than published are another experiment.
"""

OTHERS = """## Beside the studies

### ANF with redrawn and with exact noise

HalfCheetah-v5, 90 % noise, SB3's hyper-parameters, 30 000 steps: too few to compare with the ANF paper's million.

{exact_or_fresh}

### SET, RigL's ERK and GraNet on supervised tasks

Published: SET 74.84 % on CIFAR-10 with an MLP (Mocanu et al. 2018, text), GraNet 94.44 % with ResNet-50 at 95 % sparsity,
where dense has 94.75 % (table 2 of Liu et al. 2021, as another repository copied it). Here: small tasks without a download.

{supervised}

### QuickSelection

Published for Madelon: 90.3 % accuracy, 53.5 % for a dense autoencoder (Atashgahi et al. 2022, text). Here: a task made
like Madelon.

{madelon}
"""


NOT_RUN = "not run"


class Run(NamedTuple):
    """A run in a table of results: part, method and options that vary, as text, and its learning curve."""

    fields: dict[str, str]
    steps: np.ndarray
    returns: np.ndarray


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_runs(path: Path) -> list[Run]:
    """The runs in a study's table of results."""
    found: dict[tuple, list[dict[str, str]]] = {}
    for row in read_rows(path):
        key = tuple(value for name, value in row.items() if name not in ("step", "mean_return", "std_return"))
        found.setdefault(key, []).append(row)
    runs = []
    for rows in found.values():
        steps, returns = (np.array([float(row[name]) for row in rows]) for name in ("step", "mean_return"))
        runs.append(Run(rows[0], steps, returns))
    return runs


def selects(row: dict[str, str], fields: dict[str, object]) -> bool:
    """Whether a published row speaks of a run with this part, this method and these options."""
    alternatives = [dict(term.split("=") for term in terms.split()) for terms in row["select"].split(" or ")]
    in_part = fields["part"] in row["parts"].split()
    has_method = row["method"] in ("", fields["method"])
    return in_part and has_method and any(all(_same(fields[k], v) for k, v in terms.items()) for terms in alternatives)


def _same(value: object, wish: str) -> bool:
    try:
        return float(value) == float(wish)
    except (TypeError, ValueError):
        return str(value) == wish


def scores(row: dict[str, str], runs: list[Run]) -> dict[str, list[float]]:
    """The measure of a published row, of each run that it speaks of, by task."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if selects(row, run.fields):
            score = _score(row, run, runs)
            if score is not None:
                found.setdefault(run.fields["env"], []).append(score)
    return found


def _score(row: dict[str, str], run: Run, runs: list[Run]) -> float | None:
    if row["measure"] == "final return":
        return final_return(run.returns)
    if row["measure"] == "mean return":
        return area_under_curve(run.steps, run.returns)
    if row["measure"] == "return":
        at = run.returns[run.steps == float(row["step"])]
        return float(at[0]) if len(at) else None
    if row["measure"] == "share of dense":
        dense = [final_return(other.returns) for other in runs if _is_reference(other, row, run)]
        return final_return(run.returns) / float(np.mean(dense)) if dense else None
    raise ValueError(f"measure {row['measure']!r} of {row['figure']!r} is none that this page knows.")


def _is_reference(other: Run, row: dict[str, str], run: Run) -> bool:
    """Whether ``other`` is the dense agent of full width on the task of ``run``, in the parts that the row names."""
    dense = other.fields["method"] == "dense" and _same(other.fields["width"], "256")
    return dense and other.fields["part"] in row["reference"].split() and other.fields["env"] == run.fields["env"]


def here(row: dict[str, str], runs: list[Run]) -> str:
    """What was found here for a published row, and at which scale."""
    by_task = scores(row, runs)
    if not by_task:
        return NOT_RUN
    n_seeds = min(len(found) for found in by_task.values())
    # As many runs of each task, so that each task counts the same.
    found = stratified_bootstrap(np.array([values[:n_seeds] for values in by_task.values()]).T, iqm)
    interval = "" if n_seeds == 1 else f" ({number(found.low)} to {number(found.high)})"
    lengths = sorted({int(run.steps[-1]) for run in runs if selects(row, run.fields)})
    steps = " to ".join(f"{length:,}" for length in dict.fromkeys((lengths[0], lengths[-1])))
    return f"{number(found.point)}{interval}; {n_seeds} seed{'s' * (n_seeds > 1)}, {steps} steps"


def number(value: float) -> str:
    """A return without decimals, a share with two."""
    return f"{value:,.0f}" if abs(value) >= 20 else f"{value:.2f}"


def figure_table(rows: list[dict[str, str]], runs: list[Run]) -> list[str]:
    """The table of a figure: for each condition what was published and, where it ran, what was found; a column an agent."""
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    lines = ["| | | " + " | ".join(agents) + " |", "|---|---|" + "---|" * len(agents)]
    for condition in dict.fromkeys(row["row"] for row in rows):
        cells = {row["agent"]: row for row in rows if row["row"] == condition}
        published = [cells[agent]["published"] if agent in cells else "" for agent in agents]
        found = [here(cells[agent], runs) if agent in cells else "" for agent in agents]
        lines.append(f"| {condition} | published | " + " | ".join(published) + " |")
        if set(found) - {"", NOT_RUN}:
            lines.append("| | here | " + " | ".join(found) + " |")
    return lines


def figure(name: str, rows: list[dict[str, str]], runs: list[Run], study_runs: list[StudyRun]) -> list[str]:
    """What the page says of one published figure."""
    parts = list(dict.fromkeys(part for row in rows for part in row["parts"].split()))
    measures = " and ".join(dict.fromkeys(row["measure"] for row in rows))
    said = f"*{measures.capitalize()}*. Published: {rows[0]['source']}. Here: {command(name, parts, study_runs)}"
    said += "." if any(here(row, runs) != NOT_RUN for row in rows) else f", {NOT_RUN}."
    return [f"### {rows[0]['figure']}", "", said, "", *figure_table(rows, runs), ""]


def settings(part: str, study_runs: list[StudyRun]) -> list[dict[str, str]]:
    """Rows as of a published figure for a part that has none: one for each method and setting."""
    rows = []
    for method in dict.fromkeys(run.method for run in study_runs if part in run.parts):
        configs = [run.config.to_dict() for run in study_runs if part in run.parts and run.method == method]
        varied = [name for name in configs[0] if name != "seed" and len({config[name] for config in configs}) > 1]
        for select in dict.fromkeys(" ".join(f"{name}={config[name]}" for name in varied) for config in configs):
            told = {"row": f"{part} {select}".strip(), "agent": method, "published": "not found"}
            rows.append({"parts": part, "method": method, "select": select, "measure": "final return", "step": ""} | told)
    return rows


def other_parts(name: str, parts: list[str], runs: list[Run], study_runs: list[StudyRun]) -> list[str]:
    """What the page says of the parts of a study of which no figure was found: those that ran, as tables."""
    lines = [
        f"No published number was found for these parts ([{name}.toml](../experiments/{name}.toml) says what they are):",
        "",
    ]
    rows = {part: [row for row in settings(part, study_runs) if scores(row, runs)] for part in parts}
    lines += [f"* {command(name, [part], study_runs)}{'' if rows[part] else f', {NOT_RUN}'}" for part in parts] + [""]
    for part in parts:
        lines += [*figure_table(rows[part], runs), ""] if rows[part] else []
    return lines


def section(name: str) -> list[str]:
    """The section of one study."""
    published, runs = read_rows(PUBLISHED / f"{name}.csv"), read_runs(RESULTS / f"{name}.csv")
    study_runs = Study.from_file(EXPERIMENTS / f"{name}.toml").runs()
    lines = [f"## {STUDIES[name]}", "", f"[{name}.toml](../experiments/{name}.toml): {len(study_runs):,} runs in all.", ""]
    for title in dict.fromkeys(row["figure"] for row in published):
        lines += figure(name, [row for row in published if row["figure"] == title], runs, study_runs)
    told = {part for row in published for part in row["parts"].split()}
    others = [part for part in dict.fromkeys(part for run in study_runs for part in run.parts) if part not in told]
    return lines + (other_parts(name, others, runs, study_runs) if others else [])


def command(name: str, parts: list[str], study_runs: list[StudyRun]) -> str:
    """What runs these parts, and how many runs they are."""
    n_runs = sum(not set(run.parts).isdisjoint(parts) for run in study_runs)
    return f"`siftrl-sweep experiments/{name}.toml --parts {','.join(parts)}` ({n_runs:,} runs)"


def render() -> str:
    """The page."""
    lines = [INTRODUCTION]
    for name in STUDIES:
        lines += section(name)
    return "\n".join(lines) + "\n" + OTHERS.format_map({path.stem: path.read_text() for path in RESULTS.glob("*.md")})


if __name__ == "__main__":
    PAGE.write_text(render())
    print(f"written to {PAGE}")

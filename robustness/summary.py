"""The comparison of methods as markdown: what each is worth where all is well, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..reports.statistics import few_seeds, iqm, stratified_bootstrap
from .scores import Robustness

_WHAT_IT_IS = """\
A score is what is left of what an agent has learnt: its return over that of random actions, in shares of what it is
where all is well. 1: nothing is lost; 0: as good as random actions; below 0: worse. The area is the mean score over
severities from 0 to the highest. Interquartile means over seeds, with bootstrap 95 % intervals. An agent whose return is
close to that of no action has learnt little that needs sensors, whatever its scores."""


def summary(agents: Sequence[Robustness]) -> str:
    """The tables of all tasks: methods, then each corruption, then each agent.

    Returns:
        Markdown, without a newline at the end.
    """
    lines = [_WHAT_IT_IS]
    for task in dict.fromkeys(agent.task for agent in agents):
        lines += ["", f"## {task}", "", *_of_task([agent for agent in agents if agent.task == task])]
    return "\n".join(lines)


def by_method(agents: Sequence[Robustness]) -> dict[str, list[Robustness]]:
    """The agents of each method that have learnt something, in their order."""
    methods: dict[str, list[Robustness]] = {}
    for agent in agents:
        if agent.has_learnt:
            methods.setdefault(agent.method, []).append(agent)
    return methods


def _of_task(agents: list[Robustness]) -> list[str]:
    methods = by_method(agents)
    lines = [f"Random actions: {agents[0].random:,.4g}; no action: {agents[0].still:,.4g}.", ""]
    if methods:
        lines += [*_method_table(methods), "", *_corruption_table(methods), ""]
    lines += _agent_table(agents)
    lines += [
        f"\n{agent.method}, seed {agent.seed}: no better than random actions where all is well; it counts nowhere."
        for agent in agents
        if not agent.has_learnt
    ]
    few = {few_seeds(len(of_method)): [] for of_method in methods.values()}
    for method, of_method in methods.items():
        few[few_seeds(len(of_method))].append(method)
    return lines + [f"\n{', '.join(whose)}: {warning}" for warning, whose in few.items() if warning]


def _method_table(methods: dict[str, list[Robustness]]) -> list[str]:
    lines = _head(["method", "seeds", "return, clean", "mean area over corruptions", "worst corruption", "its area"], left=1)
    for method, agents in methods.items():
        areas = {name: iqm([agent.areas[name] for agent in agents]) for name in _corruptions(agents)}
        worst = min(areas, key=areas.__getitem__)
        lines.append(
            _line(
                [
                    method,
                    str(len(agents)),
                    _cell(agents, lambda agent: agent.clean, "{:,.4g}"),
                    _cell(agents, lambda agent: agent.mean_area),
                    worst,
                    _cell(agents, lambda agent, worst=worst: agent.areas[worst]),
                ]
            )
        )
    return lines


def _corruption_table(methods: dict[str, list[Robustness]]) -> list[str]:
    names = dict.fromkeys(name for agents in methods.values() for name in _corruptions(agents))
    lines = _head(["area", *methods], left=1)
    for name in names:
        cells = [
            _cell(agents, lambda agent, name=name: agent.areas[name]) if name in _corruptions(agents) else ""
            for agents in methods.values()
        ]
        lines.append(_line([name, *cells]))
    return lines


def _agent_table(agents: list[Robustness]) -> list[str]:
    lines = _head(["agent", "seed", "return, clean", "mean area", "worst corruption", "its area"], left=1)
    for agent in agents:
        figures = ["", "", ""]
        if agent.has_learnt:
            figures = [f"{agent.mean_area:.2f}", agent.worst, f"{agent.areas[agent.worst]:.2f}"]
        lines.append(_line([agent.method, str(agent.seed), f"{agent.clean:,.4g}", *figures]))
    return lines


def _corruptions(agents: list[Robustness]) -> list[str]:
    """Those that all of these agents were measured under."""
    return [name for name in agents[0].scores if all(name in agent.scores for agent in agents)]


def _cell(agents: list[Robustness], figure: Callable[[Robustness], float], shape: str = "{:.2f}") -> str:
    low, high, point = stratified_bootstrap([figure(agent) for agent in agents], iqm)
    text = shape.format(point)
    return text if np.isnan(low) else f"{text} ({shape.format(low)} to {shape.format(high)})"


def _head(cells: list[str], left: int) -> list[str]:
    return [_line(cells), _line(["---"] * left + ["---:"] * (len(cells) - left))]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

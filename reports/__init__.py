"""How runs are compared: scores of a learning curve, statistics over runs, tables and figures."""

from .curves import Curves, gather_curves
from .figures import curves_figure, draw_curves, evaluations_figure, lighten
from .scores import area_under_curve, final_return, steps_to_level
from .statistics import (
    SEEDS_FOR_A_CLAIM,
    Interval,
    difference,
    few_seeds,
    iqm,
    mean,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)
from .tables import Comparison, comparison, comparison_table

__all__ = [
    "SEEDS_FOR_A_CLAIM",
    "Comparison",
    "Curves",
    "Interval",
    "area_under_curve",
    "comparison",
    "comparison_table",
    "curves_figure",
    "difference",
    "draw_curves",
    "evaluations_figure",
    "few_seeds",
    "final_return",
    "gather_curves",
    "iqm",
    "lighten",
    "mean",
    "median",
    "optimality_gap",
    "performance_profile",
    "probability_of_improvement",
    "steps_to_level",
    "stratified_bootstrap",
]

"""How runs are compared: scores of a learning curve, statistics over runs, tables and figures."""

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

__all__ = [
    "SEEDS_FOR_A_CLAIM",
    "Interval",
    "area_under_curve",
    "difference",
    "few_seeds",
    "final_return",
    "iqm",
    "mean",
    "median",
    "optimality_gap",
    "performance_profile",
    "probability_of_improvement",
    "steps_to_level",
    "stratified_bootstrap",
]

"""What a recipe will take before anything is spent: items, time and disk per stage, each with its source."""

from rushes.plan.earlier import Earlier, earlier_runs, estimate_throughput, gather, throughput_of
from rushes.plan.estimate import StagePlan, make_plan, total_seconds
from rushes.plan.throughput import Kind, Pace, Throughput
from rushes.plan.work import StageWork, missing_kinds, planned_totals, work_of

__all__ = [
    "Earlier",
    "Kind",
    "Pace",
    "StagePlan",
    "StageWork",
    "Throughput",
    "earlier_runs",
    "estimate_throughput",
    "gather",
    "make_plan",
    "missing_kinds",
    "planned_totals",
    "throughput_of",
    "total_seconds",
    "work_of",
]

"""Measure and compare: independent measurements of both models -> gains with intervals, drift, the scorecard."""

from rushes.measure.agreement import Agreement, agreement
from rushes.measure.bootstrap import (
    Interval,
    Resampling,
    gain_interval,
    mean_gain_interval,
    prompt_means,
    score_interval,
)
from rushes.measure.compare import Contest, compare
from rushes.measure.drift import Footage, drift
from rushes.measure.pairs import Pair, Pairing, pair_up

__all__ = [
    "Agreement",
    "Contest",
    "Footage",
    "Interval",
    "Pair",
    "Pairing",
    "Resampling",
    "agreement",
    "compare",
    "drift",
    "gain_interval",
    "mean_gain_interval",
    "pair_up",
    "prompt_means",
    "score_interval",
]

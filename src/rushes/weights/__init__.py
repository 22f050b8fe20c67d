"""Weigh: scores -> non-negative weights, with what they amount to reported before training."""

from rushes.weights.report import WeightReport, report_weights
from rushes.weights.weigh import build_weighting, weigh, weights_of

__all__ = ["WeightReport", "build_weighting", "report_weights", "weigh", "weights_of"]

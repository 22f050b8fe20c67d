"""Diagnose: probe measurements -> per-dimension baseline -> the dimensions worth the budget."""

from rushes.diagnose.baseline import Baseline, Diagnosis, baseline
from rushes.diagnose.weakest import apportion, weakest

__all__ = ["Baseline", "Diagnosis", "apportion", "baseline", "weakest"]

"""The diagnose stage: measures the untouched model on probe prompts and picks the dimensions with most to gain.

The pipeline calls it first. It knows the stages that it is made of, and nothing of training.
"""

from rushes.diagnose.baseline import Baseline, Diagnosis, baseline
from rushes.diagnose.weakest import apportion, weakest

__all__ = ["Baseline", "Diagnosis", "apportion", "baseline", "weakest"]

"""The stage that diagnoses: the untouched model on probe prompts, and the dimensions in which there is most to win.

The pipeline calls it first; it knows the stages that it is made of, and nothing of training.
"""

from rushes.diagnose.baseline import Baseline, Diagnosis, baseline
from rushes.diagnose.weakest import apportion, weakest

__all__ = ["Baseline", "Diagnosis", "apportion", "baseline", "weakest"]

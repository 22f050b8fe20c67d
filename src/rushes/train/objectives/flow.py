"""Flow matching on own clips: L = E[ w ||v - u||^2 ], the paper's reward-weighted loss.

The weights are drawn by (`rushes.train.draw`), so every clip of a batch counts 1. Which weighting it is decides the
method: `raw` is the paper's, `exponential` reward-weighted regression, `filter` rejection sampling, `uniform` plain
fine-tuning. Cost: one pass with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import weighted_flow


@dataclass(frozen=True)
class Flow:
    """The objective `flow`."""

    names: ClassVar[tuple[str, ...]] = ("weighted_flow",)

    def terms(self, own: OwnClips) -> LossTerms:
        """Flow matching, each clip times its weight."""
        value = weighted_flow(own.velocity_BCTHW, own.target_BCTHW, own.columns["weight"])
        return LossTerms({"weighted_flow": value}, {"weighted_flow": 1.0})

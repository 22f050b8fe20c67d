"""Signed regression: the gradient on the velocity is A (v - u) (RVM, "Velocity Matching", 2026, arXiv 2608.23664).

L = strength E[ A ||v - u||^2 ], A the distance of a clip's score to the mean of its prompt's takes in units of the root
mean square over all clips, clipped. It is unbounded: a clip with A < 0 repels the model the more, the further it is
away. Set `train.anchor`, which is the publication's second term, lambda ||v - v_ref||^2.

What differs: takes are stored ones, A is not multiplied by 0.1 (set `strength`), and the value of the loss is signed
where theirs is ||v - sg(v - g)||^2 / 2 with the same gradient up to the factor 2. Cost: one pass with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rushes.recipe.objectives import RvmSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import weighted_flow


@dataclass(frozen=True)
class Rvm:
    """The objective `rvm`."""

    spec: RvmSpec
    names: ClassVar[tuple[str, ...]] = ("rvm",)

    def terms(self, own: OwnClips) -> LossTerms:
        """Flow matching, each clip times its advantage."""
        A = own.columns["advantage"].clamp(-self.spec.clip, self.spec.clip)
        value = weighted_flow(own.velocity_BCTHW, own.target_BCTHW, A)
        return LossTerms({"rvm": value}, {"rvm": self.spec.strength})

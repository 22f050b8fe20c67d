"""Regression of implicit rewards on the judge's, within takes of one prompt (CRD, 2026, arXiv 2603.14128).

L = strength / (2 beta) E[ (beta (rho - mean rho) - (A - mean A))^2 ],  rho = ||v_ref - u||^2 - ||v - u||^2 the fall of
a clip's error, A = 2r - 1 of its preference; means over the group without gradient, norms over elements. All takes of a
group get the same noise and noise level. At v = v_ref the gradient is that of flow matching times A - mean A, the one
of each pair of takes in DPO; it ends when the errors have fallen by (A - mean A) / beta, so it is bounded.

What differs from the publication's code: the group is exactly the takes of one prompt that were drawn together, there
is no division by the mean absolute error, no loss factor 5 / beta but 1 / (2 beta), and the anchor is `train.anchor`,
not scaled by rewards and without guidance. Cost: one pass with gradients and one of the frozen model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rushes.recipe.objectives import CrdSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import squared_error


@dataclass(frozen=True)
class Crd:
    """The objective `crd`."""

    spec: CrdSpec
    names: ClassVar[tuple[str, ...]] = ("crd", "crd_right")

    def terms(self, own: OwnClips) -> LossTerms:
        """Implicit rewards against those of the judge."""
        assert own.reference_BCTHW is not None
        rho = squared_error(own.reference_BCTHW, own.target_BCTHW) - squared_error(own.velocity_BCTHW, own.target_BCTHW)
        rho, wanted = (x.view(-1, self.spec.num_takes) for x in (rho, 2 * own.columns["preference"] - 1))
        found, wanted = rho - _mean(rho), wanted - _mean(wanted)
        value = (self.spec.beta * found - wanted).square().mean()
        right = (0.5 + 0.5 * (found * wanted).detach().sign()).mean()
        return LossTerms({"crd": value}, {"crd": self.spec.strength / (2 * self.spec.beta)}, {"crd_right": right})


def _mean(x_GK: Tensor) -> Tensor:
    return x_GK.detach().mean(dim=1, keepdim=True)

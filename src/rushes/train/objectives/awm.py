"""Advantage-weighted matching: a clipped ratio of matching losses (AWM, 2025, arXiv 2509.25050).

L = strength E[ max(-A rho, -A clip(rho, 1 - c, 1 + c)) ],  rho = exp(l(v) - l(v_ref)) under the same noise, l = -e for
`plain` and -sigma ((e + 1e-10)^p - 1e-10^p) / p with p = 1/4 for `ghuber`, e = ||v - u||^2 the mean over elements. At
v = v_ref rho is 1 and the gradient is -A grad l: RVM with another function of the error. As a mean over many elements
hardly moves, rho stays near 1 and is rarely clipped.

What differs from the publication: takes are stored ones, the ratio is taken against the model that made them, A is in
units of its root mean square and clipped at 1 (theirs at 5, then divided by 5), and its two anchors, to the base and to
a moving average, are left to `train.anchor`. Set it: the loss alone is unbounded for bad clips, as RVM is.
Cost: one pass with gradients and one of the frozen model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor

from rushes.recipe.objectives import AwmSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import squared_error

POWER: Final = 0.25
FLOOR: Final = 1e-10


@dataclass(frozen=True)
class Awm:
    """The objective `awm`."""

    spec: AwmSpec
    names: ClassVar[tuple[str, ...]] = ("awm", "awm_clipped")

    def terms(self, own: OwnClips) -> LossTerms:
        """The clipped ratio, times the advantage."""
        assert own.reference_BCTHW is not None
        spec = self.spec
        A = own.columns["advantage"].clamp(-spec.clip, spec.clip)
        now, then = (
            self._likelihood(squared_error(v, own.target_BCTHW), own.sigma_B)
            for v in (own.velocity_BCTHW, own.reference_BCTHW)
        )
        rho = (now - then).exp()
        held = rho.clamp(1 - spec.ratio, 1 + spec.ratio)
        value = torch.maximum(-A * rho, -A * held).mean()
        clipped = (-A * held > -A * rho).float().mean()
        return LossTerms({"awm": value}, {"awm": spec.strength}, {"awm_clipped": clipped})

    def _likelihood(self, error_B: Tensor, sigma_B: Tensor) -> Tensor:
        if self.spec.error == "plain":
            return -error_B
        raised: Tensor = (error_B + FLOOR).pow(POWER) - FLOOR**POWER
        return -sigma_B * raised / POWER

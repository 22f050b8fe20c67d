"""Negative-aware fine-tuning (DiffusionNFT, Zheng et al. 2025, arXiv 2509.16117, equations 5 to 7), on stored clips.

L = (strength / beta) E[ r ||v+ - u||^2 + (1 - r) ||v- - u||^2 ],  v+- = (1 -+ beta) v_ref +- beta v, which is
strength (beta ||v - v_ref||^2 + 2 (2r - 1) <v - v_ref, v_ref - u>) and a constant: a signed pull and a velocity anchor.

What differs from the publication and its code:
- Clips are stored, not sampled anew in each step. v_ref is the model that made the round's clips, renewed once a round.
  With `old: ema` it is the publication's moving average of the policy instead, but no clips are made by it.
- r is 1/2 + 1/2 clip((score - mean of its prompt) / Z, -1, 1) with Z the root mean square over all clips. That is the
  printed form. The publication's code clips at 5 Z instead, r = 1/2 + A/10, and multiplies its loss by 5: the same pull
  for A below 1, five times the anchor.
- `adaptive` is off here and always on in its code. On, each branch's error is sigma x mean square / mean absolute
  error of its velocity, which is that code's normalised error of the clean latents.
- There is no KL term inside: `train.anchor` is that.
- `strength` is beta in recipes of earlier releases, which did not divide by beta.

Cost: one pass with gradients and one of the frozen model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from torch import Tensor

from rushes.recipe.objectives import NftSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import at_least_float32, negative_aware, squared_error

LEAST_ERROR: Final = 1e-5
"""Least mean absolute error of clean latents that an error is divided by."""


@dataclass(frozen=True)
class Nft:
    """The objective `nft`."""

    spec: NftSpec
    names: ClassVar[tuple[str, ...]] = ("nft",)

    def terms(self, own: OwnClips) -> LossTerms:
        """Towards good clips and away from bad ones."""
        assert own.reference_BCTHW is not None
        spec, v, v_ref, r = self.spec, own.velocity_BCTHW, own.reference_BCTHW, own.columns["preference"]
        if spec.adaptive:
            good = adaptive_error((1 - spec.beta) * v_ref + spec.beta * v, own.target_BCTHW, own.sigma_B)
            bad = adaptive_error((1 + spec.beta) * v_ref - spec.beta * v, own.target_BCTHW, own.sigma_B)
            value = (r * good + (1 - r) * bad).mean()
        else:
            value = negative_aware(v, v_ref, own.target_BCTHW, r, spec.beta)
        return LossTerms({"nft": value}, {"nft": spec.strength / spec.beta})


def adaptive_error(velocity: Tensor, target: Tensor, sigma_B: Tensor) -> Tensor:
    """Mean square of the error of the predicted clean latents divided by its mean absolute value, (B,).

    Clean latents are off by sigma times the velocity's error. The divisor has no gradient.
    """
    off = (at_least_float32(velocity) - target).abs().mean(dim=(1, 2, 3, 4)).detach() * sigma_B
    return sigma_B.square() * squared_error(velocity, target) / off.clamp_min(LEAST_ERROR)

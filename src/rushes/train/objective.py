"""The training objective of a step: named loss terms with their coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates
from rushes.recipe.train import TrainSpec
from rushes.train.batch import FlowBatch, LossTerms
from rushes.train.data import Step
from rushes.train.flow import at_least_float32, negative_aware, squared_error, weighted_flow
from rushes.train.realism import moment_distance

Velocity = Callable[[Tensor, Tensor, TextStates], Tensor]
"""(z_t of shape BCThw, sigma of shape B, text of B items) -> velocity of shape BCThw."""
TERMS: Final = ("negative_aware", "weighted_flow", "real_flow", "moments", "anchor")
"""All possible terms, in the order of `terms`."""


@dataclass(frozen=True, eq=False)
class RewardWeightedObjective:
    """Reward-weighted flow matching on own clips, a realism term on real ones, and an optional anchor to the base."""

    spec: TrainSpec
    reference: Velocity | None
    """The frozen base; needed for the anchor and the negative-aware term."""
    real_mean_CT: Tensor
    """Mean of the real clips' latents per channel and latent frame; used by `moments`."""
    real_std_CT: Tensor
    """Their standard deviation."""
    path: Path = STRAIGHT
    """The model family's way from clean latents to noise."""

    def terms(self, velocity: Velocity, step: Step) -> LossTerms:
        """Named terms of one (micro-)batch, each a mean over its own part of the batch."""
        batch, spec = step.batch, self.spec
        z_t = self.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        target = self.path.target(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        v = at_least_float32(velocity(z_t, batch.sigma_B, batch.text))
        own, real = ~batch.is_real_B, batch.is_real_B
        share = float(own.float().mean())
        terms: dict[str, Tensor] = {}
        coefficients: dict[str, float] = {}
        reference = self._reference(z_t, batch.sigma_B, batch.text, own)
        if bool(own.any()):
            if spec.negative > 0 and reference is not None:
                terms["negative_aware"] = negative_aware(
                    v[own], reference[own], target[own], step.preference_B[own], spec.negative
                )
                coefficients["negative_aware"] = share
            else:
                terms["weighted_flow"] = weighted_flow(v[own], target[own], batch.weight_B[own])
                coefficients["weighted_flow"] = share
        if bool(real.any()) and spec.realism.kind != "none":
            terms["real_flow"] = weighted_flow(v[real], target[real], batch.weight_B[real])
            coefficients["real_flow"] = spec.realism.coefficient * (1 - share)
        if spec.realism.kind == "moments" and bool(own.any()):
            clean = self.path.clean(z_t[own], v[own], batch.sigma_B[own])
            terms["moments"] = moment_distance(clean, batch.sigma_B[own], self.real_mean_CT, self.real_std_CT)
            coefficients["moments"] = spec.realism.coefficient
            if "real_flow" in coefficients:
                coefficients["real_flow"] = 0.0
        if spec.anchor > 0 and reference is not None:
            terms["anchor"] = squared_error(v, reference).mean()
            coefficients["anchor"] = spec.anchor
        return LossTerms(terms, coefficients)

    def _reference(self, z_t: Tensor, sigma_B: Tensor, text: TextStates, own_B: Tensor) -> Tensor | None:
        """The base's velocity where a term reads it: of all items for the anchor, else of own ones, and 0 elsewhere."""
        if self.reference is None or not self.spec.needs_reference:
            return None
        with torch.no_grad():
            # A batch without own items still runs: sharded processes wait for each other in every forward pass.
            if self.spec.anchor > 0 or not bool(own_B.any()) or bool(own_B.all()):
                return at_least_float32(self.reference(z_t, sigma_B, text))
            of_own = at_least_float32(self.reference(z_t[own_B], sigma_B[own_B], text[own_B]))
            return of_own.new_zeros(z_t.shape).index_copy(0, own_B.nonzero()[:, 0], of_own)


def num_items(batch: FlowBatch) -> dict[str, int]:
    """How many items of a (micro-)batch each term would be a mean over."""
    num, num_real = len(batch.is_real_B), int(batch.is_real_B.sum())
    return {name: {"real_flow": num_real, "anchor": num}.get(name, num - num_real) for name in TERMS}

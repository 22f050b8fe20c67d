"""The training loss of a step: the objective on own clips, and what holds the model to reality and to its base.

Realism terms and the anchor are the same for all objectives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor

from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates
from rushes.recipe.train import TrainSpec
from rushes.roles import Objective
from rushes.train.batch import FlowBatch, JudgeHook, LossTerms, OwnClips, Predict
from rushes.train.data import Step
from rushes.train.flow import at_least_float32, squared_error, weighted_flow
from rushes.train.realism import moment_distance

Velocity = Callable[[Tensor, Tensor, TextStates], Tensor]
"""(z_t of shape BCThw, sigma of shape B, text of B items) -> velocity of shape BCThw."""
REGULARISERS: Final = ("real_flow", "moments", "anchor")
"""All terms beside those of the objective."""
DISTANCES: Final = ("distance_to_start", "norm_to_start")
"""Diagnostics of every objective that compares with the frozen start: mean ||v - v_ref||^2, and ||v|| / ||v_ref||."""


@dataclass(frozen=True, eq=False)
class TrainingLoss:
    """The objective on own clips, a realism term on real ones, and an optional anchor to the base."""

    spec: TrainSpec
    objective: Objective
    """What is learned from own clips."""
    reference: Velocity | None
    """The frozen base; None unless the objective or the anchor needs it."""
    real_mean_CT: Tensor
    """Mean of the real clips' latents per channel and latent frame; used by `moments`."""
    real_std_CT: Tensor
    """Their standard deviation."""
    path: Path = STRAIGHT
    """The model family's way from clean latents to noise."""
    judge: JudgeHook | None = None
    """The recipe's judge; None unless the objective asks it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all possible terms and diagnostics."""
        return (*self.objective.names, *REGULARISERS, *DISTANCES)

    def terms(self, velocity: Velocity, step: Step) -> LossTerms:
        """Named terms of one (micro-)batch, each a mean over its own part of the batch."""
        batch, spec = step.batch, self.spec
        z_t = self.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        target = self.path.target(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        v = at_least_float32(velocity(z_t, batch.sigma_B, batch.text))
        own, real = ~batch.is_real_B, batch.is_real_B
        share = float(own.float().mean())
        reference = self._reference(z_t, batch.sigma_B, batch.text, own)
        terms: dict[str, Tensor] = {}
        coefficients: dict[str, float] = {}
        diagnostics: dict[str, Tensor] = {}
        num_items: Mapping[str, int] = {}
        if bool(own.any()):
            given = self._own(step, z_t, target, v, reference)
            if self.judge is not None:
                given = replace(given, judge=self.judge, predict=self._predict(velocity, batch.text, own))
            learned = self.objective.terms(given)
            num_items = learned.num_items
            terms.update(learned.terms)
            coefficients.update({name: value * share for name, value in learned.coefficients.items()})
            diagnostics.update(learned.diagnostics)
            if reference is not None:
                diagnostics.update(_distances(v[own].detach(), reference[own]))
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
        return LossTerms(terms, coefficients, diagnostics, num_items)

    def _own(self, step: Step, z_t: Tensor, target: Tensor, v: Tensor, reference: Tensor | None) -> OwnClips:
        batch, own = step.batch, ~step.batch.is_real_B
        columns = {name: values[own] for name, values in step.columns.items()}
        return OwnClips(
            z_0_BCTHW=batch.z_0_BCTHW[own],
            z_t_BCTHW=z_t[own],
            sigma_B=batch.sigma_B[own],
            target_BCTHW=target[own],
            velocity_BCTHW=v[own],
            reference_BCTHW=None if reference is None else reference[own],
            columns={**columns, "weight": batch.weight_B[own]},
            path=self.path,
            last=step.last,
            rows_B=None if step.rows_B is None else step.rows_B[own.to(step.rows_B.device)],
        )

    def _predict(self, velocity: Velocity, text: TextStates, own_B: Tensor) -> Predict:
        @torch.no_grad()
        def predict(model: Literal["tuned", "base"], z_t: Tensor, sigma_B: Tensor) -> Tensor:
            chosen = velocity if model == "tuned" else self.reference
            assert chosen is not None
            return at_least_float32(chosen(z_t, sigma_B, text[own_B]))

        return predict

    def _reference(self, z_t: Tensor, sigma_B: Tensor, text: TextStates, own_B: Tensor) -> Tensor | None:
        """The base's velocity where a term reads it: of all items for the anchor, else of own ones, and 0 elsewhere."""
        if self.reference is None:
            return None
        with torch.no_grad():
            # A batch without own items still runs: sharded processes wait for each other in every forward pass.
            if self.spec.anchor > 0 or not bool(own_B.any()) or bool(own_B.all()):
                return at_least_float32(self.reference(z_t, sigma_B, text))
            of_own = at_least_float32(self.reference(z_t[own_B], sigma_B[own_B], text[own_B]))
            return of_own.new_zeros(z_t.shape).index_copy(0, own_B.nonzero()[:, 0], of_own)


def _distances(v: Tensor, reference: Tensor) -> dict[str, Tensor]:
    norm, of_reference = (x.flatten(1).norm(dim=1) for x in (v, reference))
    ratio = norm / of_reference.clamp_min(1e-12)
    return dict(zip(DISTANCES, (squared_error(v, reference).mean(), ratio.mean()), strict=True))


def num_items(batch: FlowBatch, names: Iterable[str]) -> dict[str, int]:
    """How many items of a (micro-)batch each of these terms and diagnostics is a mean over."""
    num, num_real = len(batch.is_real_B), int(batch.is_real_B.sum())
    return {name: {"real_flow": num_real, "anchor": num}.get(name, num - num_real) for name in names}

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
REGULARISERS: Final = ("real_flow", "moments", "anchor", "norm_guard")
"""All terms beside those of the objective."""
OF_ALL: Final = ("anchor", "norm_guard")
"""Those that are a mean over own and real clips."""


@dataclass(frozen=True, eq=False)
class TrainingLoss:
    """The objective on own clips, a realism term on real ones, and what optionally holds both to a frozen model."""

    spec: TrainSpec
    objective: Objective
    """What is learned from own clips."""
    reference: Velocity | None
    """What the objective compares with, and anchor and norm guard as well unless there is `held_to`. None if nothing
    is compared."""
    real_mean_CT: Tensor
    """Mean of the real clips' latents per channel and latent frame; used by `moments`."""
    real_std_CT: Tensor
    """Their standard deviation."""
    path: Path = STRAIGHT
    """The model family's way from clean latents to noise."""
    judge: JudgeHook | None = None
    """The recipe's judge; None unless the objective asks it."""
    held_to: Velocity | None = None
    """What anchor and norm guard compare with, if that is another model than `reference`."""
    compared: tuple[str, ...] = ("start",)
    """What `reference` is, and `held_to` if there is one, in the names of diagnostics: `start`, `old`, `base`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all possible terms and diagnostics."""
        distances = [f"{what}_to_{model}" for model in self.compared for what in ("distance", "norm")]
        return (*self.objective.names, *REGULARISERS, *distances)

    def terms(self, velocity: Velocity, step: Step) -> LossTerms:
        """Named terms of one (micro-)batch, each a mean over its own part of the batch."""
        batch, spec = step.batch, self.spec
        z_t = self.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        target = self.path.target(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        own, real = ~batch.is_real_B, batch.is_real_B
        share = float(own.float().mean())
        # Before the pass with gradients: for the old policy's the trained parameters change for a moment.
        reference, held_to = self._frozen(z_t, batch.sigma_B, batch.text, own)
        v = at_least_float32(velocity(z_t, batch.sigma_B, batch.text))
        terms: dict[str, Tensor] = {}
        coefficients: dict[str, float] = {}
        diagnostics: dict[str, Tensor] = {}
        num_items: Mapping[str, int] = {}
        judged: Tensor | None = None
        if bool(own.any()):
            given = self._own(step, z_t, target, v, reference)
            if self.judge is not None:
                given = replace(given, judge=self.judge, predict=self._predict(velocity, batch.text, own))
            learned = self.objective.terms(given)
            num_items, judged = learned.num_items, learned.judged_B
            terms.update(learned.terms)
            coefficients.update({name: value * share for name, value in learned.coefficients.items()})
            diagnostics.update(learned.diagnostics)
            for model, frozen in zip(self.compared, (reference, held_to), strict=False):
                if frozen is not None:
                    diagnostics.update(_distances(model, v[own].detach(), frozen[own]))
        if bool(real.any()) and spec.realism.kind != "none":
            terms["real_flow"] = weighted_flow(v[real], target[real], batch.weight_B[real])
            coefficients["real_flow"] = spec.realism.coefficient * (1 - share)
        if spec.realism.kind == "moments" and bool(own.any()):
            clean = self.path.clean(z_t[own], v[own], batch.sigma_B[own])
            terms["moments"] = moment_distance(clean, batch.sigma_B[own], self.real_mean_CT, self.real_std_CT)
            coefficients["moments"] = spec.realism.coefficient
            if "real_flow" in coefficients:
                coefficients["real_flow"] = 0.0
        held_to = reference if held_to is None else held_to
        if spec.anchor > 0 and held_to is not None:
            terms["anchor"] = squared_error(v, held_to).mean()
            coefficients["anchor"] = spec.anchor
        if spec.norm_guard > 0 and held_to is not None:
            terms["norm_guard"] = norm_excess(v, held_to).mean()
            coefficients["norm_guard"] = spec.norm_guard
        return LossTerms(terms, coefficients, diagnostics, num_items, judged)

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
            asks=step.asks,
            rows_B=None if step.rows_B is None else step.rows_B[own.to(step.rows_B.device)],
        )

    def _predict(self, velocity: Velocity, text: TextStates, own_B: Tensor) -> Predict:
        @torch.no_grad()
        def predict(model: Literal["tuned", "base"], z_t: Tensor, sigma_B: Tensor) -> Tensor:
            chosen = velocity if model == "tuned" else self.reference
            assert chosen is not None
            return at_least_float32(chosen(z_t, sigma_B, text[own_B]))

        return predict

    def _frozen(
        self, z_t: Tensor, sigma_B: Tensor, text: TextStates, own_B: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """The velocities of `reference` and `held_to`, where a term reads them: of all items if it holds real ones as
        well, else of own ones, and 0 elsewhere."""
        reference = held_to = None
        with torch.no_grad():
            if self.reference is not None:
                of_all = self.spec.is_held and self.held_to is None
                reference = _velocity(self.reference, z_t, sigma_B, text, own_B | of_all)
            if self.held_to is not None:
                held_to = at_least_float32(self.held_to(z_t, sigma_B, text))
        return reference, held_to


def _velocity(model: Velocity, z_t: Tensor, sigma_B: Tensor, text: TextStates, read_B: Tensor) -> Tensor:
    """A frozen model's velocity of the items that are read, and 0 elsewhere."""
    # A batch of which nothing is read still runs: sharded processes wait for each other in every forward pass.
    if not bool(read_B.any()) or bool(read_B.all()):
        return at_least_float32(model(z_t, sigma_B, text))
    of_read = at_least_float32(model(z_t[read_B], sigma_B[read_B], text[read_B]))
    return of_read.new_zeros(z_t.shape).index_copy(0, read_B.nonzero()[:, 0], of_read)


def norm_excess(velocity: Tensor, frozen: Tensor) -> Tensor:
    """max(0, ||v|| - ||v_ref||)^2 of each item, (B,); the norm is the root of the mean square over elements."""
    norm, of_frozen = (x.square().mean(dim=(1, 2, 3, 4)).clamp_min(1e-12).sqrt() for x in (velocity, frozen))
    return (norm - of_frozen).relu().square()


def _distances(model: str, v: Tensor, frozen: Tensor) -> dict[str, Tensor]:
    """Mean ||v - v_ref||^2, and ||v|| / ||v_ref||."""
    norm, of_frozen = (x.flatten(1).norm(dim=1) for x in (v, frozen))
    ratio = norm / of_frozen.clamp_min(1e-12)
    return {f"distance_to_{model}": squared_error(v, frozen).mean(), f"norm_to_{model}": ratio.mean()}


def num_items(batch: FlowBatch, names: Iterable[str]) -> dict[str, int]:
    """How many items of a (micro-)batch each of these terms and diagnostics is a mean over."""
    num, num_real = len(batch.is_real_B), int(batch.is_real_B.sum())
    of_kind = {"real_flow": num_real, **dict.fromkeys(OF_ALL, num)}
    return {name: of_kind.get(name, num - num_real) for name in names}

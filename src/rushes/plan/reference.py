"""What a run would cost on the reference GPU: arithmetic over the speed that is reached there. An estimate, said so.

The efficiency is not a wish: the published 95 s for one clip of Wan2.1-T2V-1.3B (832 x 480, 81 frames, 50 steps with
guidance) on one H200, by this count of its transformer, are 30 % of the device's peak.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.plan.flops import UnitFlops
from rushes.plan.work import calls_per_clip
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import TrainSpec
from rushes.records import Checkpoint, Clip

GPU: Final = "NVIDIA H200"
PEAK: Final = 989e12
"""FLOPs a second at most, dense bfloat16, as the manufacturer states it."""
EFFICIENCY: Final = 0.30
"""Share of the peak that is reached, see above."""
SMALL_CALL: Final = 1e12
"""A transformer call with fewer FLOPs takes under 4 ms there: starting its kernels then costs as much as computing, so
that the estimate is only a lower bound."""


@dataclass(frozen=True)
class ReferenceCost:
    """One stage on the reference GPU."""

    stage: str
    """Table of the run, as in the cost ledger."""
    seconds: float | None
    """Estimated seconds; None where there is nothing to estimate from."""
    is_at_least: bool
    """True where the estimate is a lower bound: the model is too small to fill the GPU."""
    basis: str
    """What was counted, or why nothing was."""


@dataclass(frozen=True)
class RunFacts:
    """What of a run was done, as far as it is arithmetic."""

    clips: Sequence[Clip]
    """All clips, real ones too."""
    checkpoints: Sequence[Checkpoint]
    """All rounds."""
    num_answers: int
    """Questions answered."""
    num_encoded: int
    """Clips that training encoded, over all rounds."""


def reference_seconds(flops: float) -> float:
    """Seconds for that much arithmetic on the reference GPU."""
    return flops / (PEAK * EFFICIENCY)


def film_flops(clips: Iterable[Clip], unit: UnitFlops, base: BaseModelSpec) -> int:
    """Sampling the clips that a model made, and decoding those that have frames."""
    filmed = [(clip.sampler, clip.video is not None) for clip in clips if clip.sampler is not None]
    return sum(calls_per_clip(sampler, base) * unit.call + has_frames * unit.decode for sampler, has_frames in filmed)


def step_flops(spec: TrainSpec, unit: UnitFlops) -> int:
    """One optimiser step: forward, and backward for inputs and weights at the price of a forward each.

    A low-rank adapter needs next to no weight gradients. The frozen base is asked where a loss term compares with it.
    """
    passes = (2 if spec.lora else 3) + (1 if spec.anchor > 0 or spec.negative > 0 else 0)
    return passes * spec.batch_size * unit.call


def reference_costs(unit: UnitFlops, facts: RunFacts, recipe: Recipe) -> tuple[ReferenceCost, ...]:
    """Each stage of the cost ledger on the reference GPU; what no count covers has no number."""
    is_small = unit.call < SMALL_CALL
    num_steps = sum(checkpoint.step for checkpoint in facts.checkpoints)
    training = num_steps * step_flops(recipe.train, unit) + facts.num_encoded * unit.encode
    filming = film_flops(facts.clips, unit, recipe.base)
    filmed = ReferenceCost("clips", reference_seconds(filming), is_small, "transformer calls and decoding")
    trained = ReferenceCost(
        "checkpoints", reference_seconds(training), is_small, "forward and backward passes, encoding of the clips"
    )
    if unit.answer is None:
        judged = ReferenceCost("answers", None, False, "this judge's arithmetic cannot be counted from here")
    else:
        judged = ReferenceCost(
            "answers", reference_seconds(facts.num_answers * unit.answer), is_small, "the judge's network"
        )
    return (
        ReferenceCost("prompts", None, False, "no count: prompts are written by other means than this model"),
        filmed,
        judged,
        ReferenceCost("measurements", None, False, "no count: the measurer is a program of its own"),
        trained,
    )

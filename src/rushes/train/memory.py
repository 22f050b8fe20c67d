"""What the judge said in earlier steps, for objectives that ask it in each n-th step and read it again in between.

Kept per clip and tenth of the noise levels, as a part of the training's state. Legend: N samples, S bins, B batch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rushes.roles import ObjectiveNeeds
from rushes.train.data import Step
from rushes.train.lesson import NUM_BINS
from rushes.train.watch import sigma_bins


def nothing_yet(needs: ObjectiveNeeds, num_samples: int) -> dict[str, Tensor]:
    """The memory before step 1: `score`, (N, S), NaN everywhere; empty for objectives that read none of it."""
    if needs.judge_every == 1:
        return {}
    return {"score": torch.full((num_samples, NUM_BINS), torch.nan)}


def recalled(memory: dict[str, Tensor], step: Step, number: int, needs: ObjectiveNeeds) -> Step:
    """The step with what is remembered of its clips at its noise levels, as the column `judged`.

    Args:
        memory: from `nothing_yet`.
        step: the whole batch's.
        number: of the step, from 0.
        needs: the objective's.
    """
    if not memory or step.rows_B is None:
        return step
    known_B = memory["score"][step.rows_B, sigma_bins(step.batch.sigma_B)]
    return replace(step, columns={**step.columns, "judged": known_B}, asks=number % needs.judge_every == 0)


def remember(memory: dict[str, Tensor], step: Step, judged_B: Tensor) -> None:
    """Keep the new scores of a step's clips in place; NaN leaves what is known. Of a clip that is twice in it the last.

    Args:
        memory: from `nothing_yet`.
        step: the whole batch's.
        judged_B: the new score of each item.
    """
    if not memory or step.rows_B is None:
        return
    bins = sigma_bins(step.batch.sigma_B)
    for row, number, score in zip(step.rows_B.tolist(), bins.tolist(), judged_B.tolist(), strict=True):
        if score == score:
            memory["score"][row, number] = score

"""What plug-ins state about themselves, as values: how accurate a judge is, what an objective needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class AccuracyRow:
    """How often a judge is right about clips whose content is known.

    Example: `AccuracyRow("Composition", num_right=188, num_questions=200)`.
    """

    dimension: str
    """Quality dimension."""
    num_right: int
    """Questions answered right about clean clips."""
    num_questions: int
    """Questions asked about them, at least 1."""
    num_right_broken: int = 0
    """Questions answered right about clips that were broken and distorted on purpose."""
    num_questions_broken: int = 0
    """Questions asked about those; 0 where that was not measured."""


Column = Literal["weight", "score", "preference", "advantage", "direction"]
"""What training knows of an own clip: `weight` by the recipe's weighting, 0 or more; `score` r, 0 to 1, or in standard
deviations among its siblings (`rushes.judge.reward`); `preference`, 0 to 1, 1/2 for a take like its siblings;
`advantage`, the distance to its siblings' mean in units of its root mean
square over all clips. NaN where it is missing, never 0. `direction` is a tensor like the clip's latents: the covariance
of latents and scores over its prompt's takes, of a root mean square of 1."""


@dataclass(frozen=True)
class OldPolicy:
    """A moving average of the tuned weights: old <- eta old + (1 - eta) tuned, with eta = min(rate x step, cap).

    Example: `OldPolicy(rate=0.001, cap=0.5, every=10)`.
    """

    rate: float
    """eta after one optimiser step, 0 or more; it grows in proportion to the steps done."""
    cap: float
    """Largest eta, 0 to 1. With 0 the old policy jumps to the tuned weights."""
    every: int = 1
    """Optimiser steps from one such change to the next."""


@dataclass(frozen=True)
class ObjectiveNeeds:
    """What an objective needs of training. A Spec of an objective returns it from `needs()`.

    Example: `ObjectiveNeeds(reference=True, unit="pair", unit_size=2, is_tied=True, columns=("score",))`.
    """

    reference: bool = False
    """The velocity of the frozen model that this round's training starts from: in the first round the base, then the
    model that made the round's clips. One more forward pass in every step."""
    old: OldPolicy | None = None
    """Compare with this moving model instead; it begins as that frozen one. Goes with `reference=True`."""
    unit: Literal["clip", "pair", "group"] = "clip"
    """What is drawn: single clips; two takes of one prompt, the better one first; several takes of one prompt."""
    unit_size: int = 1
    """Clips of a unit: 1, 2 for pairs, 2 or more for groups. A unit is never divided."""
    is_tied: bool = False
    """All clips of a unit get the same noise and noise level, and the caption of all of them is dropped or of none."""
    min_gap: float = 0.0
    """Pairs and groups whose scores differ by no more than this are left out, and with `direction` such prompts."""
    judge: Literal["none", "value", "gradient"] = "none"
    """What it asks the judge in every step about clips that the model denoises: nothing; their scores; by how much the
    judge's logit changes with their latents, which not every judge can tell. They are decoded for it."""
    sigma_range: tuple[float, float] = (0.0, 1.0)
    """The noise levels of own clips are drawn between these; equal ones fix them."""
    positions: tuple[float, ...] = ()
    """Noise levels at which own clips are read, by turns; empty for those of the recipe's density."""
    columns: tuple[Column, ...] = ()
    """What the objective reads; a clip that lacks one of them is not drawn. With `weight` single clips are drawn in
    proportion to it; without, all units are drawn equally often."""

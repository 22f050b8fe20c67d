"""The smallest gain that a comparison can be expected to show: before it is paid for, and once its spread is known.

Legend: N prompts, m clips of each prompt and model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rushes.statistics.comparison import ALPHA

LIKENESS: Final = 0.5
"""Assumed, not measured: correlation of two clips of one prompt with different seeds."""
SAME_SEED: Final = 0.5
"""Assumed, not measured: of what two clips of one prompt do not share, the part that the same seed fixes for both
models. 0 where the seed tells nothing, as with unpaired clips; 1 where every clip keeps its verdict."""


@dataclass(frozen=True)
class Spread:
    """How much gains differ, between prompts and between clips of one prompt.

    Example: `Spread(between=0.01, within=0.3)`.
    """

    between: float
    """Variance of the true gains of prompts, 0 or more."""
    within: float
    """Variance of a clip's gain around its prompt's, 0 or more."""

    def of_prompt(self, num_clips: int) -> float:
        """Variance of the mean gain of one prompt with that many clips before and after."""
        return self.between + self.within / num_clips


def smallest_gain(
    num_prompts: int,
    num_clips: int,
    *,
    score: float = 0.5,
    likeness: float = LIKENESS,
    same_seed: float = SAME_SEED,
    num_compared: int = 1,
) -> float:
    """The smallest true gain that a recipe finds in one dimension with probability 0.8, before anything is measured.

    Args:
        num_prompts: held-out prompts of the dimension, at least 2.
        num_clips: takes of each prompt and model, at least 1.
        score: mean score of the clips, which are right or wrong; 0.5 is the worst case.
        likeness: see `binary_spread`.
        same_seed: see `binary_spread`.
        num_compared: dimensions decided together: 1 for the dimension alone, all of a scorecard for Holm's strictest
            step.

    Returns:
        Gain, 0 or more; infinite where so few prompts can show nothing, see `detectable`.
    """
    return detectable(binary_spread(score, likeness, same_seed), num_prompts, num_clips, alpha=ALPHA / num_compared)


def smallest_gain_seen(gains: Sequence[Sequence[float]]) -> float | None:
    """The smallest true gain that clips like these find with probability 0.8, by the spread in what was measured.

    Args:
        gains: per prompt, at least 2 of them, after - before of each clip.

    Returns:
        None where nothing varies or so few prompts can show nothing.
    """
    num_clips = max(1, round(sum(map(len, gains)) / len(gains)))
    if num_clips > 1:
        spread = spread_of(gains)
    else:
        spread = Spread(between=float(np.var([np.mean(each) for each in gains], ddof=1)), within=0.0)
    found = detectable(spread, len(gains), num_clips) if spread.of_prompt(num_clips) > 0 else math.inf
    return found if math.isfinite(found) else None


def spread_of(gains: Sequence[Sequence[float]]) -> Spread:
    """The spread in the gains of a comparison (one-way analysis of variance, unequal group sizes allowed).

    Args:
        gains: per prompt, after - before of each clip; at least 2 prompts, and one with at least 2 clips.

    Raises:
        ValueError: too few to tell the two apart.
    """
    groups = [np.asarray(group, np.float64) for group in gains if len(group)]
    total, degrees = sum(map(len, groups)), sum(len(group) - 1 for group in groups)
    if len(groups) < 2 or degrees < 1:
        raise ValueError("expected at least 2 prompts, one of them with 2 clips or more")
    within = sum(float(np.square(group - group.mean()).sum()) for group in groups) / degrees
    grand = math.fsum(float(group.sum()) for group in groups) / total
    among = sum(len(group) * float(group.mean() - grand) ** 2 for group in groups) / (len(groups) - 1)
    size = (total - sum(len(group) ** 2 for group in groups) / total) / (len(groups) - 1)
    return Spread(between=max(0.0, (among - within) / size), within=within)


def binary_spread(score: float, likeness: float = LIKENESS, same_seed: float = SAME_SEED) -> Spread:
    """What to expect of clips that are right or wrong, before anything is measured.

    Before and after, each clip has the same prompt and the same seed, so that the two models' verdicts on it correlate
    by likeness + (1 - likeness) same_seed, and the variance of a clip's gain is
    2 p (1 - p) (1 - likeness) (1 - same_seed). The true gain is taken to be the same for all prompts: where some gain
    and others do not, somewhat larger gains are needed.

    Args:
        score: mean score p, 0 to 1; 0.5 is the worst case.
        likeness: correlation of two clips of one prompt with different seeds, 0 to 1: 0 when prompts do not matter, 1
            when only they do.
        same_seed: what the same seed fixes of the rest, 0 to 1.
    """
    if not all(0.0 <= each <= 1.0 for each in (score, likeness, same_seed)):
        got = f"{score!r}, {likeness!r} and {same_seed!r}"
        raise ValueError(f"expected score, likeness and same_seed from 0 to 1, got {got}")
    return Spread(between=0.0, within=2.0 * score * (1.0 - score) * (1.0 - likeness) * (1.0 - same_seed))


def fewest_prompts(alpha: float = ALPHA) -> int:
    """The fewest prompts whose sign-flip test can come out below `alpha`: 2 of 2^N sign patterns are the extreme ones.

    Args:
        alpha: level, between 0 and 1.
    """
    return math.floor(1.0 - math.log2(alpha)) + 1


def detectable(spread: Spread, num_prompts: int, num_clips: int, *, alpha: float = ALPHA, power: float = 0.8) -> float:
    """The smallest true gain that is found with the given probability, by a paired t test over prompts.

    Args:
        spread: how much gains differ.
        num_prompts: prompts N, at least 2.
        num_clips: clips of each prompt and model m, at least 1.
        alpha: two-sided level of the test; `ALPHA` / 18 for Holm's strictest step over 18 dimensions.
        power: probability of finding it.

    Returns:
        Gain, 0 or more, in the unit of the scores; can exceed 1 where nothing can be found, and is infinite with
        fewer prompts than `fewest_prompts`, which no gain can get past the rule of `rushes.statistics.comparison`.
    """
    from scipy.special import nctdtr, stdtrit

    if num_prompts < 2 or num_clips < 1 or not 0 < alpha < 1 or not alpha < power < 1:
        raise ValueError(f"expected 2 prompts or more and 0 < alpha < power < 1, got {num_prompts!r}, {alpha!r}")
    if num_prompts < fewest_prompts(alpha):
        return math.inf
    degrees = num_prompts - 1
    limit = float(stdtrit(degrees, 1.0 - alpha / 2.0))
    # Noncentrality at which the test statistic passes the limit with probability `power`, by bisection.
    low, high = 0.0, limit + 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if 1.0 - float(nctdtr(degrees, middle, limit)) < power else (low, middle)
    return high * math.sqrt(spread.of_prompt(num_clips) / num_prompts)

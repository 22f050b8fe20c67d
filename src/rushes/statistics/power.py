"""The smallest gain that a comparison can be expected to show: before it is paid for, and once its spread is known.

Both are approximations, good from about 50 prompts on: a paired t test stands for the rule of
`rushes.statistics.comparison`, which finds somewhat less. In simulated comparisons of clips that are right or wrong the
rule finds the smallest gain, for 80 times in 100 promised, 72 to 87 times with 50 prompts or more, 71 to 80 times with
32, and 55 to 60 times with 16.

Legend: N prompts, m clips of each prompt and model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from rushes.statistics.comparison import ALPHA
from rushes.statistics.resampling import TINY

LIKENESS: Final = 0.5
"""Assumed, not measured: correlation of two clips of one prompt with different seeds."""
SAME_SEED: Final = 0.5
"""Assumed, not measured: of what two clips of one prompt do not share, the part that the same seed fixes for both
models. 0 where the seed tells nothing, as with unpaired clips; 1 where every clip keeps its verdict."""
POWER: Final = 0.8
"""Probability with which the smallest gain is found."""


def smallest_gain(
    num_prompts: int,
    num_clips: int,
    *,
    score: float = 0.5,
    likeness: float = LIKENESS,
    same_seed: float = SAME_SEED,
    num_compared: int = 1,
) -> float:
    """The smallest true gain that a recipe finds in one dimension with probability `POWER`; before it is measured.

    Clips are right or wrong. Where nothing is gained, a share v_0 of the pairs of one prompt and seed changes all the
    same (`changed_share`); where g is gained, at least g changes. Between the two, sqrt(v_0^2 + g^2) is taken to
    change: thresholds on correlated normals give up to a tenth less. So the variance of a pair's gain is
    v(g) = sqrt(v_0^2 + g^2) - g^2, and with c the noncentrality that the test needs, g = c sqrt(v(g) / (N m)). Solved
    for g, g^2 = q^2 / 2 + sqrt((q^2 / 2)^2 + (q v_0)^2), q = c^2 / (c^2 + N m). The true gain is taken to be the same
    for all prompts: where some gain and others do not, somewhat larger gains are needed.

    Args:
        num_prompts: held-out prompts of the dimension N, at least 2.
        num_clips: takes of each prompt and model m, at least 1.
        score: mean score of the clips; 0.5 is the worst case.
        likeness: see `changed_share`.
        same_seed: see `changed_share`.
        num_compared: dimensions decided together: 1 for the dimension alone, all of a scorecard for Holm's strictest
            step.

    Returns:
        Gain, 0 to 1; infinite where so few prompts can show nothing, see `fewest_prompts`.
    """
    if num_clips < 1:
        raise ValueError(f"expected 1 clip or more of each prompt, got {num_clips!r}")
    changed = changed_share(score, likeness, same_seed)
    needed = noncentrality(num_prompts, ALPHA / num_compared)
    if math.isinf(needed):
        return math.inf
    q = needed**2 / (needed**2 + num_prompts * num_clips)
    return math.sqrt(q**2 / 2.0 + math.hypot(q**2 / 2.0, q * changed))


def smallest_gain_seen(gains: Sequence[float]) -> float | None:
    """The smallest true gain of one dimension that prompts like these show with probability `POWER`.

    It is c sqrt(s^2 / N), s^2 the variance of the prompts' mean gains, which is the spread that the test has.

    Args:
        gains: mean gain of each prompt, at least 2 of them.

    Returns:
        Gain, above 0 and at most 1, the largest that scores allow; None where nothing varies, or such prompts show no
        possible gain: they are too few, or spread too much.
    """
    error = float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    needed = noncentrality(len(gains), ALPHA)
    return needed * error if error > TINY and needed * error <= 1.0 else None


def changed_share(score: float, likeness: float = LIKENESS, same_seed: float = SAME_SEED) -> float:
    """Share of pairs of clips, right or wrong, whose verdict changes although nothing was gained.

    Before and after, each clip has the same prompt and the same seed, so that the two models' verdicts on it correlate
    by likeness + (1 - likeness) same_seed: 2 p (1 - p) (1 - likeness) (1 - same_seed) of them differ.

    Args:
        score: mean score p, 0 to 1; 0.5 is the worst case.
        likeness: correlation of two clips of one prompt with different seeds, 0 to 1: 0 when prompts do not matter, 1
            when only they do.
        same_seed: what the same seed fixes of the rest, 0 to 1.
    """
    if not all(0.0 <= each <= 1.0 for each in (score, likeness, same_seed)):
        got = f"{score!r}, {likeness!r} and {same_seed!r}"
        raise ValueError(f"expected score, likeness and same_seed from 0 to 1, got {got}")
    return 2.0 * score * (1.0 - score) * (1.0 - likeness) * (1.0 - same_seed)


def fewest_prompts(alpha: float = ALPHA) -> int:
    """The fewest prompts whose sign-flip test can come out below `alpha`: 2 of 2^N sign patterns are the extreme ones.

    Args:
        alpha: level, between 0 and 1.
    """
    return math.floor(1.0 - math.log2(alpha)) + 1


def noncentrality(num_prompts: int, alpha: float) -> float:
    """Gain in standard errors that a paired t test over prompts finds with probability `POWER`.

    Args:
        num_prompts: prompts N, at least 2.
        alpha: two-sided level of the test; `ALPHA` / 18 for Holm's strictest step over 18 dimensions.

    Returns:
        About 2.8 for many prompts at 0.05; infinite with fewer prompts than `fewest_prompts`, which no gain can get
        past the rule of `rushes.statistics.comparison`.
    """
    from scipy.special import nctdtr, stdtrit

    if num_prompts < 2 or not 0.0 < alpha < POWER:
        raise ValueError(f"expected 2 prompts or more and alpha from 0 to {POWER}, got {num_prompts!r}, {alpha!r}")
    if num_prompts < fewest_prompts(alpha):
        return math.inf
    degrees = num_prompts - 1
    limit = float(stdtrit(degrees, 1.0 - alpha / 2.0))
    low, high = 0.0, limit + 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if 1.0 - float(nctdtr(degrees, middle, limit)) < POWER else (low, middle)
    return high

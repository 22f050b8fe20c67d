"""Means with intervals by a bootstrap over prompts. Takes of one prompt are not independent, so prompts are resampled.

Every value is first averaged within its prompt; the statistic is the mean over prompts. Its interval is a percentile
interval with two corrections for the few prompts that a run can afford, without which 95 % intervals over 8 to 32
prompts hold the truth only 89 to 92 times in 100:

- n - 1 of the n prompts are drawn each time, which makes the spread of the resampled means that of the unbiased
  standard error (McCarthy and Snowden 1985, "The bootstrap and finite population sampling");
- the ends are read at the normal levels of Student's t, as in the expanded percentile interval (Hesterberg 2015, "What
  teachers should know about the bootstrap", section 4.2).

Bias-corrected and accelerated (BCa) intervals were tried on the same simulated gains and covered no better than the
plain percentile.

When all prompts agree, resampling sees no spread at all and would claim certainty. Then half a prompt at each bound and
one in the middle are added (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
proportions") and the interval is the normal one of that sample.

Legend: R resamples, N prompts.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
GAIN_BOUNDS = (-1.0, 1.0)
"""Range of a gain of scores."""
SCORE_BOUNDS = (0.0, 1.0)
"""Range of a score."""


@dataclass(frozen=True)
class Interval:
    """A mean and how far it could be off.

    Example: `Interval(mean=0.13, low=0.06, high=0.20)`.
    """

    mean: float
    """Mean over prompts."""
    low: float
    """Lower end of the interval, at most `mean`."""
    high: float
    """Upper end of the interval, at least `mean`."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made; two equal ones give equal intervals.

    Example: `Resampling(num_resamples=2000, seed=0)`.
    """

    num_resamples: int = 2000
    """Resamples R, at least 1."""
    seed: int = 0
    """Root of the random choices; each dimension draws from its own stream."""
    confidence: float = 0.95
    """Share of intervals that shall hold the truth, between 0 and 1."""

    def __post_init__(self) -> None:
        if self.num_resamples < 1 or not 0.0 < self.confidence < 1.0:
            raise ValueError(f"expected num_resamples >= 1 and 0 < confidence < 1, got {self!r}")

    def rng(self, name: str) -> np.random.Generator:
        """The stream of one dimension, so that measuring another dimension as well changes nothing."""
        return np.random.default_rng((self.seed, zlib.crc32(name.encode())))


def prompt_means(values: Sequence[float], prompts: Sequence[str]) -> F64:
    """The mean value of each prompt, in the order of the prompts' keys, so that the order of clips changes nothing.

    Args:
        values: one per clip, finite.
        prompts: key of each clip's prompt, aligned with `values`.

    Raises:
        ValueError: no values, not aligned, or not finite.
    """
    if not len(values) or len(values) != len(prompts):
        raise ValueError(f"expected as many values as prompts, at least one, got {len(values)} and {len(prompts)}")
    if not np.isfinite(values).all():
        raise ValueError("expected finite values: leave unscored clips out, with their partners")
    by_prompt: dict[str, list[float]] = {}
    for prompt, value in zip(prompts, values, strict=True):
        by_prompt.setdefault(prompt, []).append(value)
    # fsum: the same set of values gives the same bits in any order.
    return np.array([math.fsum(by_prompt[key]) / len(by_prompt[key]) for key in sorted(by_prompt)])


def score_interval(
    values: Sequence[float], prompts: Sequence[str], how: Resampling = Resampling(), *, name: str = ""
) -> Interval:
    """Mean score with its interval, for one model.

    Args:
        values: score of each clip, 0 to 1.
        prompts: key of each clip's prompt.
        how: resamples, seed, confidence.
        name: of the dimension; picks the random stream.

    Raises:
        ValueError: see `prompt_means`; values out of range; only one prompt, which tells nothing about others.
    """
    return _interval([prompt_means(values, prompts)], SCORE_BOUNDS, [how.rng(name)], how)


def gain_interval(
    before: Sequence[float],
    after: Sequence[float],
    prompts: Sequence[str],
    how: Resampling = Resampling(),
    *,
    name: str = "",
) -> Interval:
    """Mean of after - before over the same prompts and seeds, with its interval.

    Args:
        before: score of each clip of the base model, 0 to 1.
        after: score of the same prompt and seed by the tuned model.
        prompts: key of each pair's prompt.
        how: resamples, seed, confidence.
        name: of the dimension; picks the random stream.

    Raises:
        ValueError: see `score_interval`.
    """
    return mean_gain_interval({name: _gains(before, after, prompts)}, how)


def _gains(before: Sequence[float], after: Sequence[float], prompts: Sequence[str]) -> F64:
    if len(before) != len(after):
        raise ValueError(f"expected one score after for each before, got {len(before)} and {len(after)}")
    return prompt_means([b - a for a, b in zip(before, after, strict=True)], prompts)


def mean_gain_interval(gains: dict[str, F64], how: Resampling = Resampling()) -> Interval:
    """Mean over dimensions of their mean gains, with its interval; prompts are resampled within each dimension.

    Each dimension counts the same however many prompts it has.

    Args:
        gains: per dimension, one gain per prompt (`prompt_means` of after - before), -1 to 1.
        how: resamples, seed, confidence.

    Raises:
        ValueError: no dimension, a gain out of range, or a dimension with only one prompt.
    """
    if not gains:
        raise ValueError("expected at least one dimension to take the mean over")
    names = sorted(gains)
    return _interval([gains[name] for name in names], GAIN_BOUNDS, [how.rng(name) for name in names], how)


def _interval(
    groups: Sequence[F64], bounds: tuple[float, float], rngs: Sequence[np.random.Generator], how: Resampling
) -> Interval:
    from scipy.special import ndtr, stdtrit

    for values_N in groups:
        if len(values_N) < 2 or not ((values_N >= bounds[0]) & (values_N <= bounds[1])).all():
            raise ValueError(f"expected at least 2 prompts with values in {bounds}, got {values_N!r}")
    mean = math.fsum(math.fsum(values_N) / len(values_N) for values_N in groups) / len(groups)
    pairs = zip(groups, rngs, strict=True)
    resampled_R = sum((resampled_means(v, bounds, how.num_resamples, g) for v, g in pairs), np.zeros(how.num_resamples))
    degrees = sum(len(values_N) - 1 for values_N in groups)
    level = float(ndtr(stdtrit(degrees, (1.0 - how.confidence) / 2.0)))
    low, high = np.quantile(resampled_R / len(groups), [level, 1.0 - level])
    # Rounding, and the pull to the middle when all agree, must not push an end past the mean or the bounds.
    return Interval(mean=mean, low=max(bounds[0], min(float(low), mean)), high=min(bounds[1], max(float(high), mean)))


def resampled_means(values_N: F64, bounds: tuple[float, float], num: int, rng: np.random.Generator) -> F64:
    """`num` means of n - 1 values drawn with replacement; of a widened normal where all values agree.

    Args:
        values_N: one value per prompt, at least 2.
        bounds: range that values can have.
        num: how many.
        rng: source of the draws.
    """
    n = len(values_N)
    if np.ptp(values_N) > 1e-12:
        means_R: F64 = values_N[rng.integers(n, size=(num, n - 1))].mean(axis=1)
        return means_R
    low, high = bounds
    padded = np.array([values_N[0], low, high, (low + high) / 2])
    weight = np.array([n, 0.5, 0.5, 1.0]) / (n + 2)
    centre = float(weight @ padded)
    spread = math.sqrt(float(weight @ (padded - centre) ** 2) / (n + 2))
    return np.clip(rng.normal(centre, spread, size=num), low, high)

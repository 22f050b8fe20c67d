"""Is a difference of two models real? Pure functions on values per prompt; clips of one prompt are not independent.

Intervals of a dimension are those of `rushes.statistics.bootstrap` (prompts are resampled). Here are besides:

- `sign_flip_p`: how often chance alone would show so large a mean gain, if before and after were exchangeable
  (Fisher's randomisation test over prompts);
- `holm` and `benjamini_hochberg`: what remains when eighteen dimensions are looked at together;
- `detectable`: the smallest true gain that a number of prompts can be expected to show;
- `combined_interval`: categories and total, whose dimensions share prompts.

Legend: N prompts, m clips per prompt, R resamples, U distinct prompts over all dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rushes.statistics.bootstrap import GAIN_BOUNDS, Interval, Resampling, resampled_means

F64 = NDArray[np.float64]
DEFAULT: Final = Resampling()
"""2,000 resamples, 95 %."""
_EXACT_PROMPTS: Final = 14
"""Up to this many prompts that differ, all 2^N signs are tried; beyond, random ones."""
_NUM_FLIPS: Final = 20_000
"""Random sign patterns; the smallest p-value that they can show is 1 / 20,001."""
_TINY: Final = 1e-12


def sign_flip_p(gains_N: F64, how: Resampling = DEFAULT, *, name: str = "") -> float:
    """Two-sided p-value of the mean gain: the share of sign patterns whose mean is at least as far from 0.

    Prompts without any gain or loss say nothing in this test and are left out, as in McNemar's test.

    Args:
        gains_N: mean gain of each prompt.
        how: seed of the random patterns; used with many prompts only.
        name: of the dimension; picks the random stream.

    Returns:
        0 < p <= 1; 1 where no prompt differs.
    """
    moved_N = gains_N[np.abs(gains_N) > _TINY]
    n = len(moved_N)
    if n == 0:
        return 1.0
    observed = abs(math.fsum(moved_N)) - _TINY * n
    if n <= _EXACT_PROMPTS:
        signs_RN = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs_RN @ moved_N) >= observed).mean())
    signs_RN = 1.0 - 2.0 * how.rng(f"flip {name}").integers(2, size=(_NUM_FLIPS, n)).astype(np.float64)
    # The pattern that was observed is one of the possible ones (Phipson and Smyth 2010).
    return float(((np.abs(signs_RN @ moved_N) >= observed).sum() + 1) / (_NUM_FLIPS + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values: at most alpha of the time is any one below alpha by chance (Holm 1979).

    Args:
        p_values: 0 to 1, in any order.

    Returns:
        Adjusted values in the same order: max over j <= i of min(1, (n - j + 1) p_(j)).
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(_ascending(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg adjusted p-values: of those below q, a share q is there by chance (1995; independent tests).

    Args:
        p_values: 0 to 1, in any order.

    Returns:
        Adjusted values in the same order: min over j >= i of min(1, n p_(j) / j).
    """
    adjusted, lowest = [0.0] * len(p_values), 1.0
    for rank, index in reversed(list(enumerate(_ascending(p_values), 1))):
        lowest = min(lowest, len(p_values) * p_values[index] / rank)
        adjusted[index] = lowest
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    if any(not 0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"expected p-values from 0 to 1, got {list(p_values)!r}")
    return sorted(range(len(p_values)), key=lambda index: p_values[index])


# ---------------------------------------------------------------------------------------------- how much can be seen


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


def spread_of(gains: Sequence[Sequence[float]]) -> Spread:
    """The spread in the gains of a pilot comparison (one-way analysis of variance, unequal group sizes allowed).

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


LIKENESS: Final = 0.5
"""Assumed, not measured: correlation of two clips of one prompt with different seeds."""
SAME_SEED: Final = 0.5
"""Assumed, not measured: of what two clips of one prompt do not share, the part that the same seed fixes for both
models. 0 where the seed tells nothing, as with unpaired clips; 1 where every clip keeps its verdict."""


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


def detectable(spread: Spread, num_prompts: int, num_clips: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true gain that is found with the given probability, by a paired t test over prompts.

    Args:
        spread: how much gains differ.
        num_prompts: prompts N, at least 2.
        num_clips: clips of each prompt and model m, at least 1.
        alpha: two-sided level of the test; 0.05 / 18 for Holm's strictest step over all dimensions.
        power: probability of finding it.

    Returns:
        Gain, 0 or more, in the unit of the scores; can exceed 1 where nothing can be found.
    """
    from scipy.special import nctdtr, stdtrit

    if num_prompts < 2 or num_clips < 1 or not 0 < alpha < 1 or not alpha < power < 1:
        raise ValueError(f"expected 2 prompts or more and 0 < alpha < power < 1, got {num_prompts!r}, {alpha!r}")
    degrees = num_prompts - 1
    limit = float(stdtrit(degrees, 1.0 - alpha / 2.0))
    # Noncentrality at which the test statistic passes the limit with probability `power`, by bisection.
    low, high = 0.0, limit + 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if 1.0 - float(nctdtr(degrees, middle, limit)) < power else (low, middle)
    return high * math.sqrt(spread.of_prompt(num_clips) / num_prompts)


# ---------------------------------------------------------------------------------------------- several dimensions


def combined_interval(
    values: Mapping[str, Mapping[str, float]],
    weights: Mapping[str, float],
    how: Resampling = DEFAULT,
    *,
    bounds: tuple[float, float] = GAIN_BOUNDS,
) -> Interval:
    """A weighted sum of dimensions' means with its interval: a category, or the total.

    A prompt that serves several dimensions is drawn for all of them together, since what is hard in one is often hard
    in another. Prompts get random weights (Bayesian bootstrap, Rubin 1981; exponential weights, deviations scaled by
    sqrt((N + 1) / (N - 1)) so that the variance is the unbiased one); ends are read at the levels of Student's t with
    the degrees of freedom of Welch and Satterthwaite. A dimension in which all prompts agree adds the widened spread
    of `rushes.statistics.bootstrap`.

    Args:
        values: per dimension, the mean value of each prompt; at least 2 prompts each.
        weights: per dimension, its share; the same dimensions.
        how: resamples, seed, confidence.
        bounds: range that a value can have.

    Raises:
        ValueError: no dimension, a dimension with one prompt, or weights of other dimensions.
    """
    from scipy.special import ndtr, stdtrit

    if not values or values.keys() != weights.keys() or min(map(len, values.values())) < 2:
        raise ValueError("expected at least one dimension, each with a weight and values of 2 prompts or more")
    names = sorted(values)
    prompts = sorted({prompt for name in names for prompt in values[name]})
    column = {prompt: number for number, prompt in enumerate(prompts)}
    draws_RU = how.rng("combined").exponential(size=(how.num_resamples, len(prompts)))
    mean, resampled_R, parts = 0.0, np.zeros(how.num_resamples), list[tuple[float, int]]()
    for name in names:
        x_N = np.array([values[name][prompt] for prompt in sorted(values[name])])
        draws_RN = draws_RU[:, [column[prompt] for prompt in sorted(values[name])]]
        mean += weights[name] * math.fsum(x_N) / len(x_N)
        resampled_R += weights[name] * _redrawn(x_N, draws_RN, bounds, how, name)
        parts.append((weights[name] ** 2 * float(x_N.var(ddof=1)) / len(x_N), len(x_N) - 1))
    level = float(ndtr(stdtrit(_degrees(parts), (1.0 - how.confidence) / 2.0)))
    low, high = np.quantile(resampled_R, [level, 1.0 - level])
    reach = sum(abs(weight) for weight in weights.values())
    return Interval(
        mean=mean,
        low=max(bounds[0] * reach, min(float(low), mean)),
        high=min(bounds[1] * reach, max(float(high), mean)),
    )


def _redrawn(x_N: F64, draws_RN: F64, bounds: tuple[float, float], how: Resampling, name: str) -> F64:
    """Means of one dimension under random weights of its prompts."""
    n = len(x_N)
    if np.ptp(x_N) <= _TINY:
        return resampled_means(x_N, bounds, how.num_resamples, how.rng(name))
    deviation_R = draws_RN @ (x_N - x_N.mean()) / draws_RN.sum(axis=1)
    means_R: F64 = x_N.mean() + math.sqrt((n + 1) / (n - 1)) * deviation_R
    return means_R


def _degrees(parts: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of independent means (Welch 1947): parts are (variance, degrees)."""
    total = sum(variance for variance, _ in parts)
    if total <= 0.0:
        return float(sum(degrees for _, degrees in parts))
    return total**2 / sum(variance**2 / degrees for variance, degrees in parts)

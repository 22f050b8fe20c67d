"""Two models compared, and the one rule by which every scorecard says better, worse or no clear change.

docs/design/007-one-decision-rule.md gives the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rushes.records import Change
from rushes.statistics.bootstrap import DEFAULT, GAIN_BOUNDS, Means, cluster_means, mean_interval
from rushes.statistics.corrections import holm, sign_flip_p
from rushes.statistics.resampling import Estimate, Resampling

ALPHA: Final = 0.05
"""Chance that a scorecard of dimensions in which nothing changed calls any one of them better or worse."""


@dataclass(frozen=True)
class Comparison:
    """What is known of one gain, by itself.

    Example: `Comparison(gain=Estimate(value=0.13, low=0.06, high=0.20), p_value=0.001)`.
    """

    gain: Estimate
    """Mean gain with its 95 % interval."""
    p_value: float
    """Sign-flip test over clusters, two-sided."""


@dataclass(frozen=True)
class Decision:
    """What a scorecard says about one gain among several.

    Example: `Decision(p_holm=0.009, verdict="better")`.
    """

    p_holm: float
    """The p-value, corrected for all gains decided together."""
    verdict: Change
    """By the rule of `decide`."""


def paired_gains(before: Sequence[float], after: Sequence[float], clusters: Sequence[str]) -> dict[str, float]:
    """Mean of after - before in each cluster, over the same prompts and seeds.

    Args:
        before: score of each clip of the base model.
        after: score of the same prompt and seed by the tuned model.
        clusters: what each pair belongs to.

    Raises:
        ValueError: not aligned; see `rushes.statistics.bootstrap.cluster_means`.
    """
    if len(before) != len(after):
        raise ValueError(f"expected one score after for each before, got {len(before)} and {len(after)}")
    return cluster_means([b - a for a, b in zip(before, after, strict=True)], clusters)


def compare_gains(
    gains: Mapping[str, Means],
    how: Resampling = DEFAULT,
    *,
    shares: Mapping[str, float] | None = None,
    bounds: tuple[float, float] = GAIN_BOUNDS,
) -> Comparison:
    """The gain of a dimension, or the weighted sum of several dimensions' gains, with interval and p-value.

    Both treat clusters alike: the interval draws, and the test flips, a cluster in all dimensions that it serves.

    Args:
        gains: per dimension, the mean gain of each cluster; at least 2 clusters each.
        how: resamples, seed, confidence.
        shares: per dimension, its share in the sum; None for equal ones that add up to 1.
        bounds: range that a gain can have.

    Raises:
        ValueError: see `rushes.statistics.bootstrap.resampled_mean`.
    """
    gain = mean_interval(gains, how, shares=shares, bounds=bounds)
    return Comparison(gain, flipped_p(gains, shares))


def flipped_p(gains: Mapping[str, Means], shares: Mapping[str, float] | None = None) -> float:
    """The sign-flip test of a weighted sum of dimensions' gains: a cluster is flipped in all that it serves.

    Args:
        gains, shares: as for `compare_gains`.
    """
    shares = dict.fromkeys(gains, 1.0 / len(gains)) if shares is None else shares
    carried = dict[str, float]()
    for name, means in gains.items():
        for cluster, value in means.items():
            carried[cluster] = carried.get(cluster, 0.0) + shares[name] * value / len(means)
    # Scaled to the size of a gain, so that rounding is told from a difference whatever the number of clusters.
    carried_U = np.array([carried[cluster] for cluster in sorted(carried)]) * len(carried)
    return sign_flip_p(carried_U)


def decide(comparisons: Mapping[str, Comparison]) -> dict[str, Decision]:
    """The decision rule: what is better, worse, or open, among gains that are decided together.

    A gain is called better, or worse, when its p-value after Holm's correction for all of `comparisons` is below
    `ALPHA` and its own interval lies wholly on that side of 0. A single comparison fixed in advance (the mean of the
    focus) is decided alone.

    Args:
        comparisons: by name; the dimensions of a scorecard, or one primary comparison.
    """
    corrected = holm([each.p_value for each in comparisons.values()])
    return {
        name: Decision(p_holm, _verdict(each.gain, p_holm))
        for (name, each), p_holm in zip(comparisons.items(), corrected, strict=True)
    }


def _verdict(gain: Estimate, p_holm: float) -> Change:
    if p_holm >= ALPHA or gain.low <= 0.0 <= gain.high:
        return "no clear change"
    return "better" if gain.low > 0.0 else "worse"


def excluded_loss(lows: Iterable[float]) -> float:
    """The loss above which every dimension's own 95 % interval excludes a loss: "nothing got worse", with a number.

    That no verdict says worse is no evidence: of 40 prompts, a true loss of 10 points is called worse in one of five
    runs. What the intervals leave open is. The claim "no dimension lost more than x", x the largest loss that any
    interval reaches, is wrong only if the interval of the dimension that truly lost most lies above its truth, whatever
    the others do. So it is wrong at most 2.5 times in 100 for any number of dimensions, and needs no correction
    (an intersection-union test, Berger 1982).

    Args:
        lows: lower end of each dimension's own interval, at least one.

    Returns:
        x, 0 or more; 0 where all intervals lie above 0.

    Raises:
        ValueError: there is no interval: nothing is excluded.
    """
    return max(0.0, -min(lows))

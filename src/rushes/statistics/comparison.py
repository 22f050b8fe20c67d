"""Two models compared, and the one rule by which every scorecard says better, worse or no clear change.

docs/design/007-one-decision-rule.md gives the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rushes.records import Change
from rushes.statistics.bootstrap import DEFAULT, Means, cluster_means, mean_interval
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
    gains: Mapping[str, Means], how: Resampling = DEFAULT, *, shares: Mapping[str, float] | None = None
) -> Comparison:
    """The gain of a dimension, or the weighted sum of several dimensions' gains, with interval and p-value.

    Both treat clusters alike: the interval draws, and the test flips, a cluster in all dimensions that it serves.

    Args:
        gains: per dimension, the mean gain of each cluster, -1 to 1; at least 2 clusters each.
        how: resamples, seed, confidence.
        shares: per dimension, its share in the sum; None for equal ones that add up to 1.

    Raises:
        ValueError: see `rushes.statistics.bootstrap.mean_interval`.
    """
    gain = mean_interval(gains, how, shares=shares)
    shares = dict.fromkeys(gains, 1.0 / len(gains)) if shares is None else shares
    carried = dict[str, float]()
    for name, means in gains.items():
        for cluster, value in means.items():
            carried[cluster] = carried.get(cluster, 0.0) + shares[name] * value / len(means)
    # Scaled to the size of a gain, so that rounding is told from a difference whatever the number of clusters.
    carried_U = np.array([carried[cluster] for cluster in sorted(carried)]) * len(carried)
    return Comparison(gain, sign_flip_p(carried_U))


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

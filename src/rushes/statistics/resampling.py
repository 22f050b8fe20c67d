"""The one bootstrap: how clusters are drawn, and how an interval is read off what was drawn.

Values of one cluster (the takes of one prompt; the prompts of several dimensions that share one text) are not
independent, so whole clusters are resampled. The intervals are percentile intervals with two corrections for the few
prompts that a run can afford, without which 95 % intervals over 8 to 32 prompts hold the truth only 89 to 92 times in
100:

- n - 1 of the n clusters are drawn each time, which makes the spread of the resampled means that of the unbiased
  standard error (McCarthy and Snowden 1985, "The bootstrap and finite population sampling");
- the ends are read at the normal levels of Student's t, as in the expanded percentile interval (Hesterberg 2015, "What
  teachers should know about the bootstrap", section 4.2).

Two other ways were tried on simulated gains. Bias-corrected and accelerated (BCa) intervals cover no better. Random
weights in place of draws (Rubin's Bayesian bootstrap) cover worse where clips are right or wrong and few prompts
change: two gains among twelve prompts put their lower end above 0, while a draw can miss both.

Two cases have rules of their own:

- Draws of 2 to 5 clusters cannot leave the range of what was seen, so that the truth is in it at most 50 to 92 times in
  100. Below `FEW_CLUSTERS` the interval is Student's t, with the standard error of the resamples.
- Where all clusters agree, resampling sees no spread at all and would claim certainty. Then half a cluster at each
  bound and one in the middle are added (Agresti and Min 2005, "Simple improved confidence intervals for comparing
  matched proportions"). What is added fades away as the spread grows to `NEAR`, so that no interval jumps.

Legend: R resamples, N clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from rushes.records import Record

F64 = NDArray[np.float64]
TINY: Final = 1e-12
"""Differences up to this are rounding."""
NEAR: Final = 0.01
"""Clusters that spread by less than this, one point, are taken by degrees as agreeing."""
FEW_CLUSTERS: Final = 8
"""Below so many clusters an interval is Student's t."""
_PURPOSES: Final = ("draws", "padding", "seeds")


Purpose = Literal["draws", "padding", "seeds"]
"""What is drawn at random: clusters; the padding of clusters that agree; how seeds of training differ."""


class Estimate(Record):
    """A statistic, and how far it could be off.

    Example:
        Estimate(value=0.13, low=0.06, high=0.20)
    """

    value: float
    """The statistic of all clusters."""
    low: float
    """Lower end of its interval, at most `value`."""
    high: float
    """Upper end of its interval, at least `value`."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made; two equal ones give equal intervals.

    Example: `Resampling(num_resamples=2000, seed=0)`.
    """

    num_resamples: int = 2000
    """Resamples R, at least 1."""
    seed: int = 0
    """Root of the random choices."""
    confidence: float = 0.95
    """Share of intervals that shall hold the truth, between 0 and 1."""

    def __post_init__(self) -> None:
        if self.num_resamples < 1 or not 0.0 < self.confidence < 1.0:
            raise ValueError(f"expected num_resamples >= 1 and 0 < confidence < 1, got {self!r}")

    def rng(self, purpose: Purpose) -> np.random.Generator:
        """A stream of its own for each kind of random choice."""
        return np.random.default_rng((self.seed, _PURPOSES.index(purpose)))


def draw_counts(num_clusters: int, how: Resampling) -> F64:
    """How often each cluster is in each resample, shape R, N: n - 1 draws with replacement from n clusters.

    The draws are the same for every statistic of as many clusters: no interval depends on a name.

    Args:
        num_clusters: n, at least 2.
        how: resamples, seed.
    """
    drawn_RN = how.rng("draws").integers(num_clusters, size=(how.num_resamples, num_clusters - 1))
    drawn_RN += num_clusters * np.arange(how.num_resamples)[:, None]
    counts = np.bincount(drawn_RN.ravel(), minlength=how.num_resamples * num_clusters)
    return counts.reshape(how.num_resamples, num_clusters).astype(np.float64)


def padding(value: float, spread: float, num_clusters: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """What half a cluster at each bound and one in the middle do, all of them times (1 - spread / `NEAR`)^2.

    Args:
        value: mean of the clusters.
        spread: their standard deviation.
        num_clusters: n.
        bounds: range that values can have.

    Returns:
        How far the mean moves to the middle, and the standard error that comes in; both 0 where clusters spread by
        `NEAR` or more.
    """
    share = max(0.0, 1.0 - spread / NEAR) ** 2  # squared: the noise then falls in proportion to the spread
    total, middle = num_clusters + 2.0 * share, (bounds[0] + bounds[1]) / 2.0
    shift = 2.0 * share * (middle - value) / total
    padded = [(num_clusters, value), (0.5 * share, bounds[0]), (0.5 * share, bounds[1]), (share, middle)]
    return shift, math.sqrt(math.fsum(weight * (x - value - shift) ** 2 for weight, x in padded)) / total


def standard_normals(how: Resampling, purpose: Purpose = "padding") -> F64:
    """One for each resample, shape R: how far the padding, or the choice of seeds, moves it, in standard errors."""
    return how.rng(purpose).standard_normal(how.num_resamples)


def t_quantile(confidence: float, degrees: float) -> float:
    """The upper quantile of Student's t for a two-sided interval: 1.96 with many degrees, 12.7 with one.

    Args:
        confidence: of the interval, between 0 and 1.
        degrees: degrees of freedom, above 0; clusters less one for a mean.
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1.0 + confidence) / 2.0))


def t_level(confidence: float, degrees: float) -> float:
    """The quantile at which a lower end is read: Phi(-t), t of `t_quantile`.

    Returns:
        Below (1 - confidence) / 2, which it nears as degrees grow.
    """
    from scipy.special import ndtr

    return float(ndtr(-t_quantile(confidence, degrees)))


def read_interval(
    value: float, resampled_R: F64, degrees: float, bounds: tuple[float, float], how: Resampling
) -> Estimate:
    """The interval of a statistic whose resamples are known.

    Args:
        value: the statistic itself.
        resampled_R: its resamples, at least one.
        degrees: degrees of freedom of Student's t.
        bounds: range of the statistic; the interval stays within.
        how: confidence.
    """
    if degrees < FEW_CLUSTERS - 1:
        reach = t_quantile(how.confidence, degrees) * float(resampled_R.std())
        ends = [float(resampled_R.mean()) + side * reach for side in (-1.0, 1.0)]
    else:
        level = t_level(how.confidence, degrees)
        ends = list(np.quantile(resampled_R, [level, 1.0 - level]))
    # Rounding must not make an end of exactly 0 a gain or a loss.
    low, high = (0.0 if abs(end) <= TINY else float(end) for end in ends)
    # Rounding, and the pull to the middle where all agree, must not push an end past the value or the bounds.
    value = min(max(value, bounds[0]), bounds[1])
    return Estimate(value=value, low=max(bounds[0], min(low, value)), high=min(bounds[1], max(high, value)))

"""Several runs of one recipe that differ in their seed of training, and one recipe against another. Pure.

What a recipe gains depends on the prompts that are measured and on the seed that it was trained with. Averaging over
seeds and resampling prompts alone gives an interval for those seeds, not for the recipe: with three seeds that spread
by 1 to 3.5 points it holds the recipe's mean gain 84 to 94 times in 100. So the variance between seeds is added. A
recipe with a single seed does not show it; where others like it do, theirs is taken, so that fewer seeds never make a
narrower interval.

Legend: S seeds, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rushes.statistics.bootstrap import DEFAULT, GAIN_BOUNDS, Means, Resampled, mean_of, resampled_mean
from rushes.statistics.comparison import Comparison, compare_gains, flipped_p
from rushes.statistics.resampling import TINY, Resampling, read_interval, standard_normals

SeedGains = Mapping[str, Means]
"""The run of one seed: per dimension, the mean gain of each cluster."""
DIFFERENCE_BOUNDS: Final = (-2.0, 2.0)
"""Range of one gain less another."""


@dataclass(frozen=True)
class SeedSpread:
    """How far the gains of one recipe's seeds lie apart, as other recipes show it.

    Example: `SeedSpread(variance=0.015**2, degrees=2)`.
    """

    variance: float
    """Variance of a seed's mean gain, 0 or more; gains from -1 to 1."""
    degrees: float
    """Its degrees of freedom, above 0."""


def pooled_spread(recipes: Iterable[Sequence[SeedGains]]) -> SeedSpread | None:
    """The variance between seeds over several recipes: squared distances to each recipe's own mean, over all S - 1.

    Recipes share their seeds' prompts and clips, so what is lucky about a seed is so in all of them, and their
    variances are not independent. The degrees of freedom are therefore those of the recipe with most seeds, and not the
    sum.

    Args:
        recipes: the runs of each; recipes of fewer than two seeds say nothing and are passed over.

    Returns:
        None where no recipe has two seeds.
    """
    known = [[_mean(run) for run in runs] for runs in recipes if len(runs) > 1]
    if not known:
        return None
    squares = math.fsum(float(np.var(means)) * len(means) for means in known)
    most = max(len(means) for means in known)
    return SeedSpread(squares / sum(len(means) - 1 for means in known), most - 1)


def compare_seeds(
    runs: Sequence[SeedGains],
    how: Resampling = DEFAULT,
    *,
    bounds: tuple[float, float] = GAIN_BOUNDS,
    spread: SeedSpread | None = None,
) -> Comparison:
    """The mean gain over dimensions and seeds, with an interval for prompts and seeds that were not drawn.

    Gains are averaged over seeds within each cluster, and clusters resampled; every resample then moves by a normal of
    variance s^2 / S, s^2 the variance of the seeds' own means. Degrees of freedom are Satterthwaite's for the two
    variances. What prompts and seeds share counts in both, which errs on the safe side by 1 or 2 times in 100.

    The p-value is the larger of two: the sign-flip test over clusters, and Student's t with both variances. With a
    single seed its variance is that of `spread`; without one everything is as in `compare_gains`, and nothing is known
    of another seed.

    Args:
        runs: one per seed. A dimension counts as often as it occurs in them: once in each, unless seeds aimed at
            different ones.
        how: resamples, seed, confidence.
        bounds: range of a gain: `DIFFERENCE_BOUNDS` for what `differences` gives.
        spread: of seeds, read where there is one run; see `pooled_spread`.

    Raises:
        ValueError: no run, or a run without dimension; see `rushes.statistics.bootstrap.resampled_mean`.
    """
    if not runs or not all(runs):
        raise ValueError(f"expected the gains of at least one seed, each in one dimension or more, got {len(runs)}")
    gains, shares = _averaged(runs), _shares(runs)
    own = pooled_spread([runs]) or spread
    if own is None:
        return compare_gains(gains, how, shares=shares, bounds=bounds)
    found = resampled_mean(gains, how, shares=shares, bounds=bounds)
    between = own.variance / len(runs)
    degrees = _degrees(found, between, own.degrees)
    variance = float(found.resampled_R.var()) + between
    moved_R = found.resampled_R + math.sqrt(between) * standard_normals(how, "seeds")
    gain = read_interval(found.mean, moved_R, degrees, found.bounds, how)
    return Comparison(gain, max(flipped_p(gains, shares), _student_p(found.mean, variance, degrees)))


def differences(one: Mapping[int, SeedGains], other: Mapping[int, SeedGains]) -> tuple[SeedGains, ...]:
    """The gains of one recipe less those of another, paired: same seed, same dimension, same cluster.

    Args:
        one: per seed, its gains.
        other: the same of the recipe that it is compared with.

    Returns:
        One per seed that both have, of the dimensions in which they share a cluster; seeds that share none are left
        out. In the range `DIFFERENCE_BOUNDS`.
    """
    found = []
    for seed in sorted(one.keys() & other.keys()):
        a, b = one[seed], other[seed]
        paired = {
            name: {cluster: a[name][cluster] - b[name][cluster] for cluster in sorted(a[name].keys() & b[name].keys())}
            for name in sorted(a.keys() & b.keys())
        }
        found.append({name: means for name, means in paired.items() if means})
    return tuple(each for each in found if each)


def _mean(run: SeedGains) -> float:
    """The mean gain over a run's dimensions."""
    return math.fsum(map(mean_of, run.values())) / len(run)


def _averaged(runs: Sequence[SeedGains]) -> dict[str, dict[str, float]]:
    """Per dimension and cluster, the mean over the seeds that have it."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for name, means in run.items():
            for cluster, gain in means.items():
                found.setdefault(name, {}).setdefault(cluster, []).append(gain)
    return {
        name: {cluster: math.fsum(gains) / len(gains) for cluster, gains in clusters.items()}
        for name, clusters in found.items()
    }


def _shares(runs: Sequence[SeedGains]) -> dict[str, float]:
    """Each seed counts alike, and within it each of its dimensions."""
    shares: dict[str, float] = {}
    for run in runs:
        for name in run:
            shares[name] = shares.get(name, 0.0) + 1.0 / (len(run) * len(runs))
    return shares


def _degrees(found: Resampled, between: float, degrees: float) -> float:
    """Of the sum of two variances (Satterthwaite 1946)."""
    own = float(found.resampled_R.var())
    parts = own**2 / found.degrees + between**2 / degrees
    return (own + between) ** 2 / parts if parts > 0.0 else found.degrees


def _student_p(mean: float, variance: float, degrees: float) -> float:
    """Two-sided p-value of Student's t."""
    from scipy.special import stdtr

    if abs(mean) <= TINY:
        return 1.0
    return min(1.0, 2.0 * float(stdtr(degrees, -abs(mean) / math.sqrt(variance)))) if variance > 0.0 else 0.0

"""Statistics of scores and answers with intervals that resample clusters, as pure functions of arrays.

Everything here is a ratio of sums over clips or over pairs of clips, so a resample is a vector of counts per cluster
(`rushes.statistics.resampling`).

Legend: N questions or clips of one kind, M of another, K clusters, R resamples, S sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rushes.statistics.resampling import (
    F64,
    Estimate,
    Resampling,
    draw_counts,
    padding,
    read_interval,
    standard_normals,
)

Statistic = Callable[[F64], F64]
"""Sums over clips, shape (..., S), to the value of the statistic, shape (...); NaN where it is not defined."""

EVEN = 0.5
"""Probability from which an answer counts as yes."""


# ---------------------------------------------------------------------------------------------- separation


def auc(original_N: F64, control_M: F64) -> float:
    """Probability that a score of the originals lies above one of the controls, ties counted half; 0.5 is chance.

    The area under the ROC curve of the score, which is the Mann-Whitney U statistic divided by the number of pairs.

    Args:
        original_N: scores of the originals, at least one.
        control_M: scores of the controls, at least one.

    Raises:
        ValueError: one side is empty.
    """
    if not len(original_N) or not len(control_M):
        raise ValueError(f"expected scores on both sides, got {len(original_N)} and {len(control_M)}")
    return float(_wins(original_N, control_M).mean())


def _wins(original_N: F64, control_M: F64) -> F64:
    difference_NM = original_N[:, None] - control_M
    wins_NM: F64 = (difference_NM > 0) + 0.5 * (difference_NM == 0)
    return wins_NM


def auc_estimate(
    original: Sequence[float], control: Sequence[float], clusters: Sequence[str], how: Resampling
) -> Estimate | None:
    """AUC of the originals over their controls, with its interval; None with fewer than two clusters.

    Args:
        original: score of each clip as it is.
        control: score of the same clip under the control.
        clusters: what each clip belongs to: its prompt; a resample draws clusters, with all clips of both sides.
        how: resamples, seed, confidence.
    """
    member_NK = membership(clusters)
    if member_NK.shape[1] < 2:
        return None
    original_N, control_N = np.asarray(original, float), np.asarray(control, float)
    wins_KK = member_NK.T @ _wins(original_N, control_N) @ member_NK
    pairs_KK = np.outer(member_NK.sum(0), member_NK.sum(0))
    count_RK = draw_counts(len(wins_KK), how)
    resampled_R = ((count_RK @ wins_KK) * count_RK).sum(1) / ((count_RK @ pairs_KK) * count_RK).sum(1)
    return with_interval(auc(original_N, control_N), resampled_R, len(wins_KK), (0.0, 1.0), how)


# ---------------------------------------------------------------------------------------------- ratios of sums


def estimate(
    terms_NS: F64,
    clusters: Sequence[str],
    statistic: Statistic,
    how: Resampling,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> Estimate | None:
    """A statistic of sums with its interval; None with fewer than two clusters, or where it is not defined.

    Resamples in which it is not defined do not count.

    Args:
        terms_NS: what is summed, one row per question or clip.
        clusters: what each row belongs to: its prompt.
        statistic: of the sums.
        how: resamples, seed, confidence.
        bounds: range of the statistic.
    """
    member_NK = membership(clusters)
    num_clusters = member_NK.shape[1]
    if num_clusters < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(terms_NS.sum(0)))
        if np.isnan(value):
            return None
        resampled_R = statistic(draw_counts(num_clusters, how) @ (member_NK.T @ terms_NS))
    return with_interval(value, resampled_R[~np.isnan(resampled_R)], num_clusters, bounds, how)


def mean_terms(values_N: F64) -> F64:
    """What `mean` sums: the values and 1."""
    return np.stack([values_N, np.ones_like(values_N)], axis=1)


def mean(sums_S: F64) -> F64:
    """Mean over rows, whatever number of them a cluster has, from `mean_terms`."""
    found: F64 = sums_S[..., 0] / sums_S[..., 1]
    return found


def pair_terms(a_N: F64, b_N: F64) -> F64:
    """What `accuracy`, `kappa` and `correlation` sum: 1, a, b, ab, aa, bb."""
    return np.stack([np.ones_like(a_N), a_N, b_N, a_N * b_N, a_N**2, b_N**2], axis=1)


def accuracy(sums_S: F64) -> F64:
    """Share of pairs of 0s and 1s that are equal, from `pair_terms`."""
    n, a, b, ab = (sums_S[..., i] for i in range(4))
    agreed: F64 = (n - a - b + 2 * ab) / n
    return agreed


def kappa(sums_S: F64) -> F64:
    """Cohen's kappa of pairs of 0s and 1s, from `pair_terms`: agreement beyond chance, 1 is perfect, 0 is chance.

    Cohen 1960, "A coefficient of agreement for nominal scales": (p_o - p_e) / (1 - p_e). NaN where both sides always
    say the same one thing.
    """
    n, a, b = (sums_S[..., i] for i in range(3))
    chance = (a / n) * (b / n) + (1 - a / n) * (1 - b / n)
    return np.where(chance < 1 - 1e-12, (accuracy(sums_S) - chance) / (1 - chance), np.nan)


def correlation(sums_S: F64) -> F64:
    """Pearson's correlation from `pair_terms`; NaN where one side is constant."""
    n, a, b, ab, aa, bb = (sums_S[..., i] for i in range(6))
    spread = (n * aa - a * a) * (n * bb - b * b)
    is_defined = spread > 1e-12 * np.maximum(n, 1.0) ** 4
    return np.where(is_defined, (n * ab - a * b) / np.sqrt(np.where(is_defined, spread, 1.0)), np.nan)


def bias_terms(p_yes_N: F64, expects_yes_N: npt.NDArray[np.bool_]) -> F64:
    """What `yes_bias` sums: P(yes) and 1 over the questions that expect yes, then over those that expect no."""
    yes_N = expects_yes_N.astype(float)
    return np.stack([p_yes_N * yes_N, yes_N, p_yes_N * (1 - yes_N), 1 - yes_N], axis=1)


def yes_bias(sums_S: F64) -> F64:
    """Mean P(yes), both expected answers counted alike, minus one half: 0 is fair, 0.5 always yes, -0.5 always no.

    NaN where only one of the two answers is expected: then bias and being right cannot be told apart.
    """
    fair: F64 = (sums_S[..., 0] / sums_S[..., 1] + sums_S[..., 2] / sums_S[..., 3]) / 2 - 0.5
    return fair


# ---------------------------------------------------------------------------------------------- resampling


def membership(clusters: Sequence[str]) -> F64:
    """1 where a row is of a cluster, shape N, K; clusters by name, so that the order of rows changes nothing.

    Args:
        clusters: what each row belongs to.
    """
    numbers = {cluster: number for number, cluster in enumerate(sorted(set(clusters)))}
    return np.eye(len(numbers))[np.array([numbers[cluster] for cluster in clusters], np.intp)]


def with_interval(
    value: float, resampled_R: F64, num_clusters: int, bounds: tuple[float, float], how: Resampling
) -> Estimate | None:
    """A statistic with the interval that its resamples give; None without resamples.

    Args:
        value: the statistic itself.
        resampled_R: those in which it is defined.
        num_clusters: what was drawn from.
        bounds: range of the statistic.
        how: confidence, and the seed of the padding.
    """
    if not len(resampled_R):
        return None
    value = min(max(value, bounds[0]), bounds[1])
    # The spread that clusters would have whose mean varies as much.
    shift, noise = padding(value, float(resampled_R.std()) * math.sqrt(num_clusters), num_clusters, bounds)
    padded_R = resampled_R + shift + noise * standard_normals(how)[: len(resampled_R)]
    return read_interval(value, padded_R, num_clusters - 1, bounds, how)

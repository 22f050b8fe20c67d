"""How far two opinions agree, or several people: by rank, by pair with ties, beyond chance. Pure functions of arrays.

Legend: N clips or items, P pairs, K clusters, R resamples, U distinct values, T thresholds, J answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rushes.statistics.ratios import estimate, membership, with_interval
from rushes.statistics.resampling import F64, TINY, Estimate, Resampling, draw_counts


@dataclass(frozen=True)
class PairwiseAccuracy:
    """Of how many pairs two opinions say the same.

    Example: `PairwiseAccuracy(Estimate(value=0.8, low=0.7, high=0.9), tie=0.05, num_pairs=120, num_ties=30)`.
    """

    accuracy: Estimate | None
    """Share of pairs about which both say the same; None with fewer than two prompts."""
    tie: float
    """Differences up to this count as a tie of the opinion that is tested."""
    num_pairs: int
    """Pairs compared."""
    num_ties: int
    """Those that are ties by the reference."""


def spearman(a: Sequence[float], b: Sequence[float], clusters: Sequence[str], how: Resampling) -> Estimate | None:
    """Spearman's correlation of ranks, equal values at their mean rank, with its interval.

    Each resample is ranked on its own. None with fewer than two clusters, or where one side is constant.

    Args:
        a, b: the two values of each clip, finite.
        clusters: what each clip belongs to: its prompt.
        how: resamples, seed, confidence.
    """
    member_NK = membership(clusters)
    num_clusters = member_NK.shape[1]
    if num_clusters < 2:
        return None
    values = [np.asarray(each, float) for each in (a, b)]
    (value,) = _rank_correlation(values, np.ones((1, len(values[0]))))
    if np.isnan(value):
        return None
    resampled_R = _rank_correlation(values, draw_counts(num_clusters, how) @ member_NK.T)
    return with_interval(float(value), resampled_R[~np.isnan(resampled_R)], num_clusters, (-1.0, 1.0), how)


def _rank_correlation(values: Sequence[F64], count_RN: F64) -> F64:
    """Pearson's correlation of the ranks, each clip taken so many times, shape R; NaN where one side is constant."""
    total_R1 = count_RN.sum(1, keepdims=True)
    ranks = [_ranks(each, count_RN) for each in values]
    a_RN, b_RN = (rank - (count_RN * rank).sum(1, keepdims=True) / total_R1 for rank in ranks)
    spread_R = (count_RN * a_RN**2).sum(1) * (count_RN * b_RN**2).sum(1)
    is_defined = spread_R > TINY * total_R1[:, 0] ** 4
    shared_R = (count_RN * a_RN * b_RN).sum(1)
    return np.where(is_defined, shared_R / np.sqrt(np.where(is_defined, spread_R, 1.0)), np.nan)


def _ranks(values_N: F64, count_RN: F64) -> F64:
    """The mean rank of each clip among those of a resample, from 0, shape R, N."""
    _, place_N = np.unique(values_N, return_inverse=True)
    at_RU = count_RN @ np.eye(place_N.max() + 1)[place_N]
    rank_RU: F64 = at_RU.cumsum(1) - at_RU / 2
    return rank_RU[:, place_N]


# ---------------------------------------------------------------------------------------------- pairs with ties


def pairs_of(values: Sequence[float], groups: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Positions of all pairs of clips of one group, the earlier first.

    Args:
        values: one per clip; only their number counts.
        groups: what may be compared with each other: the takes of a prompt.
    """
    together: dict[str, list[int]] = {}
    for position, group in zip(range(len(values)), groups, strict=True):
        together.setdefault(group, []).append(position)
    return tuple(pair for each in together.values() for pair in itertools.combinations(each, 2))


def pairwise_accuracy(
    tested: Sequence[float],
    reference: Sequence[float],
    clusters: Sequence[str],
    how: Resampling,
    tie: float | None = None,
) -> PairwiseAccuracy:
    """Share of pairs about which both say the same: first, second, or tie, where a tie counts when both say it.

    This is acc_eq of Deutsch, Foster and Freitag 2023, "Ties matter" (arXiv 2305.14324), over all pairs together:
    (concordant + tied in both) / all pairs. Kendall's tau in its common forms punishes a score without ties for each
    tie of people, or rewards it for none. A score of real numbers hardly ever ties, so its differences up to a
    threshold count as ties. By default the threshold is calibrated as there: the one with the highest accuracy on these
    very pairs, the smallest of equals. Each resample is calibrated on its own. One number fitted to the data makes the
    accuracy slightly too high where pairs are few: give `tie` from other data to avoid it.

    Args:
        tested: the difference of the tested opinion, first minus second, of each pair; finite.
        reference: that of the reference, such as people; rounding apart, 0 is a tie.
        clusters: what each pair belongs to: its prompt.
        how: resamples, seed, confidence.
        tie: threshold, 0 or more; None to calibrate it.
    """
    d_P, said_P = np.asarray(tested, float), np.asarray(reference, float)
    said_P = np.sign(np.where(np.abs(said_P) <= TINY, 0.0, said_P))
    if not len(d_P):
        return PairwiseAccuracy(None, tie or 0.0, 0, 0)
    tie_T = np.unique(np.append(np.abs(d_P), 0.0)) if tie is None else np.array([tie])
    agrees_PT = np.where(np.abs(d_P)[:, None] <= tie_T + TINY, 0.0, np.sign(d_P)[:, None]) == said_P[:, None]
    member_PK = membership(clusters)
    agrees_KT, pairs_K = member_PK.T @ agrees_PT, member_PK.sum(0)
    best = int(agrees_KT.sum(0).argmax())
    found = None
    if len(pairs_K) > 1:
        count_RK = draw_counts(len(pairs_K), how)
        resampled_R = (count_RK @ agrees_KT).max(1) / (count_RK @ pairs_K)
        value = float(agrees_KT[:, best].sum() / pairs_K.sum())
        found = with_interval(value, resampled_R, len(pairs_K), (0.0, 1.0), how)
    return PairwiseAccuracy(found, float(tie_T[best]), len(d_P), int((said_P == 0).sum()))


# ---------------------------------------------------------------------------------------------- several people


def fleiss_kappa(counts_NJ: F64, clusters: Sequence[str], how: Resampling) -> Estimate | None:
    """Agreement of several people beyond chance, with its interval: 1 is perfect, 0 is chance.

    Fleiss 1971, "Measuring nominal scale agreement among many raters": (P - P_e) / (1 - P_e), P the mean over items of
    the share of pairs of people who agree, P_e the sum of squared shares of the answers. Items may have different
    numbers of answers; those with one are left out. None with fewer than two clusters, or where all say the same.

    Args:
        counts_NJ: how many people gave each answer to each item.
        clusters: what each item belongs to: its prompt.
        how: resamples, seed, confidence.
    """
    several = counts_NJ.sum(1) >= 2
    counts_NJ = counts_NJ[several]
    num_N = counts_NJ.sum(1)
    agreed_N = ((counts_NJ**2).sum(1) - num_N) / (num_N * (num_N - 1))
    terms_NS = np.column_stack([np.ones_like(num_N), agreed_N, counts_NJ])
    kept = [cluster for cluster, is_kept in zip(clusters, several, strict=True) if is_kept]
    return estimate(terms_NS, kept, _fleiss, how) if kept else None


def _fleiss(sums_S: F64) -> F64:
    share_J = sums_S[..., 2:] / sums_S[..., 2:].sum(-1, keepdims=True)
    chance = (share_J**2).sum(-1)
    agreed = sums_S[..., 1] / sums_S[..., 0]
    return np.where(chance < 1 - TINY, (agreed - chance) / (1 - chance), np.nan)


def krippendorff_alpha(counts_NJ: F64, clusters: Sequence[str], how: Resampling) -> Estimate | None:
    """Agreement of several people beyond chance, every vote counting the same; 1 is perfect, 0 is chance.

    Krippendorff 2004, "Content Analysis", chapter 11, for nominal answers: 1 - D_o / D_e, D_o the share of pairs of
    votes on one item that differ, each item's pairs weighted by 1 / (its votes - 1), D_e that of pairs of all votes.
    Items may have different numbers of votes; those with one are left out. Unlike Fleiss' kappa, items with more votes
    count more, and chance is corrected for few votes. None with fewer than two clusters, or where all say the same.

    Args:
        counts_NJ: how many people gave each answer to each item.
        clusters: what each item belongs to: its prompt.
        how: resamples, seed, confidence.
    """
    several = counts_NJ.sum(1) >= 2
    counts_NJ = counts_NJ[several]
    num_N = counts_NJ.sum(1)
    differing_N = (num_N**2 - (counts_NJ**2).sum(1)) / (num_N - 1)
    kept = [cluster for cluster, is_kept in zip(clusters, several, strict=True) if is_kept]
    return estimate(np.column_stack([differing_N, counts_NJ]), kept, _alpha, how) if kept else None


def _alpha(sums_S: F64) -> F64:
    votes_J = sums_S[..., 1:]
    num = votes_J.sum(-1)
    expected = num**2 - (votes_J**2).sum(-1)
    return np.where(expected > TINY, 1 - (num - 1) * sums_S[..., 0] / np.where(expected > TINY, expected, 1.0), np.nan)


def cohen_kappa(a: Sequence[int], b: Sequence[int], clusters: Sequence[str], how: Resampling) -> Estimate | None:
    """Agreement of two opinions on the same items beyond chance, with its interval; 1 is perfect, 0 is chance.

    Cohen 1960, "A coefficient of agreement for nominal scales": (P_o - P_e) / (1 - P_e), P_e the agreement that the two
    shares of answers give by chance. None with fewer than two clusters, or where both always say the same.

    Args:
        a, b: the answer of each to each item: whole numbers.
        clusters: what each item belongs to: its prompt.
        how: resamples, seed, confidence.
    """
    if not len(a):
        return None
    answers = sorted({*a, *b})
    of_a, of_b = (np.equal.outer(np.asarray(each), answers).astype(float) for each in (a, b))
    terms_NS = np.column_stack([np.ones(len(a)), (of_a * of_b).sum(1), of_a, of_b])
    return estimate(terms_NS, clusters, _cohen, how)


def _cohen(sums_S: F64) -> F64:
    num, agreed = sums_S[..., 0], sums_S[..., 1] / sums_S[..., 0]
    of_a, of_b = np.split(sums_S[..., 2:] / num[..., None], 2, axis=-1)
    chance = (of_a * of_b).sum(-1)
    return np.where(chance < 1 - TINY, (agreed - chance) / (1 - chance), np.nan)

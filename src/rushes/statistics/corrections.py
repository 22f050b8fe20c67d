"""One test, and what remains of many of them: sign flips, Holm's correction, the false discovery rate.

Legend: N clusters that differ, R random sign patterns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from rushes.statistics.resampling import F64, TINY

EXACT_CLUSTERS: Final = 32
"""Up to this many clusters that differ, all 2^N signs are counted; beyond, random ones."""
NUM_FLIPS: Final = 200_000
"""Random sign patterns; a p-value of 0.05 / 9 is then off by 3 % of itself."""
_SEED: Final = 0
"""Of the random patterns: one for all tests, so that no verdict depends on a recipe's seed or on a name."""
_GROUP: Final = 8
"""Clusters whose signs are drawn together, as one random byte."""


def sign_flip_p(gains_N: F64) -> float:
    """Two-sided p-value of the mean gain: the share of sign patterns whose mean is at least as far from 0.

    Fisher's randomisation test over clusters (1935): how often chance alone would show so large a mean gain, if before
    and after were exchangeable. Clusters without any gain or loss say nothing in this test and are left out, as in
    McNemar's test.

    Args:
        gains_N: mean gain of each cluster, in any order; any common factor changes nothing.

    Returns:
        0 < p <= 1; 1 where no cluster differs.
    """
    size_N = np.sort(np.abs(gains_N[np.abs(gains_N) > TINY]))
    observed = abs(math.fsum(gains_N)) - TINY * len(size_N)
    if observed <= 0.0:
        return 1.0
    if len(size_N) > EXACT_CLUSTERS:
        return _random_flips_p(size_N, observed)
    # Sums of the two halves, met in the middle (Horowitz and Sahni 1974); they are symmetric, so one side is counted.
    first, second = _signed_sums(size_N[::2]), np.sort(_signed_sums(size_N[1::2]))
    num_above = len(first) * len(second) - int(np.searchsorted(second, observed - np.sort(first)).sum())
    return 2.0 * num_above / (len(first) * len(second))


def _random_flips_p(size_N: F64, observed: float) -> float:
    rng, sums_R = np.random.default_rng(_SEED), np.zeros(NUM_FLIPS)
    for start in range(0, len(size_N), _GROUP):
        sums = _signed_sums(size_N[start : start + _GROUP])
        sums_R += sums[rng.integers(len(sums), size=NUM_FLIPS, dtype=np.uint8)]
    # The pattern that was observed is one of the possible ones (Phipson and Smyth 2010).
    return (int((np.abs(sums_R) >= observed).sum()) + 1) / (NUM_FLIPS + 1)


def _signed_sums(size_N: F64) -> F64:
    """The sums of all 2^N sign patterns."""
    sums = np.zeros(1)
    for size in size_N:
        sums = np.concatenate([sums + size, sums - size])
    return sums


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

    Shown beside Holm's where eighteen dimensions are compared; it decides nothing.

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

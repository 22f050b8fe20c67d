"""One test, and what remains of many of them: sign flips, Holm's correction, the false discovery rate.

Legend: N clusters, R sign patterns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from rushes.statistics.resampling import F64, TINY, Resampling

EXACT_CLUSTERS: Final = 14
"""Up to this many clusters that differ, all 2^N signs are tried; beyond, random ones."""
NUM_FLIPS: Final = 20_000
"""Random sign patterns; the smallest p-value that they can show is 1 / 20,001."""
_AT_ONCE: Final = 1_000
"""Random patterns held in memory together."""


def sign_flip_p(gains_N: F64, how: Resampling, *, name: str = "") -> float:
    """Two-sided p-value of the mean gain: the share of sign patterns whose mean is at least as far from 0.

    Fisher's randomisation test over clusters (1935): how often chance alone would show so large a mean gain, if before
    and after were exchangeable. Clusters without any gain or loss say nothing in this test and are left out, as in
    McNemar's test.

    Args:
        gains_N: mean gain of each cluster; any common factor changes nothing.
        how: seed of the random patterns; used with many clusters only.
        name: of what is tested; picks the random stream.

    Returns:
        0 < p <= 1; 1 where no cluster differs.
    """
    moved_N = gains_N[np.abs(gains_N) > TINY]
    n = len(moved_N)
    if n == 0:
        return 1.0
    observed = abs(math.fsum(moved_N)) - TINY * n
    if n <= EXACT_CLUSTERS:
        signs_RN = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs_RN @ moved_N) >= observed).mean())
    rng, num_as_far = how.rng(f"flip {name}"), 0
    for _ in range(NUM_FLIPS // _AT_ONCE):
        signs_RN = 1.0 - 2.0 * rng.integers(2, size=(_AT_ONCE, n)).astype(np.float64)
        num_as_far += int((np.abs(signs_RN @ moved_N) >= observed).sum())
    # The pattern that was observed is one of the possible ones (Phipson and Smyth 2010).
    return (num_as_far + 1) / (NUM_FLIPS + 1)


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

"""How many pairs people must compare to see a difference, before they are asked. Good from about 20 pairs on.

A paired t test stands for the rule of the result, which calls a win rate different from one half when its interval, by
resampling prompts, leaves it out. Each pair is of another prompt.

Legend: N pairs, R raters of each pair.
"""

from __future__ import annotations

import math
from typing import Final

from rushes.statistics.comparison import ALPHA
from rushes.statistics.power import fewest_prompts, noncentrality

TIES: Final = 0.2
"""Assumed, not measured: share of votes for no difference."""
SHARED_TASTE: Final = 0.3
"""Assumed, not measured: correlation of two people's votes on one pair, which several raters do not average out."""
MAX_PAIRS: Final = 100_000
"""Where more pairs are needed, no study is planned."""


def vote_variance(win_rate: float, num_raters: int, ties: float = TIES, shared: float = SHARED_TASTE) -> float:
    """Variance of a pair's mean vote: 1 for the one model, 0 for the other, 1/2 for no difference.

    A vote is 1/2 with the share t of ties, so that its variance is (1 - t) / 4 - (p - 1/2)^2 with p the win rate; the
    mean of R votes that correlate by s has this times s + (1 - s) / R.

    Args:
        win_rate: p, ties counting half: from t / 2 to 1 - t / 2.
        num_raters: R, at least 1.
        ties: t, from 0 to below 1.
        shared: s, 0 to 1.

    Raises:
        ValueError: impossible values.
    """
    if not (0.0 <= ties < 1.0 and 0.0 <= shared <= 1.0 and num_raters >= 1):
        raise ValueError(f"expected ties and shared from 0 to 1 and a rater, got {ties!r}, {shared!r}, {num_raters!r}")
    if not ties / 2 <= win_rate <= 1 - ties / 2:
        raise ValueError(f"with a share {ties!r} of ties the win rate is from {ties / 2} to {1 - ties / 2}")
    return ((1.0 - ties) / 4.0 - (win_rate - 0.5) ** 2) * (shared + (1.0 - shared) / num_raters)


def pairs_needed(win_rate: float, num_raters: int, ties: float = TIES, shared: float = SHARED_TASTE) -> int | None:
    """The fewest pairs that show such a win rate with probability `rushes.statistics.power.POWER`; None for too many.

    Args:
        win_rate, num_raters, ties, shared: see `vote_variance`.
    """
    gain = abs(win_rate - 0.5)
    spread = math.sqrt(vote_variance(win_rate, num_raters, ties, shared))
    low, high = fewest_prompts(ALPHA), MAX_PAIRS
    if gain * math.sqrt(high) < noncentrality(high, ALPHA) * spread:
        return None
    while low < high:
        middle = (low + high) // 2
        if gain * math.sqrt(middle) < noncentrality(middle, ALPHA) * spread:
            low = middle + 1
        else:
            high = middle
    return low


def smallest_win_rate(
    num_pairs: int, num_raters: int, ties: float = TIES, shared: float = SHARED_TASTE
) -> float | None:
    """The win rate above one half that so many pairs show with probability `POWER`; None where they show none.

    Args:
        num_pairs: N, at least 2.
        num_raters, ties, shared: see `vote_variance`.
    """
    low, high = 0.5, 1.0 - ties / 2
    needed = noncentrality(num_pairs, ALPHA)

    def is_seen(win_rate: float) -> bool:
        return (win_rate - 0.5) * math.sqrt(num_pairs) >= needed * math.sqrt(
            vote_variance(win_rate, num_raters, ties, shared)
        )

    if math.isinf(needed) or not is_seen(high):
        return None
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_seen(middle) else (middle, high)
    return high

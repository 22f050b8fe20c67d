"""Planned numbers of pairs hold what they promise, by simulated votes and the rule of the result."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rushes.statistics.bootstrap import score_interval
from rushes.statistics.power import POWER, noncentrality
from rushes.statistics.resampling import Resampling
from rushes.statistics.votes import pairs_needed, smallest_win_rate, vote_variance

HOW = Resampling(num_resamples=300)


def simulated(
    rng: np.random.Generator, num: int, win_rate: float, raters: int, ties: float, shared: float
) -> list[float]:
    """Mean votes of pairs: a person repeats the pair's own vote with probability sqrt(shared), else draws one."""
    odds = [1 - win_rate - ties / 2, ties, win_rate - ties / 2]
    common = rng.choice([0.0, 0.5, 1.0], size=(num, 1), p=odds)
    own = rng.choice([0.0, 0.5, 1.0], size=(num, raters), p=odds)
    return list(np.where(rng.random((num, raters)) < math.sqrt(shared), common, own).mean(1))


@pytest.mark.parametrize(("win_rate", "raters", "ties", "shared"), [(0.7, 1, 0.2, 0.3), (0.65, 3, 0.3, 0.5)])
def test_the_planned_pairs_find_the_difference_four_times_in_five(
    win_rate: float, raters: int, ties: float, shared: float
) -> None:
    rng = np.random.default_rng(3)
    num = pairs_needed(win_rate, raters, ties, shared)
    assert num is not None
    names = [f"prompt {i}" for i in range(num)]
    found = 0
    for _ in range(300):
        rate = score_interval(simulated(rng, num, win_rate, raters, ties, shared), names, HOW)
        found += not rate.low <= 0.5 <= rate.high
    assert POWER - 0.13 < found / 300 < POWER + 0.08, "three standard errors are 0.07, and the rule finds somewhat less"


def test_the_variance_is_that_of_votes() -> None:
    votes = simulated(np.random.default_rng(0), 40_000, 0.62, 4, 0.25, 0.4)
    assert np.var(votes) == pytest.approx(vote_variance(0.62, 4, 0.25, 0.4), rel=0.03)


def test_pairs_and_win_rate_are_inverse_to_each_other() -> None:
    for win_rate in (0.55, 0.6, 0.7):
        num = pairs_needed(win_rate, 3)
        assert num is not None
        assert smallest_win_rate(num, 3) <= win_rate < smallest_win_rate(num - 1, 3)  # type: ignore[operator]
    assert pairs_needed(0.5, 3) is None
    assert smallest_win_rate(5, 3) is None, "no result of five pairs can be told from chance"
    more = [pairs_needed(0.6, raters) for raters in (1, 3, 10)]
    assert more == sorted(more, reverse=True) and len(set(more)) == 3  # type: ignore[type-var]
    # By hand, for many pairs: N = (c / 0.1)^2 v with v = (0.2 - 0.01)(0.3 + 0.7 / 3).
    assert pairs_needed(0.6, 3) == pytest.approx((noncentrality(90, 0.05) / 0.1) ** 2 * 0.19 * (0.3 + 0.7 / 3), abs=2)


@pytest.mark.parametrize("bad", [{"win_rate": 0.95}, {"ties": 1.0}, {"num_raters": 0}, {"shared": 1.5}])
def test_impossible_values_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected|from"):
        vote_variance(**{"win_rate": 0.6, "num_raters": 3, "ties": 0.2, "shared": 0.3, **bad})  # type: ignore[arg-type]

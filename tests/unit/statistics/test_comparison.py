"""Comparing and deciding: the one rule of every scorecard."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.statistics.comparison import ALPHA, Comparison, compare_gains, decide, paired_gains
from rushes.statistics.corrections import sign_flip_p
from rushes.statistics.resampling import Estimate, Resampling

HOW = Resampling(num_resamples=300)


def found(p_value: float, low: float, high: float) -> Comparison:
    return Comparison(Estimate(value=(low + high) / 2, low=low, high=high), p_value)


def test_a_gain_is_better_or_worse_by_its_corrected_p_value_and_its_side() -> None:
    up, down, open_ = found(0.01, 0.02, 0.2), found(0.012, -0.2, -0.02), found(0.5, -0.1, 0.1)
    decided = decide({"up": up, "down": down, "open": open_})
    assert {name: each.verdict for name, each in decided.items()} == {
        "up": "better",
        "down": "worse",
        "open": "no clear change",
    }
    assert [decided[name].p_holm for name in ("up", "down", "open")] == pytest.approx([0.03, 0.03, 0.5])


def test_what_is_clear_alone_may_be_open_among_many() -> None:
    one, others = found(0.02, 0.02, 0.2), {str(i): found(0.6, -0.1, 0.1) for i in range(4)}
    assert decide({"A": one})["A"].verdict == "better"
    assert decide({"A": one, **others})["A"].verdict == "no clear change"
    assert decide({}) == {}


def test_a_verdict_never_contradicts_its_interval() -> None:
    for interval in ((-0.01, 0.2), (0.0, 0.2), (-0.2, 0.0), (-0.2, 0.01)):
        assert decide({"A": found(0.001, *interval)})["A"].verdict == "no clear change"


def test_the_level_itself_is_not_below_it() -> None:
    assert decide({"A": found(ALPHA, 0.1, 0.2)})["A"].verdict == "no clear change"
    assert decide({"A": found(ALPHA - 1e-9, 0.1, 0.2)})["A"].verdict == "better"


def test_gains_are_paired_and_averaged_within_their_cluster() -> None:
    gains = paired_gains([0.0, 0.5, 1.0], [1.0, 0.5, 0.5], ["b", "b", "a"])
    assert gains == {"a": -0.5, "b": 0.5}
    with pytest.raises(ValueError, match="one score after"):
        paired_gains([0.5], [0.5, 0.6], ["a"])


def test_the_test_of_a_sum_flips_a_cluster_in_all_dimensions_that_it_serves() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.1, 0.2, 10), rng.normal(0.1, 0.2, 10)
    one, two = ({f"p{i}": float(v) for i, v in enumerate(values)} for values in (x, y))
    assert compare_gains({"A": one}, HOW).p_value == sign_flip_p(x)
    assert compare_gains({"A": one, "B": two}, HOW).p_value == pytest.approx(sign_flip_p((x + y) / 2))
    weighted = compare_gains({"A": one, "B": two}, HOW, shares={"A": 0.9, "B": 0.1})
    assert weighted.p_value == pytest.approx(sign_flip_p(0.9 * x + 0.1 * y))
    assert weighted.gain.value == pytest.approx(0.9 * x.mean() + 0.1 * y.mean())
    # Apart, every value has a sign of its own: twenty clusters in place of ten.
    apart = {f"q{i}": float(v) for i, v in enumerate(y)}
    both = np.concatenate([x, y])
    assert compare_gains({"A": one, "B": apart}, HOW).p_value == pytest.approx(sign_flip_p(both))


def test_what_a_dimension_is_called_and_the_seed_of_its_intervals_change_no_p_value() -> None:
    gains = np.random.default_rng(4).normal(0.08, 0.3, 60)
    found = {
        compare_gains({name: {f"p{i}": float(v) for i, v in enumerate(gains)}}, Resampling(seed=seed)).p_value
        for name in ("A", "B", "Composition")
        for seed in (0, 1)
    }
    assert len(found) == 1


@pytest.mark.parametrize("num_dimensions", [1, 9])
def test_a_scorecard_in_which_nothing_changed_calls_something_changed_at_most_as_often_as_it_says(
    num_dimensions: int,
) -> None:
    """Clips right or wrong, as often before as after; an interval alone would call one of nine changed in four of ten
    scorecards."""
    rng, num_cards, by_rule, by_interval = np.random.default_rng(8), 200, 0, 0
    for _ in range(num_cards):
        gains = {
            str(k): {f"{k} {i}": float(v) for i, v in enumerate(rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2], size=24))}
            for k in range(num_dimensions)
        }
        cards = {name: compare_gains({name: means}, HOW) for name, means in gains.items()}
        by_rule += any(each.verdict != "no clear change" for each in decide(cards).values())
        by_interval += any(each.gain.low > 0 or each.gain.high < 0 for each in cards.values())
    assert by_rule / num_cards <= 0.075
    assert num_dimensions == 1 or by_interval / num_cards > 0.25

"""Tables of arms: what each gains, what it gains more than another, and what so few prompts cannot say."""

from __future__ import annotations

import numpy as np
import pytest

from lab.tables import Outcome, arms_table, difference, dimensions_table
from rushes.records import DimensionRow, Scorecard
from rushes.statistics.comparison import compare_gains
from rushes.statistics.seeds import SeedGains


def card(gains: SeedGains, focus: str) -> Scorecard:
    rows = tuple(
        DimensionRow(
            dimension=name, before=0.5, after=0.6, gain=0.1, gain_low=0.0, gain_high=0.2, p_holm=1.0, num_prompts=9,
            num_clips=9, num_unscored=0, is_focus=name == focus, verdict="no clear change",
        )
        for name in gains
    )  # fmt: skip
    return Scorecard(base_model="b", tuned_model="t", measurer="m", judge="j", rows=rows, focus_gain=0.1)


def outcome(name: str, *seeds: SeedGains, focus: str = "A") -> Outcome:
    return Outcome(name, tuple(card(each, focus) for each in seeds), dict(enumerate(seeds, 1)))


def spread(mean: float, num: int = 40, seed: int = 0) -> dict[str, float]:
    """Gains of prompts, which vary with the prompt more than with the arm."""
    own = np.random.default_rng(round(100 * abs(mean))).choice([-0.02, 0.02], num)
    drawn = mean + own - own.mean() + np.random.default_rng(seed).uniform(-0.4, 0.4, num)
    return {f"p{i}": float(v) for i, v in enumerate(drawn)}


def cells(table: str, arm: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {arm} |")]
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_difference_between_arms_is_paired_and_not_that_of_two_intervals() -> None:
    """Both gain on the same prompts: each alone is uncertain, and which is better is not."""
    low = outcome("low", {"A": spread(0.05)}, {"A": spread(0.06)})
    high = outcome("high", {"A": spread(0.10)}, {"A": spread(0.11)})
    found = difference(high, low)
    assert found is not None
    assert found.gain.value == pytest.approx(0.05) and found.gain.low > 0.03
    assert high.gain.gain.low < low.gain.gain.high
    other = difference(low, high)
    assert other is not None and other.gain.value == pytest.approx(-0.05)


def test_the_table_shows_differences_to_the_reference_and_decides_them_together() -> None:
    base = outcome("base", {"A": spread(0.0)})
    # Seven prompts gain and none loses: p = 2 / 2^7 alone, which is not enough among eight.
    seven = {name: gain + (0.1 if int(name[1:]) < 7 else 0.0) for name, gain in spread(0.0).items()}
    arms = [base, *(outcome(f"arm {i}", {"A": spread(0.0) if i else seven}) for i in range(8))]
    alone, among = arms_table(arms[:2], "base"), arms_table(arms, "base")
    assert cells(alone, "arm 0")[4:] == [*cells(among, "arm 0")[4:6], "better"]
    assert cells(among, "arm 0")[-1] == "no clear change"
    assert cells(among, "base")[4:] == ["", "", ""]
    assert among.splitlines()[0].endswith("| less base | 95 % interval | verdict |")
    assert "less" not in arms_table(arms[:1], "") and "less" not in arms_table(arms[1:3], "base")


def test_too_few_prompts_are_said_to_be_too_few_and_what_shares_none_is_not_paired() -> None:
    base, arm = (outcome(name, {"A": spread(gain, num=5)}) for name, gain in (("base", 0.0), ("other", 0.4)))
    assert cells(arms_table([base, arm], "base"), "other")[-1] == "too few prompts (5 of 6)"
    alien = Outcome("alien", arm.scorecards, {7: arm.gains[1]})
    assert difference(alien, base) is None
    assert cells(arms_table([base, alien], "base"), "alien")[4:] == ["not paired", "", ""]


def test_dimensions_are_decided_over_all_seeds_and_the_losses_that_they_exclude_are_said() -> None:
    flat = {f"p{i}": 0.0 for i in range(40)}
    seeds = [{"A": spread(0.3, seed=s), "B": spread(-0.3, seed=s), "C": flat} for s in range(3)]
    made = outcome("arm", *seeds)
    table = dimensions_table(made)
    assert [cells(table, name)[-1] for name in ("A (focus)", "B", "C")] == ["better", "worse", "no clear change"]
    said = table.splitlines()[-1]
    assert said.startswith("Losses above ") and said.endswith("each of the 3 dimensions compared (least certain: B).")
    lost = -100 * made.by_dimension["B"].gain.low
    assert lost <= float(said.split()[2]) <= lost + 0.1
    assert lost > -100 * compare_gains({"B": seeds[0]["B"]}).gain.value - 10

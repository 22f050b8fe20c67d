"""Tables of arms: what each gains, what it gains more than another, and what so few prompts cannot say."""

from __future__ import annotations

import pytest

from lab.outcomes import FOCUS, Outcome, difference, together
from lab.tables import arms_table, budgets_table, dimensions_table, side_effects_table
from rushes.records import DriftRow
from rushes.statistics.comparison import compare_gains
from tests.support.outcomes import BUDGET, cells, exactly, outcome, result, spread


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
    versus = {arm.name: base for arm in arms[1:]}
    alone, among = arms_table(arms[:2], {"arm 0": base}), arms_table(arms, versus)
    assert cells(alone, "arm 0")[8:] == [*cells(among, "arm 0")[8:11], "better"]
    assert cells(among, "arm 0")[8] == "base" and cells(among, "arm 0")[-1] == "no clear change"
    assert cells(among, "base")[8:] == ["", "", "", ""]
    assert among.splitlines()[0].endswith("| compared with | difference | 95 % interval | verdict |")
    assert "compared" not in arms_table(arms[:1], {})


def test_each_arm_is_compared_with_its_own_and_not_with_the_first() -> None:
    low, high = (outcome(name, {"A": spread(gain)}) for name, gain in (("low", 0.0), ("high", 0.3)))
    arms = [outcome(f"like {other.name}", {"A": spread(gain)}) for other, gain in ((low, 0.0), (high, 0.3))]
    table = arms_table(arms, {"like low": low, "like high": high})
    assert [cells(table, arm.name)[8:10] for arm in arms] == [["low", "+0.0"], ["high", "+0.0"]]


def test_costs_are_means_over_seeds_and_what_one_seed_does_not_know_is_unknown() -> None:
    other = BUDGET.model_copy(update={"clips_judged": 508, "steps": 200, "forwards": 20_000, "seconds": 60.0})
    made = [result("mine", seed, {"A": spread(0.1)}, budget=each) for seed, each in ((1, BUDGET), (2, other))]
    assert cells(arms_table([Outcome("mine", tuple(made))], {}), "mine")[4:] == ["758", "300", "30.9", "3.0"]
    made[0] = result("mine", 1, {"A": spread(0.1)}, budget=BUDGET.model_copy(update={"seconds": None}))
    assert cells(arms_table([Outcome("mine", tuple(made))], {}), "mine")[-1] == "unknown"


def test_too_few_prompts_are_said_to_be_too_few_and_what_shares_none_is_not_paired() -> None:
    base, arm = (outcome(name, {"A": spread(gain, num=5)}) for name, gain in (("base", 0.0), ("other", 0.4)))
    assert cells(arms_table([base, arm], {"other": base}), "other")[-1] == "too few prompts (5 of 6)"
    alien = Outcome("alien", (result("alien", 7, arm.results[0].gains),))
    assert difference(alien, base) is None
    assert cells(arms_table([base, alien], {"alien": base}), "alien")[8:] == ["base", "not paired", "", ""]


def test_dimensions_are_decided_over_all_seeds_and_the_losses_that_they_exclude_are_said() -> None:
    flat = {f"p{i}": 0.0 for i in range(40)}
    seeds = [{"A": spread(0.3, seed=s), "B": spread(-0.3, seed=s), "C": flat} for s in range(3)]
    made = outcome("arm", *seeds)
    assert cells(dimensions_table(made), "A (focus)")[1:3] == ["50.0", "60.0"]
    table = dimensions_table(made)
    assert [cells(table, name)[-1] for name in ("A (focus)", "B", "C")] == ["better", "worse", "no clear change"]
    said = table.splitlines()[-1]
    assert said.startswith("Losses above ") and said.endswith("each of the 3 dimensions compared (least certain: B).")
    lost = -100 * made.by_dimension["B"].gain.low
    assert lost <= float(said.split()[2]) <= lost + 0.1
    assert lost > -100 * compare_gains({"B": seeds[0]["B"]}).gain.value - 10


def test_an_arm_of_one_seed_says_so_and_its_interval_is_no_narrower_than_those_of_several() -> None:
    """Three seeds that lie 20 points apart: what a single one of them shows is worth less than what all show."""
    made = [result("many", seed, {"A": exactly(0.2 * seed)}) for seed in (1, 2, 3)]
    found = together([*made, result("one", 2, {"A": exactly(0.4)})], "own")
    table = arms_table([*found.values()], {})
    assert cells(table, "one")[3] == "+40.0 (seed 2 alone)" and cells(table, "many")[3] == "+20.0, +40.0, +60.0"
    one, many = (found[name].gain.gain for name in ("one", "many"))
    assert found["one"].spreads[FOCUS].variance == pytest.approx(0.04)
    assert one.high - one.low > many.high - many.low > 0.3
    alone = Outcome("one", found["one"].results).gain.gain
    assert alone.high - alone.low < 0.2 < many.high - many.low
    # So it is for a difference, where the arms share a single seed.
    twins = [result("twin", seed, {"A": exactly(0.1 * seed * seed)}) for seed in (1, 2, 3)]
    both = together([*made, *twins, result("one", 2, {"A": exactly(0.4)})], "own")
    versus = {"twin": both["many"], "one": both["many"]}
    low, high = cells(arms_table([both["twin"], both["one"]], versus), "one")[10].split(" to ")
    assert float(high) - float(low) > 30


def test_side_effects_are_shown_where_they_were_measured_and_missing_is_not_zero() -> None:
    gains = {"A": exactly(0.1), "B": exactly(0.2), "C": exactly(0.0), "Diversity": exactly(-0.05)}
    rows = (DriftRow(name="motion amount", before=2.0, after=1.5), DriftRow(name="saturation", before=0.0, after=0.1))
    arms = [outcome("plain", {"A": exactly(0.1)}), Outcome("whole", (result("whole", 1, gains, drift=rows),))]
    table = side_effects_table(arms)
    assert cells(table, "plain")[1:] == ["not measured"] * 6
    assert cells(table, "whole")[1] == "+10.0", "the mean of B and C, neither of A nor of Diversity"
    assert cells(table, "whole")[3] == "-10.0" and cells(table, "whole")[5:] == ["-25.0", "not measured"]
    assert side_effects_table(arms[:1]) == ""
    several = [result("several", seed, {**gains, "B": exactly(0.2 * seed)}) for seed in (1, 2)]
    both = together([*several, *arms[1].results], "own")
    low, high = cells(side_effects_table([both["whole"]]), "whole")[2].split(" to ")
    alone = cells(table, "whole")[2].split(" to ")
    assert float(high) - float(low) > float(alone[1]) - float(alone[0]) + 20, "as far as the others' seeds lie apart"


def test_three_budgets_are_three_columns_of_one_table() -> None:
    kept = [result("dpo", 1, {"A": exactly(gain)}, equal=equal) for equal, gain in (("own", 0.1), ("clips", 0.2))]
    by_equal = {equal: together(kept, equal) for equal in ("own", "clips", "steps", "forwards")}
    row = cells(budgets_table(by_equal, ["crd", "dpo"]), "dpo")  # type: ignore[arg-type]
    assert [cell.split(" (")[0] for cell in row] == ["dpo", "+10.0", "+20.0", "not run", "not run"]
    assert budgets_table({"own": by_equal["own"]}, ["dpo"]) == ""

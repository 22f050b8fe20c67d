"""Two models compared: paired means, coverage, corrections over dimensions, categories and total."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.statistics.resampling import Resampling
from rushes_vbench.catalogue import facts
from rushes_vbench.scorecard import VBenchRow, compare_models, paired_gain
from rushes_vbench.totals import official_totals, sum_intervals
from rushes_vbench.values import ClipValue, DimensionValues, ModelValues

HOW = Resampling(num_resamples=300)


def dimension(name: str, values: dict[tuple[str, int], float | None]) -> DimensionValues:
    return DimensionValues(
        dimension=name, values=tuple(ClipValue(prompt=p, sample=i, value=v) for (p, i), v in values.items())
    )


def model(name: str, *parts: DimensionValues) -> ModelValues:
    return ModelValues(name, {part.dimension: part for part in parts})


def drawn(name: str, chance: float, seed: int, num_prompts: int = 20) -> DimensionValues:
    rng = np.random.default_rng((seed, len(name)))
    places = [(f"p{i}", j) for i in range(num_prompts) for j in range(3)]
    return dimension(name, {place: float(rng.uniform() < chance) for place in places})


def row_of(base: DimensionValues, tuned: DimensionValues) -> VBenchRow:
    (row,) = compare_models(model("a", base), model("b", tuned), measurer="official", how=HOW).rows
    return row


def test_only_pairs_that_both_models_have_count_and_coverage_says_what_is_left_out() -> None:
    base = dimension("Material", {("p", 0): 1.0, ("p", 1): 0.0, ("q", 0): 0.0, ("q", 1): None, ("r", 0): 1.0})
    tuned = dimension("Material", {("p", 0): 1.0, ("p", 1): 1.0, ("q", 0): None, ("q", 1): 1.0, ("r", 0): 1.0})
    row = row_of(base, tuned)
    assert (row.num_pairs, row.num_prompts) == (3, 2)
    assert (row.paired_base, row.paired_tuned, row.gain) == pytest.approx((0.75, 1.0, 0.25))
    assert row.base_coverage == row.tuned_coverage == 0.8
    assert (row.base_covered, row.tuned_covered) == pytest.approx((0.4, 0.8))


def test_own_scores_are_by_the_official_rule_whatever_the_other_model_has() -> None:
    """The score rises from 60.0 to 66.7, while on what both models have it falls by 25."""
    tuned = dimension("Thermotics", {("p", 0): 0.0, ("p", 1): 1.0, ("q", 0): None, ("q", 1): None, ("q", 2): 1.0})
    base = dimension("Thermotics", {("p", 0): 1.0, ("p", 1): 1.0, ("q", 0): 0.0, ("q", 1): 0.0, ("q", 2): 1.0})
    row = row_of(base, tuned)
    assert (row.base, row.tuned) == pytest.approx((3 / 5, 2 / 3))
    assert (row.paired_base, row.paired_tuned, row.gain) == pytest.approx((1.0, 0.75, -0.25))
    (mean,) = compare_models(model("a", base), model("b", tuned), measurer="m", how=HOW).sums
    assert (mean.base, mean.tuned, mean.gain) == pytest.approx((3 / 5, 2 / 3, -0.25))
    assert paired_gain(base, tuned) == pytest.approx(-0.25)


def test_a_gain_that_no_score_can_have_is_not_said_to_be_visible() -> None:
    places = [(f"p{i}", 0) for i in range(6)]
    base = dimension("Material", {place: float(i % 2) for i, place in enumerate(places)})
    tuned = dimension("Material", {place: float(1 - i % 2) for i, place in enumerate(places)})
    row = row_of(base, tuned)
    assert row.gain_low < row.gain_high and row.detectable is None


def test_order_of_the_values_changes_nothing() -> None:
    base, tuned = drawn("Material", 0.4, 1), drawn("Material", 0.6, 2)
    turned = DimensionValues(dimension="Material", values=base.values[::-1])
    assert row_of(base, tuned) == row_of(turned, tuned)


def test_a_clear_gain_is_better_and_the_same_values_are_no_change() -> None:
    low, high = drawn("Material", 0.1, 1), drawn("Material", 0.9, 2)
    better = row_of(low, high)
    assert better.verdict == "better" and better.gain_low > 0 and better.p_value < 0.001
    assert row_of(high, low).verdict == "worse"
    same = row_of(low, low)
    assert (same.verdict, same.gain, same.p_value, same.detectable) == ("no clear change", 0.0, 1.0, None)


def test_what_is_clear_alone_may_not_be_clear_among_many() -> None:
    places = [(f"p{i}", 0) for i in range(7)]
    flat = dict.fromkeys(places, 0.0)
    raised = {place: 1.0 for place in places}  # p = 2 / 2^7 = 0.016
    names = list(facts())[:6]
    base = model("a", *(dimension(name, flat) for name in names))
    tuned = model("b", dimension(names[0], raised), *(dimension(name, flat) for name in names[1:]))
    alone = compare_models(model("a", base.dimensions[names[0]]), tuned, measurer="m", how=HOW).rows[0]
    among = compare_models(base, tuned, measurer="m", how=HOW).rows[0]
    assert alone.p_value == among.p_value == pytest.approx(2 / 2**7)
    assert alone.verdict == "better" and among.verdict == "no clear change"
    assert among.p_holm == pytest.approx(6 * 2 / 2**7) and among.q_value == pytest.approx(6 * 2 / 2**7)


@pytest.mark.parametrize("shared", [True, False])
def test_a_prompt_that_serves_two_dimensions_is_drawn_for_both_together(shared: bool) -> None:
    """What one dimension gains on a prompt the other loses: on the same prompts that cancels in every resample."""
    gains = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.5]

    def side(name: str, sign: int) -> DimensionValues:
        label = "p" if shared else name
        return dimension(name, {(f"{label}{i}", 0): 0.5 + sign * (gain - 0.5) for i, gain in enumerate(gains)})

    flat = [side("Material", 0), side("Mechanics", 0)]
    turned = [side("Material", 1), side("Mechanics", -1)]
    card = compare_models(model("a", *flat), model("b", *turned), measurer="m", how=HOW)
    (mean,) = [each for each in card.sums if each.name == "Mean"]
    assert mean.gain == pytest.approx(0.0)
    assert (mean.gain_high - mean.gain_low < 1e-9) is shared


def test_falling_coverage_is_a_warning() -> None:
    base = drawn("Mechanics", 0.5, 1)
    tuned = DimensionValues(
        dimension="Mechanics",
        values=tuple(
            v if v.sample else v.model_copy(update={"value": None}) for v in drawn("Mechanics", 0.5, 2).values
        ),
    )
    card = compare_models(model("a", base), model("b", tuned), measurer="m", how=HOW)
    (note,) = card.notes
    assert note.startswith(
        "Mechanics: coverage fell from 100% to 67%, and only clips that both models have a score for"
    )
    assert note.endswith(f"from {100 * card.rows[0].base_covered:.1f} to {100 * card.rows[0].tuned_covered:.1f}.")
    (risen,) = compare_models(model("b", tuned), model("a", base), measurer="m", how=HOW).notes
    assert risen.startswith("Mechanics: coverage rose from 67% to 100%")


def test_dimensions_with_too_few_prompts_for_a_verdict_are_noted_together() -> None:
    names = list(facts())[:9]
    base, tuned = (
        model("m", *(drawn(name, 0.5, seed, 9 if name == names[0] else 8) for name in names)) for seed in (1, 2)
    )
    (note,) = compare_models(base, tuned, measurer="m", how=HOW).notes
    assert note.startswith("Few prompts: ") and note.endswith("; a verdict among 9 dimensions takes at least 9.")
    assert names[0] not in note and all(f"{name} (8)" in note for name in names[1:])


def test_what_clips_could_show_is_by_the_spread_of_prompts_and_not_of_their_clips() -> None:
    places = [(f"p{i}", j) for i in range(20) for j in range(2)]
    base = dimension("Material", dict.fromkeys(places, 0.5))
    tuned = dimension("Material", {(prompt, j): float(j) for prompt, j in places})
    assert row_of(base, tuned).detectable is None
    low, high = drawn("Material", 0.3, 1), drawn("Material", 0.5, 2)
    found = row_of(low, high)
    assert found.detectable is not None
    # Student's interval of the prompts' gains, 2.1 errors to either side; the gain that it finds is 2.9 errors.
    assert found.detectable == pytest.approx((found.gain_high - found.gain_low) / 2 * 2.95 / 2.09, rel=0.12)


def test_dimensions_without_two_comparable_prompts_are_named() -> None:
    one = dimension("Material", {("p", 0): 1.0, ("q", 0): None})
    card = compare_models(model("a", one), model("b", one), measurer="m", how=HOW)
    reasons = {each.dimension: each.reason for each in card.alone}
    assert card.rows == () and card.sums == () and len(reasons) == 18
    assert "1 prompt has a value of both models" in reasons["Material"]
    assert reasons["Diversity"] == "no values of a and b"
    assert [(each.base, each.tuned) for each in card.alone if each.dimension == "Material"] == [(1.0, 1.0)]


def test_categories_and_total_need_all_their_dimensions() -> None:
    base = model("a", *(drawn(name, 0.4, 1) for name in facts()))
    tuned = model("b", *(drawn(name, 0.6, 2) for name in facts()))
    card = compare_models(base, tuned, measurer="m", how=HOW)
    sums = {each.name: each for each in card.sums}
    assert list(sums) == [*official_totals({}), "Mean", "Mean without Diversity"]
    rows = {row.dimension: row for row in card.rows}
    official = official_totals({name: row.gain for name, row in rows.items()})
    for name in official:
        assert sums[name].gain == pytest.approx(official[name])
        assert sums[name].tuned == pytest.approx(official_totals({d: row.tuned for d, row in rows.items()})[name])
        assert sums[name].gain_low <= sums[name].gain <= sums[name].gain_high
    assert sums["Mean"].num_dimensions == 18 and sums["Mean without Diversity"].num_dimensions == 17
    gains = [row.gain for name, row in rows.items() if name != "Diversity"]
    assert sums["Mean without Diversity"].gain == pytest.approx(sum(gains) / 17)
    without = model("a", *(base.dimensions[name] for name in facts() if name != "Diversity"))
    names = [each.name for each in compare_models(without, tuned, measurer="m", how=HOW).sums]
    assert names == ["Commonsense", "Controllability", "Human Fidelity", "Physics", "Mean"]


def test_categories_of_one_model_have_intervals_where_all_their_dimensions_are_there() -> None:
    values = model("a", *(drawn(name, 0.4, 1) for name in facts()))
    found = sum_intervals(values, HOW)
    official = official_totals({name: part.mean or 0.0 for name, part in values.dimensions.items()})
    assert list(found) == list(official)
    for name, interval in found.items():
        assert interval.value == pytest.approx(official[name])
        assert 0.0 <= interval.low < interval.value < interval.high <= 1.0
    some = model("a", *(part for name, part in values.dimensions.items() if name not in ("Diversity", "Material")))
    assert list(sum_intervals(some, HOW)) == ["Commonsense", "Controllability", "Human Fidelity"]

"""Two models' measurements -> the scorecard: pairing, what is left out, and the warnings."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest

from rushes.display.words import points
from rushes.errors import UserError
from rushes.measure.compare import Contest, compare
from rushes.measure.pairs import clusters_of, pair_up
from rushes.records import Clip, DimensionRow, DriftRow, Measurement, Prompt, Scorecard
from rushes.records.derived import FEWEST_PROMPTS
from rushes.statistics.comparison import ALPHA, compare_gains, paired_gains
from rushes.statistics.corrections import sign_flip_p
from rushes.statistics.power import fewest_prompts
from rushes.statistics.resampling import Resampling
from tests.support.measured_clips import Stand, clip, key, measured
from tests.support.sandbox_recipe import measure_spec

HOW = Resampling(num_resamples=400)


def contest(*focus: str) -> Contest:
    return Contest(base_model="base", tuned_model="tuned", judge="judge", focus=focus)


def scorecard(stand: Stand, *focus: str, **more: object) -> Scorecard:
    return compare(
        pair_up(stand.before, stand.after, stand.clips),
        apart(stand.before, stand.after),
        contest(*focus),
        HOW,
        judged=stand.judged,
        **more,  # type: ignore[arg-type]
    )


def apart(*sides: Iterable[Measurement]) -> dict[str, str]:
    """Every prompt a cluster of its own."""
    return {each.prompt_key: each.prompt_key for side in sides for each in side}


def row(card: Scorecard, name: str) -> DimensionRow:
    return next(each for each in card.rows if each.dimension == name)


def test_a_dimension_that_improves_gets_means_gain_and_interval() -> None:
    before, after = [0.0] * 12 + [1.0] * 4, [1.0] * 8 + [0.0] * 4 + [1.0] * 4
    card = scorecard(Stand().add("Composition", before, after), "Composition")
    found = row(card, "Composition")
    assert (found.before, found.after, found.gain) == (0.25, 0.75, 0.5)
    assert (found.verdict, found.is_focus, found.num_prompts, found.num_clips) == ("better", True, 16, 16)
    # The same interval as that of the bare numbers, in any order.
    prompts = [key("prompt", "Composition", i) for i in range(16)]
    comparison = compare_gains({"Composition": paired_gains(before, after, prompts)}, HOW)
    bare = comparison.gain
    assert (found.gain_low, found.gain_high) == (bare.low, bare.high)
    assert (card.focus_gain, card.focus_gain_low, card.focus_gain_high) == (bare.value, bare.low, bare.high)
    assert (card.focus_p_value, card.focus_verdict) == (found.p_holm, "better")
    assert card.notes == ()
    assert card.measurer == "tester"


def test_the_order_of_the_measurements_changes_nothing() -> None:
    stand = Stand().add("A", [0.0, 1.0, 0.5] * 4, [1.0, 1.0, 0.25] * 4).add("B", [0.0, 1.0] * 5, [1.0, 0.0] * 5)
    card = scorecard(stand, "A", "B")
    for values in (stand.before, stand.after, stand.clips):
        random.Random(3).shuffle(values)
    assert scorecard(stand, "B", "A") == card


def test_unscored_pairs_are_left_out_of_both_means_and_counted() -> None:
    before: list[float | str] = [0.0, 0.0, "blurred", 1.0] * 3
    after: list[float | str] = [1.0, "too dark", 1.0, 1.0] * 3
    found = row(scorecard(Stand().add("A", before, after)), "A")
    assert (found.before, found.after) == (0.5, 1.0)
    assert (found.num_clips, found.num_unscored) == (6, 6)


def test_a_clip_without_its_counterpart_is_left_out_and_named() -> None:
    stand = Stand().add("A", [0.0] * 10, [1.0] * 10)
    del stand.after[3]
    card = scorecard(stand)
    assert row(card, "A").num_clips == 9
    assert "A: 1 clips of one model lack their counterpart and are left out." in card.notes


def test_what_cannot_be_compared_says_why_and_is_never_zero() -> None:
    stand = Stand().add("One", [0.0], [1.0]).add("Dark", ["dark"] * 3, [1.0] * 3).add("Fine", [0.0] * 9, [1.0] * 9)
    half = clip("base", "Half", 0)
    stand.clips.append(half)
    stand.before.append(measured([half], 1.0))
    card = scorecard(stand, "One", "Never")
    reasons = {each.dimension: each.reason for each in card.unmeasured}
    assert set(reasons) == {"One", "Dark", "Half", "Never"}
    assert "only one prompt" in reasons["One"]
    assert "all 3 pairs" in reasons["Dark"] and "dark" in reasons["Dark"]
    assert reasons["Half"] == "nothing was measured of the tuned model"
    assert reasons["Never"] == "nothing was measured of the base or the tuned model"
    assert [each.dimension for each in card.rows] == ["Fine"]
    # Neither focus dimension has a gain, so there is no mean of them.
    assert (card.focus_gain, card.focus_gain_low, card.focus_gain_high) == (None, None, None)


def test_takes_are_compared_within_their_prompt_and_seed() -> None:
    made = Stand()
    for prompt in range(4):
        for take in (0, 1):
            for model, value in (("base", float(take)), ("tuned", float(1 - take))):
                each = clip(model, "A", prompt, take)
                made.clips.append(each)
                (made.before if model == "base" else made.after).append(measured([each], value))
    pairs = pair_up(reversed(made.before), made.after, made.clips).pairs
    assert len(pairs) == 8
    assert {(pair.seed_indices, pair.scores) for pair in pairs} == {((0,), (0.0, 1.0)), ((1,), (1.0, 0.0))}
    found = row(scorecard(made), "A")
    assert (found.num_prompts, found.num_clips, found.gain) == (4, 8, 0.0)


def test_groups_of_takes_are_compared_when_they_hold_the_same_seeds() -> None:
    stand = Stand()
    for prompt in range(8):
        stand.add_group("Diversity", "base", prompt, range(4), 0.40 + 0.01 * prompt)
        stand.add_group("Diversity", "tuned", prompt, range(4) if prompt else range(3), 0.36 + 0.01 * prompt)
    card = scorecard(stand)
    found = row(card, "Diversity")
    assert (found.num_prompts, found.num_clips) == (7, 28)
    assert any(note.startswith("Diversity fell by 9.1 % of its value") for note in card.notes)


@pytest.mark.parametrize(("spread", "is_open"), [(0.02, False), (0.2, True)])
def test_a_loss_of_diversity_is_told_by_its_size_and_called_open_by_its_interval(spread: float, is_open: bool) -> None:
    """The promise is that a fall by more than 5 % is told; whether it may be chance is said beside it."""
    stand = Stand()
    for prompt in range(12):
        stand.add_group("Diversity", "base", prompt, range(2), 0.5)
        stand.add_group("Diversity", "tuned", prompt, range(2), 0.46 + spread * (1 if prompt % 2 else -1))
    (note,) = scorecard(stand).notes if is_open else scorecard(stand).notes[1:]
    assert note.startswith("Diversity fell by 8.0 % of its value (0.500 to 0.460); more than 5 % is too much.")
    assert note.endswith("It may be chance: the gain's interval reaches above 0.") is is_open


def test_a_small_loss_of_diversity_is_no_warning() -> None:
    stand = Stand()
    for prompt in range(8):
        stand.add_group("Diversity", "base", prompt, range(2), 0.5 + 0.01 * (prompt % 3))
        stand.add_group("Diversity", "tuned", prompt, range(2), 0.5 + 0.01 * (prompt % 2))
    assert scorecard(stand).notes == ()


def test_a_regression_is_marked_and_noted() -> None:
    card = scorecard(Stand().add("A", [1.0] * 12 + [0.0] * 4, [0.0] * 10 + [1.0] * 2 + [0.0] * 4))
    assert row(card, "A").verdict == "worse"
    assert card.notes[0].startswith("A got worse: -62.5 points")


def test_a_judge_that_is_pleased_while_the_measurer_is_not_is_noted() -> None:
    values = [0.0, 1.0] * 8
    pleased = ([0.3, 0.5] * 8, [0.6, 0.9] * 8)
    card = scorecard(Stand().add("A", values, values, pleased), "A")
    found = row(card, "A")
    assert (found.judge_before, found.judge_after) == (pytest.approx(0.4), pytest.approx(0.75))
    assert any("please the judge" in note and "+35.0 points" in note for note in card.notes)
    # A judge and a measurer that agree are no news; nor is a measurer that sees most of the judge's gain.
    agreed = scorecard(Stand().add("A", [0.0] * 16, [1.0] * 12 + [0.0] * 4, ([0.3] * 16, [0.9] * 12 + [0.3] * 4)))
    assert agreed.notes == ()
    below_the_noise = scorecard(Stand().add("A", [0.0, 1.0] * 8, [1.0] * 11 + [0.0] * 5, ([0.3] * 16, [0.5] * 16)))
    assert row(below_the_noise, "A").verdict == "no clear change"
    assert below_the_noise.notes == ()


def test_a_gain_that_the_measurer_sees_clearly_is_no_flattery_however_much_the_judge_sees() -> None:
    before, after = [0.0] * 24, [1.0] * 9 + [0.0] * 15
    stand = Stand().add("A", before, after, ([0.0] * 24, [1.0] * 20 + [0.9] * 4))
    assert scorecard(stand).notes == ()


def test_judge_means_cover_only_pairs_that_the_judge_scored_on_both_sides() -> None:
    stand = Stand().add("A", [0.0, 1.0] * 5, [1.0, 1.0] * 5, ([0.2, "no answer"] * 5, [0.4, 0.9] * 5))
    found = row(scorecard(stand), "A")
    assert (found.judge_before, found.judge_after) == (pytest.approx(0.2), pytest.approx(0.4))
    unasked = row(scorecard(Stand().add("A", [0.0, 1.0] * 5, [1.0, 1.0] * 5)), "A")
    assert (unasked.judge_before, unasked.judge_after) == (None, None)


def test_few_prompts_are_noted() -> None:
    card = scorecard(Stand().add("A", [0.0, 0.0, 1.0], [1.0, 0.0, 1.0]))
    assert card.notes == (
        "Few prompts: A (3); with fewer than 8 an interval is rough, and a verdict takes at least 6. "
        "Raise measure.num_prompts.",
    )
    seven = scorecard(Stand().add("A", [0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0, 0.5, 0.0, 1.0]))
    assert seven.notes == ("Few prompts: A (7); with fewer than 8 an interval is rough. Raise measure.num_prompts.",)


def test_one_note_names_all_dimensions_in_which_no_verdict_is_possible_among_so_many() -> None:
    """Eight prompts that all gain have p = 2 / 2^8, and 9 times that is above 0.05; nine prompts are enough."""
    stand = Stand()
    for name in ("A", "B", "C", "D", "E", "F", "G", "Diversity"):
        stand.add(name, [0.0] * 8, [1.0] * 8)
    card = scorecard(stand.add("H", [0.0] * 9, [1.0] * 9))
    verdicts = {each.dimension: each.verdict for each in card.rows}
    assert verdicts.pop("H") == "better" and set(verdicts.values()) == {"no clear change"}
    assert card.notes == (
        "Few prompts: A (8), B (8), C (8), D (8), E (8), F (8), G (8), Diversity (8); a verdict among 9 dimensions "
        "takes at least 9. Raise measure.num_prompts and measure.num_diversity_prompts.",
    )
    # As many prompts as the recipe asks for by itself are enough.
    assert measure_spec().num_diversity_prompts >= fewest_prompts(ALPHA / 18)
    assert fewest_prompts() == FEWEST_PROMPTS


@pytest.mark.parametrize("num_prompts", [2, 4, 5])
def test_a_loss_in_fewer_prompts_than_any_verdict_takes_is_no_warning(num_prompts: int) -> None:
    lost = [0.5, 0.52, 0.48, 0.51, 0.49][:num_prompts]
    card = scorecard(Stand().add("A", [0.9] * num_prompts, [0.9 - each for each in lost]))
    assert [note[:11] for note in card.notes] == ["Few prompts"]
    assert row(card, "A").gain_high < 0 and not row(card, "A").may_be_worse


def test_a_judge_that_is_pleased_in_so_few_prompts_is_no_warning() -> None:
    values, pleased = [0.0, 1.0, 0.5, 1.0, 0.0], ([0.1, 0.2, 0.1, 0.2, 0.1], [0.9] * 5)
    card = scorecard(Stand().add("A", values, values, pleased))
    assert [note[:11] for note in card.notes] == ["Few prompts"]
    more = scorecard(Stand().add("A", [*values, 0.0], [*values, 0.0], ([*pleased[0], 0.2], [0.9] * 6)))
    assert "please the judge" in more.notes[0]


def test_without_one_of_its_dimensions_there_is_no_mean_of_the_focus_and_a_note_says_so() -> None:
    stand = Stand().add("A", [0.0] * 16, [1.0] * 16).add("B", [0.0] * 16, ["dark"] * 16).add("C", [0.5] * 9, [0.5] * 9)
    card = scorecard(stand, "A", "B", "Never")
    assert row(card, "A").verdict == "better"
    assert (card.focus_gain, card.focus_gain_low, card.focus_gain_high) == (None, None, None)
    assert (card.focus_p_value, card.focus_verdict) == (None, None)
    assert (
        "B, Never were aimed at and could not be compared, so there is no mean of the focus and no verdict on it."
        in (card.notes)
    )
    assert scorecard(stand, "A").focus_verdict == "better"


def test_scores_that_only_one_model_lacks_are_noted() -> None:
    """The tuned model's worst clips have no score: what is left gains 50 points."""
    before, after = [0.0, 0.5] * 12, ["no answer", 1.0] * 12
    card = scorecard(Stand().add("A", before, after))
    assert (row(card, "A").verdict, row(card, "A").gain) == ("better", 0.5)
    assert card.notes == (
        "A: coverage fell from 100% to 50%, and only clips that both models have a score for are compared. With clips "
        "without a score as 0, the mean went from 25.0 to 50.0.",
    )
    (rose,) = scorecard(Stand().add("A", after, before)).notes[1:]
    assert rose.startswith("A: coverage rose from 50% to 100%")
    evenly = scorecard(Stand().add("A", ["no answer", *[0.5, 1.0] * 10], ["no answer", *[0.5, 1.0] * 10]))
    assert evenly.notes == ()


def test_earlier_notes_and_drift_are_passed_on_first() -> None:
    drift = (DriftRow(name="motion amount", before=1.0, after=1.1),)
    card = scorecard(Stand().add("A", [0.0], [1.0]).add("B", [0.0] * 9, [1.0] * 9), drift=drift, notes=("first",))
    assert card.drift == drift
    assert card.notes[0] == "first"


def test_focus_dimensions_come_first_and_diversity_last() -> None:
    stand = Stand()
    for name in ("A", "Diversity", "Z", "C"):
        stand.add(name, [0.0] * 8, [1.0] * 8)
    assert [each.dimension for each in scorecard(stand, "Z").rows] == ["Z", "A", "C", "Diversity"]


def test_mistakes_of_the_caller_are_refused() -> None:
    stand = Stand().add("A", [0.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match="not given"):
        pair_up(stand.before, stand.after, stand.clips[1:])
    with pytest.raises(ValueError, match="two measurements"):
        pair_up([*stand.before, stand.before[0]], stand.after, stand.clips)
    other = [each.model_copy(update={"measurer": "other"}) for each in stand.after]
    with pytest.raises(ValueError, match="same one measurer"):
        compare(pair_up(stand.before, other, stand.clips), apart(stand.before), contest(), HOW)
    with pytest.raises(KeyError):
        compare(pair_up(stand.before, stand.after, stand.clips), {}, contest(), HOW)
    with pytest.raises(UserError, match="nothing was measured"):
        compare(pair_up([], [], []), {}, contest("A"), HOW)


def test_verdicts_are_corrected_for_all_dimensions_and_the_focus_mean_is_not() -> None:
    """Seven prompts of sixteen gain and none loses: p = 2 / 2^7, clear alone and not among six dimensions."""
    flat, raised = [0.0] * 16, [1.0] * 7 + [0.0] * 9
    alone = row(scorecard(Stand().add("A", flat, raised)), "A")
    assert (alone.verdict, alone.p_holm) == ("better", pytest.approx(2 / 2**7))
    stand = Stand().add("A", flat, raised)
    for name in "BCDEF":
        stand.add(name, flat, flat)
    card = scorecard(stand, "A")
    among = row(card, "A")
    assert (among.verdict, among.p_holm) == ("no clear change", pytest.approx(6 * 2 / 2**7))
    assert among.gain_low > 0  # the interval is that of the dimension alone
    assert (card.focus_verdict, card.focus_p_value) == ("better", pytest.approx(2 / 2**7))


def test_a_loss_that_is_not_clear_among_all_dimensions_is_noted_all_the_same() -> None:
    flat, fallen = [1.0] * 16, [0.0] * 7 + [1.0] * 9
    stand = Stand().add("A", flat, fallen)
    for name in "BCDEF":
        stand.add(name, flat, flat)
    (note,) = scorecard(stand).notes
    assert note.startswith("A may have got worse: -43.8 points, 95 % interval -")
    assert note.endswith("; not enough for a verdict among 6 dimensions (p 0.09, corrected).")


def test_a_prompt_that_serves_several_dimensions_is_one_cluster() -> None:
    gains = [0.5, 0.25, -0.5, 0.0, 1.0, -0.25, 0.75, 0.5, -0.75, 0.25, 0.0, 0.5]
    stand = Stand()
    for name in ("A", "B"):
        stand.add(name, [0.5 - gain / 2 for gain in gains], [0.5 + gain / 2 for gain in gains])
    pairing = pair_up(stand.before, stand.after, stand.clips)
    prompts = [prompt_of(each) for each in stand.clips]
    shared = compare(pairing, clusters_of(prompts), contest("A", "B"), HOW)
    alone = compare(pairing, clusters_of(prompts), contest("A"), HOW)
    separate = compare(pairing, apart(stand.before), contest("A", "B"), HOW)
    # Two dimensions of the same gains on the same prompts tell no more than one of them.
    assert width(shared) == pytest.approx(width(alone), rel=0.1)
    assert width(separate) < 0.8 * width(alone)
    assert shared.focus_p_value == pytest.approx(sign_flip_p(np.array(gains)))


def prompt_of(each: Clip) -> Prompt:
    """A suite's prompt: its text is the same in every dimension."""
    number = next(i for i in range(99) if key("prompt", each.dimension, i) == each.prompt_key)
    text = f"prompt {number}"
    return Prompt(
        key=each.prompt_key, text=text, base_text=text, dimension=each.dimension, origin="held_out", index=number
    )


def width(card: Scorecard) -> float:
    assert card.focus_gain_low is not None and card.focus_gain_high is not None
    return card.focus_gain_high - card.focus_gain_low


@pytest.mark.parametrize(("value", "text"), [(0.042, "+4.2"), (-0.0083, "-0.8"), (-0.0001, "0.0"), (1.0, "+100.0")])
def test_points(value: float, text: str) -> None:
    assert points(value) == text

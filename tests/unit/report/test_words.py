"""The verdict claims no more than the intervals, and figures read well."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_row, make_scorecard

from rushes.display.words import duration, figure, percent, rule, signed, tone, typeset, verdict
from rushes.records import DimensionRow, Scorecard


def card(*rows: DimensionRow, gain: tuple[float, float, float] | None = None) -> Scorecard:
    mean, low, high = gain or (None, None, None)
    changes = {"rows": rows, "focus_gain": mean, "focus_gain_low": low, "focus_gain_high": high}
    verdict = None
    if gain is not None:
        verdict = "better" if gain[1] > 0 else "worse" if gain[2] < 0 else "no clear change"
    return make_scorecard().model_copy(update={**changes, "focus_verdict": verdict})


def row(name: str, gain: float, is_focus: bool = False) -> DimensionRow:
    return make_row(name, 0.5, gain, 0.05, is_focus)


def test_a_clear_gain() -> None:
    found = card(row("Camera_Motion", 0.1, True), gain=(0.1, 0.05, 0.15))
    assert verdict(found) == (
        "The model got better at Camera Motion: +10.0 points (95 % interval +5.0 to +15.0). "
        "No dimension got clearly worse."
    )
    assert tone(found) == "good"


def test_an_interval_that_holds_zero_is_no_gain() -> None:
    found = card(row("A", 0.04, True), row("B", 0.04, True), gain=(0.04, -0.01, 0.09))
    assert verdict(found).startswith("No clear change in the 2 dimensions it was weak in: +4.0 points on average (95 %")
    assert tone(found) == "even"


def test_the_sentence_follows_the_verdict_and_not_the_interval_alone() -> None:
    found = card(row("A", 0.1, True), gain=(0.1, 0.05, 0.15)).model_copy(update={"focus_verdict": "no clear change"})
    assert verdict(found).startswith("No clear change in A: +10.0 points (95 % interval +5.0 to +15.0).")
    assert tone(found) == "even"


def test_losses_are_said() -> None:
    found = card(row("A", -0.2, True), row("B", -0.1), gain=(-0.2, -0.25, -0.15))
    assert verdict(found).startswith("The model got worse at A: \u221220.0 points")
    assert verdict(found).endswith("A and B got worse.")
    assert tone(found) == "bad"
    many = card(*(row(name, -0.2, name == "A") for name in "ABC"), gain=(-0.2, -0.25, -0.15))
    assert verdict(many).endswith("3 dimensions got worse.")


def test_a_loss_that_is_no_verdict_is_not_hidden() -> None:
    fallen = row("B", -0.1).model_copy(update={"verdict": "no clear change", "p_holm": 0.2})
    found = card(row("A", 0.1, True), fallen, gain=(0.1, 0.05, 0.15))
    assert verdict(found).endswith("No dimension got clearly worse; B may have.")


def test_the_rule_is_told_with_the_number_of_dimensions() -> None:
    assert rule(1) == "Intervals are 95 % for each dimension alone, resampling prompts."
    assert "corrected for 9 dimensions together" in rule(9)
    assert "decided alone" in rule(9, has_focus=True) and "decided alone" not in rule(9)


def test_nothing_measured_is_said_and_not_called_a_zero() -> None:
    assert verdict(card()) == "Whether the model got better at what it was weak in could not be measured."
    assert verdict(card(row("A", -0.2))).endswith("could not be measured. A got worse.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (2.3456, "2.35"),
        (0.012345, "0.0123"),
        (1234.5, "1\u202f234"),
        (-3.1, "\u22123.10"),
        (2e-7, "2.00e\u221207"),
    ],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_shares_that_are_not_whole_never_read_as_whole() -> None:
    assert [percent(value) for value in (0.0, 0.001, 0.43, 0.998, 1.0)] == [
        "0\u202f%",
        "< 1\u202f%",
        "43\u202f%",
        "> 99\u202f%",
        "100\u202f%",
    ]


def test_minus_signs() -> None:
    assert signed(-0.042) == "\u22124.2"
    assert (
        typeset("fell by -3.1 to -4 (x-1, 2-3, a-b), 95 %") == "fell by \u22123.1 to \u22124 (x-1, 2-3, a-b), 95\u202f%"
    )

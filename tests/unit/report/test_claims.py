"""Title and sentences: each stands there exactly when the figures say so, and claims no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_data, make_row, make_scorecard

from rushes.audit.records import Audit, DimensionAudit, Rule, Trust
from rushes.records import DimensionRow, Leniency, Scorecard
from rushes.report.claims import claims, loss_sentences
from rushes.report.html import render_report
from rushes.report.table import print_scorecard

GAIN = (0.1, 0.05, 0.15)


def row(name: str, gain: float = 0.1, is_focus: bool = False, *, before: float = 0.5, **more: object) -> DimensionRow:
    """A gain of `gain` with an interval of 5 points on both sides, of 32 prompts."""
    made = make_row("A", before, gain, 0.05, is_focus).model_copy(update={"dimension": name, **more})
    return DimensionRow.model_validate(made.model_dump())


def card(*rows: DimensionRow, gain: tuple[float, float, float] | None = GAIN, **more: object) -> Scorecard:
    mean, low, high = gain or (None, None, None)
    verdict = None
    if gain is not None:
        verdict = "better" if gain[1] > 0 else "worse" if gain[2] < 0 else "no clear change"
    changes = {"rows": rows, "focus_gain": mean, "focus_gain_low": low, "focus_gain_high": high}
    return make_scorecard().model_copy(update={**changes, "focus_verdict": verdict, "notes": (), **more})


def lenient(before: float, after: float, low: float = 0.01, num_prompts: int = 40) -> Leniency:
    return Leniency(before=before, after=after, rise_low=low, rise_high=0.3, num_prompts=num_prompts)


def test_a_clear_gain_that_nothing_speaks_against() -> None:
    found = claims(card(row("Camera_Motion", is_focus=True), row("B")))
    assert found.title == "The model got better at Camera Motion: +10.0 points (95 % interval +5.0 to +15.0)."
    assert found.sentences == ("A loss is excluded in each of the 2 dimensions compared.",)
    assert found.tone == "good"


def test_an_interval_that_includes_0_is_no_gain_and_the_title_says_so() -> None:
    found = claims(card(row("A", is_focus=True), row("B", is_focus=True), gain=(0.04, -0.01, 0.09)))
    assert found.title == (
        "No clear change in the 2 dimensions it was aimed at: +4.0 points on average (95 % interval \u22121.0 to +9.0, "
        "which includes 0)."
    )
    assert found.tone == "even"
    beside = claims(card(row("A", is_focus=True)).model_copy(update={"focus_verdict": "no clear change"}))
    assert beside.title == "No clear change in A: +10.0 points (95 % interval +5.0 to +15.0)."
    assert beside.tone == "even"


@pytest.mark.parametrize(
    ("before", "others", "where"),
    [
        ((0.05, 0.1), (0.2, 0.3), "the 2 weakest of 4 measured dimensions"),
        ((0.65, 0.77), (0.05, 0.1, 0.2), "the 2 dimensions it was aimed at"),
        ((0.05, 0.3), (0.2, 0.7), "the 2 dimensions it was aimed at"),
        ((0.05, 0.2), (0.2, 0.7), "the 2 dimensions it was aimed at"),
        ((0.05, 0.1), (), "the 2 dimensions it was aimed at"),
    ],
)
def test_dimensions_are_called_weak_only_where_no_other_one_is_weaker(
    before: tuple[float, ...], others: tuple[float, ...], where: str
) -> None:
    focus = [row(f"F{i}", is_focus=True, before=value) for i, value in enumerate(before)]
    rest = [row(f"O{i}", before=value) for i, value in enumerate(others)]
    # Diversity is on another scale, and no dimension is weaker or stronger than it.
    found = claims(card(*focus, *rest, row("Diversity", before=0.01)))
    assert found.title.startswith(f"The model got better at {where}: ")
    assert "weak in" not in found.text


def test_what_got_worse_stands_in_the_title() -> None:
    found = claims(card(row("A", is_focus=True), row("B", -0.1)))
    assert found.title.endswith("to +15.0); but B got worse.")
    assert found.tone == "bad"
    focus = claims(card(row("A", -0.2, True), row("B", -0.1), gain=(-0.2, -0.25, -0.15)))
    assert focus.title.startswith("The model got worse at A: \u221220.0 points") and focus.title.endswith(
        "; B got worse."
    )
    many = claims(card(row("A", is_focus=True), *(row(name, -0.2) for name in "BCD")))
    assert many.title.endswith("but 3 dimensions got worse.")


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (-0.03, "Diversity fell by 6.0 % of its value (with an interval that includes 0)"),
        (-0.08, "Diversity got worse, by 16.0 % of its value"),
        (-0.02, None),
        (0.08, None),
    ],
)
def test_a_loss_of_diversity_that_is_warned_of_stands_in_the_title(gain: float, said: str | None) -> None:
    found = claims(card(row("A", is_focus=True), row("Diversity", gain)))
    assert found.title.endswith(f"; but {said}." if said else "to +15.0).")
    # The same loss of another dimension is no such warning.
    assert "of its value" not in claims(card(row("A", is_focus=True), row("B", gain))).title


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lenient(0.07, 0.14), "Composition (7 to 14 % of the questions)"),
        (lenient(0.07, 0.14, -0.01), "Composition (7 to 14 % of the questions, with an interval that includes 0)"),
        (lenient(0.07, 0.11), None),
        (lenient(0.14, 0.07, -0.2), None),
        (lenient(0.0, 0.5, num_prompts=5), None),
        (None, None),
    ],
)
def test_a_judge_that_became_more_lenient_than_the_measurer_stands_in_the_title(
    found: Leniency | None, said: str | None
) -> None:
    title = claims(card(row("A", is_focus=True), row("Composition", leniency=found))).title
    assert title.endswith(f"; but the judge became more lenient than the measurer in {said}." if said else "to +15.0).")


def test_a_mean_of_the_focus_that_one_of_its_dimensions_does_not_share_says_so() -> None:
    both = claims(card(row("A", is_focus=True), row("B", 0.02, True)))
    assert both.title.endswith("; but the interval of B includes 0.") and both.tone == "even"
    assert claims(card(row("A", is_focus=True), row("B", 0.02))).title.endswith("to +15.0).")
    open_ = claims(card(row("A", is_focus=True), row("B", 0.02, True), gain=(0.04, -0.01, 0.09)))
    assert open_.title.endswith("which includes 0).")


def test_everything_against_a_gain_is_one_sentence() -> None:
    rows = (row("B", 0.02, True), row("Diversity", -0.03), row("C", -0.1), row("D", leniency=lenient(0.1, 0.2)))
    title = claims(card(row("A", is_focus=True), *rows)).title
    assert title.endswith(
        "; but C got worse, Diversity fell by 6.0 % of its value (with an interval that includes 0), the judge became "
        "more lenient than the measurer in D (10 to 20 % of the questions), and the interval of B includes 0."
    )


def test_what_could_not_be_measured_is_said_and_not_called_a_zero() -> None:
    nothing = claims(card(gain=None))
    assert nothing.title == "Whether the model got better at what it was aimed at could not be measured."
    assert nothing.sentences == () and nothing.tone == "even"
    assert claims(card(row("A", -0.2), gain=None)).title.endswith("could not be measured; A got worse.")


@pytest.mark.parametrize("gain", [(0.1, -0.1, 0.3), (0.3, 0.1, 0.4), (-0.2, -0.3, -0.1)])
def test_too_few_prompts_for_the_focus_are_no_measurement_and_no_gain(gain: tuple[float, float, float]) -> None:
    few = card(row("A", gain[0], is_focus=True, num_prompts=5), gain=gain, focus_num_prompts=5)
    said = claims(few)
    assert said.title == "Nothing was decided about A: 5 prompts are no measurement, which takes at least 6."
    assert "points" not in said.text and said.tone != "good"
    worse = few.model_copy(update={"rows": (*few.rows, row("B", -0.1))})
    assert claims(worse).title.endswith("at least 6; B got worse.")


def test_prompts_enough_for_a_verdict_are_counted_over_the_whole_focus() -> None:
    few = card(row("A", is_focus=True, num_prompts=5), gain=(0.1, -0.1, 0.3), focus_num_prompts=5)
    assert claims(few.model_copy(update={"focus_num_prompts": 6})).title.startswith("No clear change in A")
    untold = few.model_copy(update={"focus_num_prompts": None})
    assert claims(untold).title == claims(few).title, "the rows have no more"


def test_a_dimension_that_so_few_prompts_cannot_decide_is_named() -> None:
    rows = [row(name, 0.0, num_prompts=9) for name in "BCDEFGH"]
    few = "Too few prompts for a verdict among 9 dimensions, which takes at least 9: Z (8)."
    assert few in claims(card(row("A", is_focus=True), *rows, row("Z", 0.0, num_prompts=8))).sentences
    decided = claims(card(row("A", is_focus=True), *rows, row("Z", 0.1, num_prompts=8)))
    assert not any("Too few" in each for each in decided.sentences)


def test_losses_are_excluded_down_to_the_lowest_interval_and_never_below_it() -> None:
    rows = (row("A", is_focus=True), row("B", 0.0, gain_low=-0.07301), row("C", -0.01))
    assert claims(card(*rows)).sentences == (
        "Losses above 7.4 points are excluded in each of the 3 dimensions compared (least certain: B).",
    )
    assert list(loss_sentences([row("Camera_Motion", 0.0)])) == [
        "Losses above 5.0 points are excluded in Camera Motion."
    ]
    assert list(loss_sentences([])) == []


def test_a_dimension_of_few_prompts_excludes_no_loss() -> None:
    found = claims(card(row("A", is_focus=True), row("B", 0.3, num_prompts=5)))
    assert "A loss is excluded in A." in found.sentences
    assert "No loss is excluded where prompts are too few: B (5)." in found.sentences


def test_a_loss_that_is_no_verdict_is_not_hidden() -> None:
    fallen = row("B", -0.1, verdict="no clear change", p_holm=0.2)
    assert claims(card(row("A", is_focus=True), fallen)).sentences[0] == "B may have got worse."


def audit(verdict: Trust, judge: str = "sandbox-vqa", dimension: str = "A") -> Audit:
    found = DimensionAudit(
        dimension=dimension, num_clips=24, num_prompts=24, num_questions=88, num_unanswered=0, controls=(),
        yes_bias=None, consistency=None, verdict=verdict,
    )  # fmt: skip
    return Audit(
        judge=judge, source="x", is_truth_known=True, num_requests=1, num_from_before=0, seconds=1.0, num_resamples=10,
        seed=0, aggregate="mean", rule=Rule(), dimensions=(found,),
    )  # fmt: skip


def test_a_judge_that_its_audit_does_not_trust_in_the_focus_is_named() -> None:
    found = card(row("A", is_focus=True), row("B"))
    assert claims(found, audit("do not trust")).sentences[-1] == "The audit of the judge says not to trust it in A."
    silent = (
        audit("trust"),
        audit("not shown"),
        audit("do not trust", "another"),
        audit("do not trust", dimension="B"),
    )
    assert all(claims(found, each) == claims(found) for each in silent)


def test_terminal_and_report_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    data = make_data()
    found = claims(data.scorecard)
    print_scorecard(data.scorecard, Console(width=80))
    printed = " ".join(capsys.readouterr().out.split())
    assert found.text.replace("\u2212", "-") in printed
    page = " ".join(render_report(data).split()).replace("\u202f", " ")
    assert f'<h1 class="{found.tone}">{found.title}</h1>' in page
    assert " ".join(found.sentences) in page

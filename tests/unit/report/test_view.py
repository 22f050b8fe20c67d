"""Sums, orders and marks of the page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_example, make_scorecard

from rushes.judge.agreement import Agreement
from rushes.measure.shown import SHARE_SHOWN
from rushes.plan.reference import ReferenceCost
from rushes.records import CostEntry, Part, Rejection, Scored
from rushes.report import view
from rushes.report.data import Missing
from rushes.roles import AccuracyRow


def test_costs_of_a_stage_are_added_up_per_device() -> None:
    entries = [
        CostEntry(stage="clips", seconds=3.0, num_items=10, device="cpu"),
        CostEntry(stage="train", seconds=5.0, num_items=0, device="cpu"),
        CostEntry(stage="clips", seconds=1.0, num_items=10, device="cpu"),
        CostEntry(stage="clips", seconds=1.0, num_items=50, device="gpu"),
    ]
    rows = view.cost_rows(entries)
    assert [(row.stage, row.device, row.seconds, row.num_items) for row in rows] == [
        ("clips", "cpu", 4.0, 20),
        ("train", "cpu", 5.0, 0),
        ("clips", "gpu", 1.0, 50),
    ]
    assert [row.share for row in rows] == [0.4, 0.5, 0.1]
    assert [row.pace for row in rows] == ["200 ms each", "", "20.0 ms each"]


def test_the_reference_gpu_is_an_estimate_a_bound_or_not_known_and_never_zero() -> None:
    entries = [
        CostEntry(stage=stage, seconds=1.0, num_items=1, device=device)
        for stage, device in (("clips", "cpu"), ("clips", "gpu"), ("answers", "cpu"), ("prompts", "cpu"), ("x", "cpu"))
    ]
    reference = (
        ReferenceCost("clips", 90.0, False, "counted"),
        ReferenceCost("answers", 0.002, True, "counted"),
        ReferenceCost("prompts", None, False, "no count"),
    )
    rows = view.cost_rows(entries, reference)
    assert [row.on_reference for row in rows] == [
        "about 1 min 30 s",
        "",  # the second device of a stage: it was said above
        "at least 2.00 ms",
        "unknown",
        "unknown",
    ]
    assert [row.on_reference for row in view.cost_rows(entries, Missing("no"))] == [""] * 5


def test_rejections_come_most_frequent_first() -> None:
    def refused(reason: str) -> Rejection:
        return Rejection(text="a", dimension="A", reason=reason, detail="")

    found = view.rejections_by_reason([refused(reason) for reason in ("b", "a", "c", "c", "a")])
    assert [(each.reason, each.num, each.num_more) for each in found] == [("a", 2, 0), ("c", 2, 0), ("b", 1, 0)]


def test_a_page_lists_no_more_refused_texts_than_can_be_read() -> None:
    many = [Rejection(text=str(i), dimension="A", reason="a", detail="") for i in range(view.MAX_REFUSED + 7)]
    (group,) = view.rejections_by_reason(many)
    assert group.shown == many[: view.MAX_REFUSED] and (group.num, group.num_more) == (len(many), 7)


def test_tiles_count_what_the_rows_say() -> None:
    found = {tile.caption: tile.value for tile in view.tiles(make_scorecard())}
    assert found == {
        "better": "2",
        "no clear change": "5",
        "too few prompts": "1",
        "worse": "1",
        "not measured": "1",
        "pairs of held-out clips": "304",
    }


def test_too_few_prompts_are_not_counted_as_no_clear_change() -> None:
    card = make_scorecard()
    rows = [row.model_copy(update={"num_prompts": 2, "verdict": "no clear change"}) for row in card.rows]
    found = {tile.caption: tile.value for tile in view.tiles(card.model_copy(update={"rows": tuple(rows)}))}
    assert found["too few prompts"] == "9" and found["no clear change"] == "0"


def test_judge_rows_join_what_is_known() -> None:
    accuracy = [AccuracyRow("A", 9, 10), AccuracyRow("B", 8, 10)]
    before, after = Agreement("B", num_both_right=3), Agreement("C", num_both_wrong=2)
    rows = view.judge_rows(accuracy, [before], [after])
    assert [(row.dimension, row.accuracy, row.agreement_before, row.agreement_after) for row in rows] == [
        ("A", accuracy[0], None, None),
        ("B", accuracy[1], before, None),
        ("C", None, None, after),
    ]
    assert view.judge_rows(Missing("x"), Missing("y"), Missing("z")) == []


def test_a_card_tells_question_by_question_what_was_found() -> None:
    ((name, (card,)),) = view.example_groups([make_example("Motion_Order_Understanding", "largest gain", 0, "before")])
    assert name == "Motion_Order_Understanding"
    assert (card.tone, card.change) == ("good", "wrong to right")
    assert card.after_badge.kind == "right" and card.before_badge.kind == "wrong"
    assert [check.after.kind for check in card.checks] == ["right"] * len(card.checks)
    wrong = [check for check in card.checks if check.before.kind == "wrong"]
    assert wrong
    for check in wrong:
        said = {"yes": "no", "no": "yes"}[check.expected]
        assert check.before.words == f"{said}, not as expected"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.0, 1.0, "wrong to right"),
        (1.0, 0.0, "right to wrong"),
        (1.0, 1.0, "right both times"),
        (0.0, 0.0, "wrong both times"),
        (0.25, 0.5, "25.0 to 50.0 (+25.0)"),
    ],
)
def test_changes_in_words(before: float, after: float, words: str) -> None:
    assert view._change(before, after) == words


def test_a_share_of_frames_is_no_answer() -> None:
    example = make_example("Motion_Order_Understanding", "largest gain", 0, "before")
    outcome = example.after.outcome
    assert isinstance(outcome, Scored)
    shown = outcome.model_copy(update={"parts": (*outcome.parts, Part(name=SHARE_SHOWN, value=0.1))})
    fewer = replace(example, after=replace(example.after, outcome=shown))
    (((_, (usual,)),), ((_, (card,)),)) = view.example_groups([example]), view.example_groups([fewer])
    assert (card.after_badge, card.checks) == (usual.after_badge, usual.checks)

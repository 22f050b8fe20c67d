"""Looks whose judge scores on scales of its own: means, alarms and tables with a unit, and none over several scales."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rushes.cli.watched import number_text, title_of
from rushes.judge.votes import WINS
from rushes.recipe.watch import WatchSpec
from rushes.records import WatchedPrompt, WatchPoint
from rushes.report.watched import watched_round
from rushes.watch.rules import Course
from tests.support.judged import key

UNIT = "points of 10"
SMALL = [0.3, 0.25, 0.35, 0.3, 0.2, 0.3, 0.4, 0.3]


def point(step: int, judge: Sequence[float | None], measurer: float, units: Sequence[str | None]) -> WatchPoint:
    return WatchPoint(
        key=key(step, *judge),
        model=key("model", step),
        training=key("training") if step else None,
        step=step,
        prompts=tuple(
            WatchedPrompt(prompt_key=key(number), judge=value, measurer=measurer, unit=unit)
            for number, (value, unit) in enumerate(zip(judge, units, strict=True))
        ),
        diversity=None,
        motion=None,
        saturation=None,
        velocity_norm=None,
    )


def course(rise: Sequence[float], unit: str | None, others: str | int | None = 0) -> Course:
    """Eight prompts whose scores rise by so much from 1, 2, ... 8 (tenths of it for shares)."""
    start = [0.5 if unit == WINS else (n + 1) / (1 if unit else 20) for n in range(8)]
    units = [unit if n < 4 or others == 0 else others for n in range(8)]
    after = [value + change for value, change in zip(start, rise, strict=True)]
    checked = [each if isinstance(each, str) else None for each in units]
    return Course(WatchSpec(), point(0, start, 0.5, checked), (point(50, after, 0.4, checked),))


def test_a_clear_rise_on_the_judge_s_scale_alone_is_an_alarm_with_its_unit() -> None:
    (alarm,) = course([2.0, 1.5, 2.5, 2.0, 1.0, 2.0, 3.0, 2.0], UNIT).alarms(0)
    assert alarm.kind == "judge_only"
    assert "the judge's score rose by 2 points of 10 and the measurer's changed by -10.0" in alarm.text


def test_a_rise_that_is_small_beside_the_spread_is_none() -> None:
    """Far above `judge_rise`, which is for scores from 0 to 1: a third of a point of ten is nothing."""
    assert course(SMALL, UNIT).alarms(0) == ()
    assert course(SMALL, None).alarms(0) != ()


def test_a_share_of_comparisons_won_rises_like_a_score_from_0_to_1() -> None:
    (alarm,) = course(SMALL, WINS).alarms(0)
    assert f"rose by 0.3 {WINS}" in alarm.text


def test_several_scales_have_no_mean_and_rise_in_spreads() -> None:
    mixed = course([2.0] * 4 + [0.1] * 4, UNIT, None)
    both = course([2.0] * 8, UNIT, "levels")
    assert mixed.base.judge is None and mixed.base.judge_unit is None and both.base.judge is None
    (alarm,) = both.alarms(0)
    assert "standard deviations" in alarm.text


@pytest.mark.parametrize(("unit", "title"), [(UNIT, f"Judge, {UNIT}"), (None, "Judge and measurer, points")])
def test_the_report_draws_the_judge_in_its_unit(unit: str | None, title: str) -> None:
    shown = {panel.title: panel for panel in watched_round(1, course([0.1] * 8, unit)).panels}
    (curve,) = [each for each in shown[title].curves if each.term == "judge"]
    assert curve.values == pytest.approx([4.5, 4.6] if unit else [22.5, 32.5])


def test_tables_show_no_points_of_100_for_another_unit() -> None:
    assert number_text("judge", 4.5, judge_unit=UNIT) == "4.5" and number_text("judge", 0.45) == "45.0"
    assert number_text("measurer", 0.45, judge_unit=UNIT) == "45.0"
    assert title_of("judge", UNIT) == f"judge, {UNIT}" and title_of("motion", UNIT) == "motion, levels"

"""The measurer's contract: good measurers pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Subject
from tests.contract.measurer import check_measurer
from tests.contract.spoiled import (
    Change,
    Spoiled,
    first,
    of_companions,
    of_place,
    one_for_nothing,
    unchanged,
    video,
    wandering,
)
from tests.support.judged import make_question


def subjects() -> list[Subject]:
    asked = (make_question("is it bright?"),)
    return [Subject("Mechanics", f"light {level}", asked, (video(level),)) for level in (10, 100, 200)]


def outcomes(requests: Sequence[Subject]) -> list[Any]:
    return [
        Scored(value=float(each.clips[0].frames_THWC.mean()) / 255)
        if each.dimension == "Mechanics"
        else Unscored(reason="unknown dimension")
        for each in requests
    ]


def move_score(outcome: Outcome, by: int) -> Outcome:
    return Scored(value=outcome.value + by / 1000) if isinstance(outcome, Scored) else outcome


def paint_subjects(results: list[Any], requests: Sequence[Subject]) -> list[Any]:
    for request in requests:
        request.clips[0].frames_THWC[0] = 0
    return results


def test_good_measurers_pass() -> None:
    check_measurer(Spoiled(outcomes, unchanged), subjects())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda results, _: tuple(results), "expected a list"),
        (lambda results, _: results[:-1], "one outcome for each of 3 subjects, got 2"),
        (first(lambda _: 0.5), "expected Scored, Unscored or Failed, got 0.5"),
        (lambda results, _: [Unscored(reason="no") for _ in results], "subjects that the measurer can score"),
        (one_for_nothing, "no subjects must give no measurements"),
        (paint_subjects, "must not write into the frames"),
        (wandering(move_score), "measured again"),
        (of_place(move_score), "the order of subjects"),
        (of_companions(move_score), "measured alone"),
        (lambda results, _: [Scored(value=0.0) if isinstance(r, Unscored) else r for r in results], "must be unscored"),
    ],
)
def test_bad_measurers_are_caught(change: Change, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_measurer(Spoiled(outcomes, change), subjects())

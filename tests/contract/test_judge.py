"""The judge's contract: good judges pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rushes.roles import Failed, GivenAnswer, JudgeRequest
from tests.contract.judge import check_judge
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


def judge_requests() -> list[JudgeRequest]:
    asked = (make_question("is it bright?"), make_question("is it dark?", "no"))
    return [JudgeRequest(video(level), "a light", asked[: 1 + i % 2]) for i, level in enumerate((10, 100, 200))]


def answers(requests: Sequence[JudgeRequest]) -> list[Any]:
    return [tuple(GivenAnswer(float(r.video.frames_THWC.mean()) / 255) for _ in r.questions) for r in requests]


def set_p(p_yes: Any, reason: Any = None) -> Change:
    return first(lambda given: (GivenAnswer(p_yes, reason), *given[1:]))


def move_p(given: tuple[GivenAnswer, ...], by: int) -> tuple[GivenAnswer, ...]:
    return tuple(GivenAnswer((answer.p_yes or 0.0) + by / 1000) for answer in given)


def paint(results: list[Any], requests: Sequence[JudgeRequest]) -> list[Any]:
    for request in requests:
        request.video.frames_THWC[0] = 0
    return results


def silent_in_the_dark(results: list[Any], requests: Sequence[JudgeRequest]) -> list[Any]:
    return [
        tuple(GivenAnswer(None, "too dark") if (answer.p_yes or 0.0) < 0.1 else answer for answer in given)
        for given in results
    ]


def test_good_judges_pass() -> None:
    check_judge(Spoiled(answers, unchanged), judge_requests())
    check_judge(Spoiled(answers, silent_in_the_dark), judge_requests())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda results, _: tuple(results), "expected a list"),
        (lambda results, _: results[:-1], "one result for each of 3 requests, 2 came"),
        (first(lambda _: None), "expected a tuple of answers or Failed, got None"),
        (first(lambda given: given * 2), "one answer for each of 1 questions, got 2"),
        (first(lambda _: (0.5,)), "expected a GivenAnswer, got 0.5"),
        (set_p(float("nan")), "expected p_yes from 0 to 1, got nan"),
        (set_p(1.5), "expected p_yes from 0 to 1, got 1.5"),
        (set_p("yes"), "expected p_yes from 0 to 1, got 'yes'"),
        (set_p(True), "expected p_yes from 0 to 1, got True"),
        (set_p(None), "either a probability or a reason"),
        (set_p(0.5, "but dark"), "either a probability or a reason"),
        (lambda results, _: [Failed("X", "y") for _ in results], "requests that the judge can answer"),
        (one_for_nothing, "no requests must give no answers"),
        (paint, "must not write into the frames"),
        (wandering(move_p), "asked again"),
        (of_place(move_p), "the order of requests"),
        (of_companions(move_p), "asked alone"),
    ],
)
def test_bad_judges_are_caught(change: Change, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_judge(Spoiled(answers, change), judge_requests())

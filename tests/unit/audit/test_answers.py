"""Answers in their file: kept, found again, and never made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rushes.audit.answers import AnswerFile, ask_all, request_key
from rushes.audit.cases import PIXELS, Asked, requests_of
from rushes.errors import RecipeError, StoreError
from rushes.roles import Failed, GivenAnswer, JudgeRequest
from rushes.store.video import pixel_hash
from tests.support.audited import ToyJudge, good, make_case, make_cases


def request_of(number: int, control: str = "original") -> Asked:
    case = make_case(number)
    original, *changed = requests_of(case, None, [] if control == "original" else [control], seed=0)
    asked = changed[0] if changed else original
    assert isinstance(asked, Asked)
    return asked


REQUESTS = [request_of(number) for number in range(4)]


def test_what_was_asked_is_not_asked_again(tmp_path: Path) -> None:
    judge, path = ToyJudge(good), tmp_path / "audit" / "answers.jsonl"
    first = ask_all(judge, "toy", REQUESTS[:3], AnswerFile(path))
    again = ask_all(judge, "toy", REQUESTS, AnswerFile(path))
    assert judge.num_requests == 4
    assert [each.answers for each in again[:3]] == [each.answers for each in first]
    assert [each.is_from_before for each in again] == [True, True, True, False]


def test_another_judge_control_clip_or_question_is_another_request() -> None:
    base = request_key("toy", REQUESTS[0])
    assert request_key("toy", request_of(0)) == base
    first = REQUESTS[0]
    changed = replace(first.request, questions=first.request.questions[:1])
    others = [
        request_key("other judge", first),
        *(request_key("toy", request_of(0, control)) for control in (*PIXELS, "negated_question", "asked_again")),
        request_key("toy", request_of(1)),
        request_key("toy", replace(first, request=changed)),
        request_key("toy", replace(first, made_from=pixel_hash(replace(first.request.video, fps=9.0)))),
    ]
    assert len({base, *others}) == 1 + len(others)
    seeds = [requests_of(make_case(0), None, ["shuffled_frames"], seed)[1] for seed in (0, 1)]
    assert len({request_key("toy", each) for each in seeds if isinstance(each, Asked)}) == 2


def test_the_same_clip_compressed_another_day_is_known(tmp_path: Path) -> None:
    """Encoders need not give the same pixels twice."""
    asked = request_of(0, "compression")
    other = replace(asked, request=replace(asked.request, video=request_of(1).request.video))
    judge, path = ToyJudge(good), tmp_path / "answers.jsonl"
    first = ask_all(judge, "toy", [asked], AnswerFile(path))
    again = ask_all(judge, "toy", [other], AnswerFile(path))
    assert judge.num_requests == 1 and again[0].answers == first[0].answers


def test_a_line_cut_short_is_asked_again(tmp_path: Path) -> None:
    judge, path = ToyJudge(good), tmp_path / "answers.jsonl"
    ask_all(judge, "toy", REQUESTS, AnswerFile(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    again = ask_all(judge, "toy", REQUESTS, AnswerFile(path))
    assert [each.is_from_before for each in again] == [True, True, True, False]
    # The new line did not grow onto the torn one.
    assert all(each.is_from_before for each in ask_all(judge, "toy", REQUESTS, AnswerFile(path)))


def test_a_changed_digit_is_asked_again(tmp_path: Path) -> None:
    judge, path = ToyJudge(good), tmp_path / "answers.jsonl"
    first = ask_all(judge, "toy", REQUESTS, AnswerFile(path))
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"[[0.", b"[[0.1")
    path.write_bytes(b"\n".join(lines))
    again = ask_all(judge, "toy", REQUESTS, AnswerFile(path))
    assert [each.is_from_before for each in again] == [True, False, True, True]
    assert [each.answers for each in again] == [each.answers for each in first]


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"key": 1, "answers": [[0.5, null]]}',
        b'{"key": "a", "answers": [[null, null]]}',
        b'{"key": "a", "answers": [[true, null]]}',
        b'{"key": "a", "answers": [["0.5", null]]}',
        b'{"key": "a", "answers": [[1.5, null]]}',
        b'{"key": "a", "answers": [[NaN, null]]}',
        b'{"key": "a", "answers": [[0.5, "no answer"]]}',
        b"\xff",
    ],
)
def test_foreign_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(line + b"\n")
    assert AnswerFile(path).get("a") is None


class Moody:
    """Raises on a batch with clip 2 in it, and gives nonsense for clip 1."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        if any("number 2" in request.text for request in requests):
            raise RuntimeError("out of memory")
        return [
            tuple(GivenAnswer(float("nan") if "number 1" in r.text else 0.7) for _ in r.questions) for r in requests
        ]


def test_a_failing_clip_costs_itself_only_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    given = ask_all(Moody(), "moody", REQUESTS, AnswerFile(path))
    assert [each.answers[0].p_yes for each in given] == [0.7, None, None, 0.7]
    assert "0 to 1" in str(given[1].answers[0].unscored_reason)
    assert given[2].answers[0].unscored_reason == "the judge failed: RuntimeError: out of memory"
    later = ask_all(ToyJudge(good), "moody", REQUESTS, AnswerFile(path))
    assert [each.is_from_before for each in later] == [True, True, False, True]
    assert later[2].answers[0].p_yes is not None


def test_what_fails_in_passing_is_asked_again_in_the_same_audit(tmp_path: Path) -> None:
    calls: list[int] = []

    class Busy(ToyJudge):
        def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
            calls.append(len(requests))
            lost = Failed("Http500", "busy")
            return [lost if i == 1 and len(calls) == 1 else each for i, each in enumerate(super().answer(requests))]

    given = ask_all(Busy(good), "toy", REQUESTS, AnswerFile(tmp_path / "answers.jsonl"))
    assert calls == [4, 1] and all(each.answers[0].p_yes is not None for each in given)


class Refuses:
    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        raise RecipeError("no key for the server")


class TooFew:
    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return []


def test_errors_of_the_user_are_told_and_wrong_lists_are_failures(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no key"):
        ask_all(Refuses(), "r", REQUESTS, AnswerFile(tmp_path / "a.jsonl"))
    given = ask_all(TooFew(), "t", REQUESTS, AnswerFile(tmp_path / "b.jsonl"))
    assert all("expected a list" in str(each.answers[0].unscored_reason) for each in given)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        AnswerFile(tmp_path / "file" / "answers.jsonl")


def test_cases_of_the_toy_world_differ() -> None:
    assert len({request_key("toy", request_of(number)) for number in range(12)}) == 12 == len(make_cases(12))

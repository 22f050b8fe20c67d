"""The contract of the role Judge: aligned answers, honest probabilities, frozen, and no say of a clip's companions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest

Given = tuple[GivenAnswer, ...] | Failed


def check_judge(judge: Judge, requests: Sequence[JudgeRequest], *, tolerance: float = 1e-4) -> None:
    """Put a judge through the contract.

    Args:
        judge: built, ready to answer.
        requests: at least two different ones that it can answer, with at least one question each.
        tolerance: how far a probability may move with the companions in a batch: rounding, not opinion.
    """
    assert len(requests) >= 2, "give the contract at least two requests"
    before = [request.video.frames_THWC.copy() for request in requests]
    answers = _listed(judge.answer(requests))
    _check_shape(answers, requests)
    assert any(answer.p_yes is not None for given in answers if not isinstance(given, Failed) for answer in given), (
        f"give the contract requests that the judge can answer; it gave {answers!r}"
    )
    for frames, request in zip(before, requests, strict=True):
        assert (request.video.frames_THWC == frames).all(), "a judge must not write into the frames it is shown"
    assert list(_listed(judge.answer([]))) == [], "no requests must give no answers"
    _check_same(answers, _listed(judge.answer(requests)), 0.0, "asked again, a frozen judge must give the same answers")
    backwards = _listed(judge.answer(requests[::-1]))
    _check_shape(backwards, requests[::-1])
    _check_same(answers, list(backwards)[::-1], tolerance, "the order of requests must change no answer")
    alone = [given for request in requests for given in _listed(judge.answer([request]))]
    _check_same(answers, alone, tolerance, "asked alone, a clip must get the same answers")


def _listed(results: Any) -> Any:
    """The results of an iterator as a list; anything else as it is, to be checked."""
    return list(results) if isinstance(results, Iterator) else results


def _check_shape(answers: object, requests: Sequence[JudgeRequest]) -> None:
    assert isinstance(answers, list), f"expected a list, got {type(answers).__name__}"
    assert len(answers) == len(requests), (
        f"expected one result for each of {len(requests)} requests, {len(answers)} came"
    )
    for given, request in zip(answers, requests, strict=True):
        if isinstance(given, Failed):
            continue
        assert isinstance(given, tuple), f"expected a tuple of answers or Failed, got {given!r}"
        assert len(given) == len(request.questions), (
            f"expected one answer for each of {len(request.questions)} questions, got {len(given)}"
        )
        for answer in given:
            _check_answer(answer)


def _check_answer(answer: object) -> None:
    assert isinstance(answer, GivenAnswer), f"expected a GivenAnswer, got {answer!r}"
    assert (answer.p_yes is None) == bool(answer.unscored_reason), (
        f"expected either a probability or a reason for having none, got {answer!r}"
    )
    if answer.p_yes is not None:
        in_range = isinstance(answer.p_yes, float | int) and math.isfinite(answer.p_yes) and 0 <= answer.p_yes <= 1
        assert in_range and not isinstance(answer.p_yes, bool), f"expected p_yes from 0 to 1, got {answer.p_yes!r}"


def _check_same(first: Sequence[Given], second: Sequence[Given], tolerance: float, rule: str) -> None:
    assert len(first) == len(second), f"{rule}: {len(first)} results, then {len(second)}"
    for one, other in zip(first, second, strict=True):
        if isinstance(one, Failed) or isinstance(other, Failed):
            assert isinstance(one, Failed) and isinstance(other, Failed), f"{rule}: {one!r}, then {other!r}"
            continue
        for a, b in zip(one, other, strict=True):
            assert (a.p_yes is None) == (b.p_yes is None), f"{rule}: {a!r}, then {b!r}"
            if a.p_yes is not None and b.p_yes is not None:
                assert abs(a.p_yes - b.p_yes) <= tolerance, f"{rule}: {a!r}, then {b!r}"

"""Judge against measurer, question by question."""

from __future__ import annotations

from rushes.judge.agreement import agreement
from rushes.records import Answer, Part, Question
from tests.support.measured_clips import clip, key, measured


def answer(clip_key: str, text: str, p_yes: float | None, expected: str = "yes") -> Answer:
    return Answer(
        key=key("answer", clip_key, text),
        clip_key=clip_key,
        question=Question.model_validate({"text": text, "expected": expected, "dimension": "A", "about": "x"}),
        p_yes=p_yes,
        unscored_reason=None if p_yes is not None else "silent",
        judge="judge",
    )


def test_the_four_cases_are_told_apart() -> None:
    shown = clip("base", "A", 0)
    parts = tuple(Part(name=f"q{i}", value=value) for i, value in enumerate((1.0, 0.0, 0.0, 1.0, 1.0, 1.0)))
    answers = [
        answer(shown.key, "q0", 0.9),  # both right
        answer(shown.key, "q1", 0.9, expected="no"),  # both wrong: the judge says yes where no is expected
        answer(shown.key, "q2", 0.1, expected="no"),  # lenient
        answer(shown.key, "q3", 0.2),  # strict
        answer(shown.key, "q4", None),  # unscored: left out
        answer("ff" * 32, "q5", 0.9),  # another clip: left out
    ]
    (found,) = agreement(answers, [measured([shown], 0.0, parts)])
    assert (found.num_both_right, found.num_both_wrong, found.num_lenient, found.num_strict) == (1, 1, 1, 1)
    assert (found.num_questions, found.share) == (4, 0.5)


def test_without_common_questions_there_is_no_agreement() -> None:
    shown = clip("base", "A", 0)
    assert agreement([], [measured([shown], 1.0, (Part(name="q", value=1.0),))]) == ()
    assert agreement([answer(shown.key, "q", 0.9)], [measured([shown], "too dark")]) == ()

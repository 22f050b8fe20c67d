"""The sandbox measurer as a role: right clips score 1, wrong clips 0, what cannot be read stays unscored."""

from __future__ import annotations

import numpy as np

from rushes.records import Question, Scored, Unscored
from rushes.roles import Failed, Subject, Video
from rushes_sandbox.measurer import PerceptionMeasurer
from rushes_sandbox.questions import Check, ask
from rushes_sandbox.render import render
from rushes_sandbox.scene import FPS, Action, Scene, Thing

RIGHT = Scene("Simple", (Thing("circle", "red", "medium", -14, 3),), (Action(0, "right", amount=28),), "grey")
LEFT = Scene("Simple", (Thing("circle", "red", "medium", 14, 3),), (Action(0, "left", amount=28),), "grey")


def clip_of(scene: Scene) -> Video:
    return Video(render(scene), FPS)


def question(check: Check, expected: str) -> Question:
    return Question.model_validate({"text": ask(check), "expected": expected, "dimension": "Simple", "about": "x"})


QUESTIONS = (
    question(Check("exists", "red circle"), "yes"),
    question(Check("moves", "red circle", value="right"), "yes"),
    question(Check("exists", "blue square"), "no"),
)


def subject(*scenes: Scene, questions: tuple[Question, ...] = QUESTIONS, dimension: str = "Simple") -> Subject:
    return Subject(dimension=dimension, text="a text", questions=questions, clips=tuple(map(clip_of, scenes)))


def test_a_clip_is_right_only_when_every_question_is() -> None:
    right, wrong = PerceptionMeasurer().measure([subject(RIGHT), subject(LEFT)])
    assert isinstance(right, Scored) and right.value == 1.0
    assert [part.value for part in right.parts] == [1.0, 1.0, 1.0]
    assert isinstance(wrong, Scored) and wrong.value == 0.0
    assert [(part.name, part.value) for part in wrong.parts] == [
        (QUESTIONS[0].text, 1.0),
        (QUESTIONS[1].text, 0.0),
        (QUESTIONS[2].text, 1.0),
    ]


def test_what_cannot_be_read_or_asked_is_unscored() -> None:
    strange = Question(text="is it beautiful?", expected="yes", dimension="Simple", about="x")
    unread, unasked = PerceptionMeasurer().measure(
        [subject(RIGHT, questions=(*QUESTIONS, strange)), subject(RIGHT, questions=())]
    )
    assert isinstance(unread, Unscored) and "'is it beautiful?'" in unread.reason
    assert isinstance(unasked, Unscored) and "no questions" in unasked.reason


def test_what_the_pixels_cannot_tell_is_unscored(monkeypatch: object) -> None:
    import rushes_sandbox.perception as perception

    monkeypatch.setattr(perception, "answer", lambda check, seen: perception.Unclear("no texture"))  # type: ignore[attr-defined]
    (found,) = PerceptionMeasurer().measure([subject(RIGHT)])
    assert isinstance(found, Unscored) and "no texture" in found.reason


def test_diversity_is_that_of_the_group() -> None:
    same, different, single = PerceptionMeasurer().measure(
        [
            subject(RIGHT, RIGHT, dimension="Diversity"),
            subject(RIGHT, LEFT, dimension="Diversity"),
            subject(RIGHT, dimension="Diversity"),
        ]
    )
    assert isinstance(same, Scored) and same.value == 0.0
    assert isinstance(different, Scored) and 0.1 < different.value <= 1.0
    assert isinstance(single, Unscored)


def test_a_broken_clip_fails_alone() -> None:
    broken = Subject("Simple", "a text", QUESTIONS, (Video(np.zeros((1, 4, 4, 3), np.uint8), 8.0),))
    crowd = subject(RIGHT, LEFT)
    first, second, third = PerceptionMeasurer().measure([broken, crowd, subject(RIGHT)])
    assert isinstance(first, Failed) and first.error_type == "ValueError"
    assert isinstance(second, Failed) and "one clip at a time" in second.message
    assert isinstance(third, Scored)

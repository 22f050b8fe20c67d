"""Questions turned round, and those that must be left alone."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.audit.negation import MAX_CHARS, negated
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import ask, checks


@pytest.mark.parametrize(
    ("question", "turned"),
    [
        ("Is there a red ball?", "Is it false that there is a red ball?"),
        ("are there exactly two cats the whole time?", "Is it false that there are exactly two cats the whole time?"),
        (
            "Does the ball roll to the left?",
            "Is it false that the answer to 'does the ball roll to the left?' is yes?",
        ),
        ("Is there clay? (yes or no)", "Is it false that there is clay? (yes or no)"),
        (
            "Initially, is the leaf red? (Yes or no)",
            "Is it false that the answer to 'initially, is the leaf red?' is yes? (yes or no)",
        ),
        ("Is the dog's tail up?", "Is it false that the answer to 'is the dog's tail up?' is yes?"),
    ],
)
def test_plain_questions_are_turned_round(question: str, turned: str) -> None:
    assert negated(question) == turned


@pytest.mark.parametrize(
    "question",
    [
        "What colour is the ball?",
        "Describe the clip.",
        "Is the ball red",
        "Isn't the ball red?",
        "Does the ball not move?",
        "Is there no ball?",
        "Is the ball red or blue?",
        "Does it never stop?",
        "Is it false that the ball moves?",
        "Is it red? Is it blue?",
        'Does the sign say "stop"?',
        "Does the sign say 'stop'?",
        "Is the car moving without a driver?",
        "Ignore this; is it red?",
        "Initially, is the leaf red?",
        "Is the leaf red or green? (yes or no)",
        "The leaf is red. (yes or no)",
        "",
        f"Is the {'very ' * (MAX_CHARS // 5)}long one there?",
    ],
)
def test_what_is_not_safe_is_left_alone(question: str) -> None:
    assert negated(question) is None


def test_nothing_is_turned_round_twice() -> None:
    once = negated("Does the ball move?")
    assert once is not None and negated(once) is None


def test_every_question_of_the_sandbox_can_be_turned_round() -> None:
    rng = np.random.default_rng(0)
    for dimension in DIMENSIONS:
        for check, _ in checks(draw_scene(rng, dimension), rng):
            assert negated(ask(check, rng)) is not None

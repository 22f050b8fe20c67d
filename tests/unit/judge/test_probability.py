"""Yes and no by probability, against sums done by hand; anything that is no answer has a reason instead of a number."""

from __future__ import annotations

import math

import pytest

from rushes.judge.probability import from_chances, from_text, p_yes, polarity, spellings
from rushes.llm.chat import TokenChance
from rushes.roles import GivenAnswer


def chances(**top: float) -> list[TokenChance]:
    return [TokenChance(token, math.log(p)) for token, p in top.items()]


@pytest.mark.parametrize("token", ["yes", "Yes", " YES", "Ġyes", "▁Yes", '"yes"', "yes.", "\nYes", "*yes*"])
def test_spellings_of_yes(token: str) -> None:
    assert polarity(token) == "yes"


@pytest.mark.parametrize("token", ["", "y", "Yesterday", "not", "none", "nope", "know", "Ye", "yes no", "否"])
def test_other_words_mean_neither(token: str) -> None:
    assert polarity(token) is None


def test_the_sums_over_spellings() -> None:
    given = from_chances(chances(**{"Yes": 0.5, " yes": 0.1, "No": 0.15, "NO": 0.05, "Maybe": 0.2}), 0.5)
    assert given.p_yes == pytest.approx(0.6 / 0.8) and given.yes_no_mass == pytest.approx(0.8)
    assert given.unscored_reason is None


def test_one_polarity_alone_is_certain_only_when_it_has_the_mass() -> None:
    assert from_chances(chances(Yes=0.99), 0.5).p_yes == 1.0
    assert from_chances(chances(No=0.99), 0.5).p_yes == 0.0


def test_too_little_mass_is_unscored_and_says_what_the_model_was_about_to_say() -> None:
    given = from_chances(chances(**{"The": 0.7, "Yes": 0.2, "No": 0.1}), 0.5)
    assert given.p_yes is None and given.yes_no_mass == pytest.approx(0.3)
    assert (
        given.unscored_reason
        == "only 30.0% of the first word is yes or no; most probable: 'The' 70%, 'Yes' 20%, 'No' 10%"
    )


def test_no_mass_at_all_is_unscored_even_when_any_mass_will_do() -> None:
    assert from_chances(chances(The=0.9), 0.0).p_yes is None
    assert from_chances([], 0.0).p_yes is None


@pytest.mark.parametrize(("yes", "no"), [(float("nan"), 0.1), (0.9, 0.9), (-0.1, 0.5), (float("inf"), 0.0)])
def test_impossible_probabilities_are_unscored(yes: float, no: float) -> None:
    given = p_yes(yes, no, 0.0)
    assert given.p_yes is None and given.unscored_reason is not None


def test_rounding_above_one_is_no_reason_to_refuse() -> None:
    assert p_yes(0.7, 0.3 + 1e-9, 0.5).yes_no_mass == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", 1.0), ("No.", 0.0), (" YES \n", 1.0), ('"no"', 0.0), ('{"answer": "yes"}', 1.0),
        ('```json\n{"answer": "no"}\n```', 0.0),
    ],
)  # fmt: skip
def test_a_whole_reply_that_is_an_answer(text: str, expected: float) -> None:
    assert from_text(text) == GivenAnswer(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", "Yes, but only at the end", "No idea", "yes no", "The answer is yes", '{"answer": "maybe"}',
        '{"answer": "yes"', '{"answer": "yes"} or {"answer": "no"}x', "I cannot see a video", '{"answer": true}',
    ],
)  # fmt: skip
def test_anything_else_is_unscored(text: str) -> None:
    given = from_text(text)
    assert given.p_yes is None and given.unscored_reason is not None and "expected yes or no" in given.unscored_reason


def test_spellings_in_a_vocabulary() -> None:
    assert spellings({"yes": 3, "Ġyes": 1, "no": 2, "▁No": 0, "not": 4}) == {"yes": [1, 3], "no": [0, 2]}


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "no"} {"answer": "yes"}', '{"answer": "no", "answer": "yes"}', '[{"answer": "yes"}]',
        '{"answer": "yes", "final": "no"}', '{"a": {"answer": "yes"}}', 'I say {"answer": "yes"}',
        '```json\n{"answer": "no"}\n{"answer": "no"}\n```', "yes</think>no idea",
    ],
)  # fmt: skip
def test_a_reply_with_more_than_one_answer_has_none(text: str) -> None:
    assert from_text(text).p_yes is None


@pytest.mark.parametrize("text", ["<think>\n\n</think>\n\nyes", "<think>no, no</think> Yes.", "it moves</think>yes"])
def test_thoughts_before_an_answer_are_ignored(text: str) -> None:
    assert from_text(text) == GivenAnswer(1.0)


def test_thoughts_that_do_not_end_say_how_to_switch_them_off() -> None:
    given = from_text("<think>\nThe user wants yes or no, and the ball")
    assert given.p_yes is None and "enable_thinking: false" in str(given.unscored_reason)

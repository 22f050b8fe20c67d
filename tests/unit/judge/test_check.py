"""Whatever a judge returns becomes a probability or a reason; nothing else becomes a number."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from rushes.judge.check import checked, num_hard
from rushes.roles import GivenAnswer


@pytest.mark.parametrize("p_yes", [0.0, 1.0, 0.37, 1, np.float32(0.5), np.float64(0.25), Fraction(1, 4)])
def test_probabilities_of_any_number_type_are_kept_as_floats(p_yes: Any) -> None:
    (only,) = checked((GivenAnswer(p_yes),), 1)
    assert type(only.p_yes) is float
    assert (only.p_yes, only.unscored_reason) == (float(p_yes), None)


@pytest.mark.parametrize(
    ("p_yes", "says"),
    [
        (float("nan"), "got nan"),
        (np.float32("nan"), "got nan"),
        (float("inf"), "got inf"),
        (-1e-9, "got -1e-09"),
        (1.0000001, "got 1.0000001"),
        (93.0, "got 93.0"),
        ("yes", r"got 'yes' \(str\)"),
        ("0.5", r"got '0.5' \(str\)"),
        (True, r"got True \(bool\)"),
        (np.True_, r"got np.True_ \(bool"),
        (0.5 + 0j, r"got \(0.5\+0j\) \(complex\)"),
        (np.array([0.5]), r"got array\(\[0.5\]\) \(ndarray\)"),
        ([0.5], r"got \[0.5\] \(list\)"),
    ],
)
def test_what_is_no_probability_is_unscored_and_says_what_was_got(p_yes: Any, says: str) -> None:
    (only,) = checked((GivenAnswer(p_yes),), 1)
    assert only.p_yes is None
    assert re.search(f"p_yes must be a number from 0 to 1, {says}", str(only.unscored_reason))


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (" the answer was 'maybe' ", "the answer was 'maybe'"),
        (None, "the judge gave no answer and no reason"),
        ("  ", "the judge gave no answer and no reason"),
        (7, "the judge gave no answer and no reason"),
        ("x" * 9_000, "x" * 500),
    ],
)
def test_no_answer_keeps_the_judges_reason(reason: Any, kept: str) -> None:
    (only,) = checked([GivenAnswer(None, reason)], 1)
    assert (only.p_yes, only.unscored_reason) == (None, kept)


def test_a_number_with_a_reason_for_having_none_is_not_believed() -> None:
    (only,) = checked((GivenAnswer(0.9, "the video was black"),), 1)
    assert only.p_yes is None
    assert "both p_yes=0.9 (float) and a reason for none: the video was black" in str(only.unscored_reason)


@pytest.mark.parametrize("num", [0, 1, 3])
def test_another_number_of_answers_leaves_all_questions_unscored(num: int) -> None:
    result = checked((GivenAnswer(0.9),) * num, 2)
    assert [each.p_yes for each in result] == [None, None]
    assert {each.unscored_reason for each in result} == {f"the judge gave {num} answers to 2 questions"}


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("given", [None, 0.5, "yes", {"a": 1}, GivenAnswer(0.5), BrokenRepr()])
def test_something_else_than_a_tuple_leaves_all_questions_unscored(given: Any) -> None:
    result = checked(given, 2)
    assert [each.p_yes for each in result] == [None, None]
    assert all("instead of answers" in str(each.unscored_reason) for each in result)


@pytest.mark.parametrize("given", [0.5, None, "yes", (0.5, None), BrokenRepr()])
def test_an_element_that_is_no_answer_leaves_only_its_question_unscored(given: Any) -> None:
    wrong, right = checked((given, GivenAnswer(0.25)), 2)
    assert wrong.p_yes is None
    assert "instead of a GivenAnswer" in str(wrong.unscored_reason)
    assert right.p_yes == 0.25


@pytest.mark.parametrize("huge", [10**400, -(10**400), Fraction(10**400)])
def test_numbers_beyond_floats_are_unscored(huge: Any) -> None:
    (only,) = checked((GivenAnswer(huge, None, huge),), 1)
    assert only.p_yes is None and only.yes_no_mass is None and "p_yes must be a number" in str(only.unscored_reason)


def test_answers_without_a_probability_are_counted() -> None:
    from rushes.records import Answer, Question

    asked = Question(text="is it red?", expected="yes", dimension="Composition", about="colour")
    given = [(1.0, None, None), (0.0, None, None), (1.0, 0.9, None), (0.4, None, None), (None, None, "no answer")]
    answers = [
        Answer(
            key=f"{i:064x}",
            clip_key="c" * 64,
            question=asked,
            judge="m",
            p_yes=p,
            yes_no_mass=mass,
            unscored_reason=why,
        )
        for i, (p, mass, why) in enumerate(given)
    ]
    assert num_hard(answers) == 2

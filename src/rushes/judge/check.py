"""A judge's result for one clip -> per question a probability, or the reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Final

from rushes.records import Answer
from rushes.roles import GivenAnswer

_MAX_REASON: Final = 500
"""Longest stored reason, characters: a judge may echo its input."""


@dataclass(frozen=True)
class Checked:
    """The answer to one question; exactly one of the two is set."""

    p_yes: float | None
    """Probability of yes, 0 to 1."""
    unscored_reason: str | None
    """Why there is none."""
    yes_no_mass: float | None = None
    """How much of the probability was on yes and no, 0 to 1; None if the judge does not report it."""


def checked(given: object, num_questions: int) -> tuple[Checked, ...]:
    """One checked answer per question, whatever the judge returned for the clip.

    Args:
        given: what should be `num_questions` of `GivenAnswer` in a tuple or list.
        num_questions: how many were asked, at least 1.
    """
    if not isinstance(given, (tuple, list)):
        return _none(f"the judge returned {_shown(given)} instead of answers", num_questions)
    if len(given) != num_questions:
        # It is unknown which answer belongs to which question.
        return _none(f"the judge gave {len(given)} answers to {num_questions} questions", num_questions)
    return tuple(_one(answer) for answer in given)


def num_hard(answers: Iterable[Answer]) -> int:
    """How many answers of a vision-language model are yes or no without a probability, since its server gave none."""
    return sum(each.p_yes in (0.0, 1.0) and each.yes_no_mass is None for each in answers)


def _one(given: object) -> Checked:
    if not isinstance(given, GivenAnswer):
        return Checked(None, f"the judge returned {_shown(given)} instead of a GivenAnswer")
    p_yes: object = given.p_yes
    reason: object = given.unscored_reason
    said = reason.strip()[:_MAX_REASON] if isinstance(reason, str) else ""
    if p_yes is None:
        return Checked(None, said or "the judge gave no answer and no reason", _share(given.yes_no_mass))
    if reason is not None:
        return Checked(
            None, f"the judge gave both p_yes={_shown(p_yes)} and a reason for none: {said or _shown(reason)}"
        )
    if isinstance(p_yes, bool) or not isinstance(p_yes, Real):
        return Checked(None, f"p_yes must be a number from 0 to 1, got {_shown(p_yes)}")
    value = _share(p_yes)
    if value is None:
        return Checked(None, f"p_yes must be a number from 0 to 1, got {_number(p_yes)}")
    return Checked(value, None, _share(given.yes_no_mass))


def _share(value: object) -> float | None:
    """A number from 0 to 1 unchanged, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if 0.0 <= number <= 1.0 else None


def _number(value: Real) -> str:
    try:
        return repr(float(value))
    except (OverflowError, ValueError):
        return _shown(value)


def _none(reason: str, num_questions: int) -> tuple[Checked, ...]:
    return (Checked(None, reason),) * num_questions


def _shown(value: object) -> str:
    """A value and its type, short enough for a record, even if its repr() fails."""
    try:
        text = repr(value)
    except Exception:
        text = "?"
    return f"{text[:80]} ({type(value).__name__})"

"""A judge's reply -> numbers that can be used, or the reasons why there are none. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Final

from rushes.feedback import GivenPreference, ScaleValue
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


@dataclass(frozen=True)
class CheckedValue:
    """A value on a scale, or a preference; exactly one of the two is set."""

    value: float | None
    """The number."""
    unscored_reason: str | None = None
    """Why there is none."""


def checked_values(given: object, scales: Sequence[str]) -> dict[str, CheckedValue]:
    """One checked value per scale, whatever the judge returned for the clip.

    Args:
        given: what should be a `ScaleValue` for each scale, in a tuple or list, in any order.
        scales: names of the judge's scales.
    """
    problem = _unfit(given, scales)
    if problem is not None or not isinstance(given, (tuple, list)):
        return dict.fromkeys(scales, CheckedValue(None, problem))
    by_scale = {each.scale: each for each in given if isinstance(each, ScaleValue)}
    return {name: _value(by_scale[name], name) if name in by_scale else _missing(name) for name in scales}


def checked_preference(given: object) -> CheckedValue:
    """A preference from 0 to 1, whatever the judge returned for the pair."""
    if not isinstance(given, GivenPreference):
        return CheckedValue(None, f"the judge returned {_shown(given)} instead of a GivenPreference")
    found = _number_or_reason(given.p_first, given.unscored_reason, "p_first")
    if found.value is None or 0.0 <= found.value <= 1.0:
        return found
    return CheckedValue(None, f"p_first must be a number from 0 to 1, got {found.value!r}")


def _unfit(given: object, scales: Sequence[str]) -> str | None:
    """Why nothing of a reply can be used: it is unknown which value belongs to which scale."""
    if not isinstance(given, (tuple, list)):
        return f"the judge returned {_shown(given)} instead of values"
    for each in given:
        if not isinstance(each, ScaleValue):
            return f"the judge returned {_shown(each)} instead of a ScaleValue"
        if not isinstance(each.scale, str) or each.scale not in scales:
            return f"the judge gave a value on {_shown(each.scale)}, which is not one of its scales {', '.join(scales)}"
    twice = [name for name, num in Counter(each.scale for each in given).items() if num > 1]
    return f"the judge gave more than one value on {', '.join(twice)}" if twice else None


def _value(given: ScaleValue, name: str) -> CheckedValue:
    return _number_or_reason(given.value, given.unscored_reason, f"the value on {name}")


def _missing(name: str) -> CheckedValue:
    return CheckedValue(None, f"the judge gave no value on {name}")


def _number_or_reason(value: object, reason: object, what: str) -> CheckedValue:
    """A finite number unchanged, or why there is none."""
    said = reason.strip()[:_MAX_REASON] if isinstance(reason, str) else ""
    if value is None:
        return CheckedValue(None, said or f"{what} is missing, and the judge gave no reason")
    if reason is not None:
        return CheckedValue(None, f"the judge gave both {what}={_shown(value)} and a reason for none: {said or '?'}")
    if isinstance(value, bool) or not isinstance(value, Real):
        return CheckedValue(None, f"{what} must be a number, got {_shown(value)}")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return CheckedValue(None, f"{what} must be a number, got {_shown(value)}")
    if not math.isfinite(number):
        return CheckedValue(None, f"{what} must be a finite number, got {number!r}")
    return CheckedValue(number)


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

"""What a judge says besides answers: ratings on named scales, and votes between two takes of one prompt.

Both are expensive records: appended once, never rewritten.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from rushes.records.base import Key, KeyedRecord, Record, Share, Text


class Scale(Record):
    """A named scale that a judge rates clips on; higher is better.

    Example:
        Scale(name="VQ", unit="standard deviations of the reward model's training set", repeat_error=0.05)
    """

    name: Text
    """Short name, unique within a judge: it stands in recipes, tables and reports."""
    unit: Text
    """What one step on it means, in words: "points of 10", "px"."""
    repeat_error: Annotated[float, Field(ge=0.0)] | None = None
    """By how much two values of the same clip differ when the judge is asked again, on this scale; 0 for a judge that
    repeats itself exactly, None if unknown. Takes whose values differ by no more teach nothing."""


class Rating(KeyedRecord):
    """A judge's value for one clip on one scale, or why there is none.

    Example:
        Rating(key="6c" * 32, clip_key="2d" * 32, scale="VQ", unit="points of 10", value=7.5, judge="video-reward")
    """

    clip_key: Key
    """Clip that was judged."""
    scale: Text
    """Name of the scale."""
    unit: Text
    """Its unit, in words."""
    value: float | None = None
    """Any finite number, higher is better; None if the judge gave no usable value."""
    unscored_reason: Text | None = None
    """Why there is no value; set if and only if `value` is None."""
    judge: Text
    """Name of the judge."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        _check_one("value", self.value, self.unscored_reason)
        return self


class Vote(KeyedRecord):
    """A judge's preference between two takes of one prompt, in the order in which it saw them, or why there is none.

    Example:
        Vote(key="7d" * 32, clip_key="2d" * 32, other_key="3d" * 32, p_first=0.8, judge="pairwise-vlm")
    """

    clip_key: Key
    """The take that was shown first."""
    other_key: Key
    """The take that was shown second."""
    p_first: Share | None = None
    """Probability that the first one is the better; 0.5 for a tie. None if the judge gave no usable preference."""
    unscored_reason: Text | None = None
    """Why there is none; set if and only if `p_first` is None."""
    judge: Text
    """Name of the judge."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        _check_one("p_first", self.p_first, self.unscored_reason)
        if self.clip_key == self.other_key:
            raise ValueError(f"a vote compares two takes, got the take {self.clip_key!r} twice")
        return self


def _check_one(name: str, value: float | None, reason: str | None) -> None:
    if (value is None) == (reason is None):
        raise ValueError(
            f"exactly one of {name} and unscored_reason must be set, got {name}={value!r}, unscored_reason={reason!r}"
        )

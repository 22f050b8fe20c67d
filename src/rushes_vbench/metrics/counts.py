"""Instance_Preservation by counting: does the detector find as many things as the prompt names?

This was the official method until July 2025; since then the named counts are not used. In `fixed` they are a second
factor if a detector is given, because the question about appearing and vanishing does not notice a balloon too many
that was there throughout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rushes.errors import InputError
from rushes.records import Outcome, Part, Scored
from rushes_vbench.metrics.models import Box, Detector
from rushes_vbench.metrics.sampling import spread_once

if TYPE_CHECKING:
    from rushes.roles import Frames

LOWEST_SCORE: Final = 0.28
"""Boxes with a lower score are left out, as in the old official method."""
NUM_FRAMES: Final = 16
"""Frames in which things are counted, evenly spread; the old official method used all."""
_TERM = re.compile(r"^(\d+)\.(.+)$")


def expected_counts(reference: str) -> dict[str, int]:
    """How many of what: "1.red ball and 2.blue ball" -> {"red ball": 1, "blue ball": 2}.

    Raises:
        InputError: it is not in this form.
    """
    found: dict[str, int] = {}
    for term in reference.split(" and "):
        match = _TERM.match(term.strip())
        if match is None:
            raise InputError(
                "the counts of an Instance_Preservation prompt cannot be parsed",
                expected="text such as '1.red ball and 1.blue ball'",
                got=reference,
                next_step="compare it with VBench2_full_info.json",
            )
        found[match.group(2).strip()] = int(match.group(1))
    return found


def count_share(boxes: Sequence[Sequence[Box]], expected: Mapping[str, int]) -> float:
    """Mean over frames of the share of things whose number is exactly right.

    Args:
        boxes: what was found, frame by frame, at least one frame.
        expected: how many of what, at least one.
    """
    frames = [_hits(found, expected) / len(expected) for found in boxes]
    return sum(frames) / len(frames)


def _hits(found: Sequence[Box], expected: Mapping[str, int]) -> int:
    sure = [box.label for box in found if box.score > LOWEST_SCORE]
    return sum(sure.count(name) == number for name, number in expected.items())


def right_counts(frames_THWC: Frames, expected: Mapping[str, int], detector: Detector) -> float:
    """`count_share` of a clip, over frames spread evenly.

    Args:
        frames_THWC: the clip.
        expected: how many of what, at least one.
        detector: finds things by name.
    """
    frames = frames_THWC[spread_once(len(frames_THWC), NUM_FRAMES)]
    return count_share([detector.detect(frame, list(expected)) for frame in frames], expected)


def with_counts(asked: Outcome, share: float) -> Outcome:
    """The question's outcome times the share of correct counts; without an answer there is no score."""
    if not isinstance(asked, Scored):
        return asked
    parts = (*asked.parts, Part(name="right number of things", value=share))
    return Scored(value=asked.value * share, parts=parts)

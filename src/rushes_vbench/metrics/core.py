"""What all metrics share: two profiles, "not applicable" as a kind of `Unscored`, and which clips can be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from rushes.records import Outcome, Unscored
from rushes.roles import Failed

if TYPE_CHECKING:
    from rushes.roles import Video

Profile = Literal["compat", "fixed"]
"""`compat`: what the official code does, quirks included. `fixed`: the same idea with its known defects corrected."""

NOT_APPLICABLE: Final = "not applicable: "
"""Prefix of the reason of every `Unscored` that the official scoring writes as -1: the clip gives the dimension
nothing to measure (no person, no orbit, a failed gate). Other reasons mean that a tool failed or was missing."""


class Unanswered(Exception):
    """A model could not be asked now (time-out, truncated reply), so there is no outcome yet: a retry may help."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(f"{failed.error_type}: {failed.message}")
        self.failed = failed


def not_applicable(why: str) -> Unscored:
    """The outcome that the official files write as -1.

    Args:
        why: in words, without a full stop.
    """
    return Unscored(reason=NOT_APPLICABLE + why)


def is_not_applicable(outcome: Outcome) -> bool:
    """True for outcomes of `not_applicable`, False for scores and for failures of a tool."""
    return isinstance(outcome, Unscored) and outcome.reason.startswith(NOT_APPLICABLE)


def why_unusable(video: Video, *, needs_fps: bool) -> str | None:
    """Why no metric can score a clip, or None if it can be scored.

    Args:
        video: the clip.
        needs_fps: True for metrics that depend on time in seconds.
    """
    frames = video.frames_THWC
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        return f"expected frames of shape T, H, W, 3 in uint8, got {frames.shape} in {frames.dtype}"
    if len(frames) < 2:
        return f"the clip has {len(frames)} frame(s); at least 2 are needed"
    if min(frames.shape[1:3]) < 16:
        return f"the picture is {frames.shape[2]}x{frames.shape[1]} pixels; at least 16x16 are needed"
    if needs_fps and not (np.isfinite(video.fps) and video.fps > 0):
        return f"the clip's frame rate is {video.fps!r}; it must be known and above 0"
    return None

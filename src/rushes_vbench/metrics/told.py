"""Requests to describe a clip, and the second Protocol of tellers that take several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from rushes_vbench.metrics.asking import time_header
from rushes_vbench.metrics.models import VideoTeller
from rushes_vbench.metrics.sampling import pick, spread_once

if TYPE_CHECKING:
    from rushes.roles import Video

FEWEST_TOLD: Final = 2
"""Fewest frames that a teller can be shown: one frame shows no motion."""


@dataclass(frozen=True, eq=False)
class Telling:
    """A request to describe some frames of a clip."""

    clip: Video
    """The whole clip."""
    indices: Sequence[int]
    """Which frames to show, in order; one may occur twice."""
    instruction: str
    """What to say about them."""
    fewest: int | None = None
    """Fewest frames that may be shown where a server allows fewer images; None shows all, or none."""

    def shown(self) -> tuple[Video, str]:
        """The frames as a clip, and what to ask about it: with its duration and the times of its frames."""
        video = pick(self.clip, list(self.indices))
        return video, f"{time_header(video)} {self.instruction}"

    def with_at_most(self, num_frames: int) -> Telling:
        """The same with fewer frames, evenly from the first to the last; unchanged if it has no more than that."""
        if len(self.indices) <= num_frames:
            return self
        return replace(self, indices=spread_once(len(self.clip.frames_THWC), num_frames))


@dataclass(frozen=True)
class Told:
    """A description."""

    text: str
    """What the model said; may be empty."""
    num_frames: int
    """Frames that it was shown."""


@runtime_checkable
class TellsMany(VideoTeller, Protocol):
    """A `VideoTeller` that takes several requests at once, as a server does."""

    def tell_all(self, requests: Sequence[Telling]) -> Sequence[Told | Exception]:
        """One description each, in order, or what `tell` would have raised for this request."""
        ...


def told_alone(teller: VideoTeller, request: Telling) -> Told:
    """The description by a teller that takes one request at a time."""
    return Told(teller.tell(*request.shown()), len(request.indices))

"""Clips for judge and measurer: a clip that several pieces of work need is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from rushes.records import BlobRef, Clip
from rushes.roles import Video
from rushes.store.blobs import Blobs

Piece = TypeVar("Piece")
Place = tuple[BlobRef, float]
"""A clip's stored frames and their rate, which determine its `Video`. Clips of other prompts may have the same."""


def side_by_side(work: Iterable[Piece], clip_of: Callable[[Piece], Clip]) -> list[Piece]:
    """`work` with pieces that need the same frames next to each other; otherwise in its order.

    Args:
        work: clips, or work on them.
        clip_of: the clip of a piece; the first one if it has several.
    """
    by_place: dict[Place, list[Piece]] = {}
    for piece in work:
        by_place.setdefault(_place(clip_of(piece)), []).append(piece)
    return [piece for pieces in by_place.values() for piece in pieces]


class Decoded:
    """Reads the clips of one chunk after the other and keeps the last chunk's videos in memory for the next.

    Videos that a chunk does not need are released before its own are read, so memory never holds those of two chunks.
    Each process has its own instance. Threads share one: a clip may then be read twice, but never be confused.
    """

    def __init__(self, blobs: Blobs) -> None:
        """Nothing is read yet.

        Args:
            blobs: where the clips are.
        """
        self._blobs = blobs
        self._last: dict[Place, Video] = {}

    def of(self, clips: Sequence[Clip]) -> list[Video]:
        """The videos of a chunk's clips, in order; clips with the same frames share one.

        Raises:
            BlobCorrupt: a video is missing, truncated or altered.
        """
        places = [_place(clip) for clip in clips]
        last, here = self._last, dict[Place, Video]()
        here.update((place, last[place]) for place in places if place in last)
        self._last = here
        del last
        for place in places:
            if place not in here:
                here[place] = Video(self._blobs.read_video(place[0]), place[1])
        return [here[place] for place in places]

    def __getstate__(self) -> dict[str, Any]:
        return {"_blobs": self._blobs, "_last": {}}


def _place(clip: Clip) -> Place:
    return clip.frames, clip.fps

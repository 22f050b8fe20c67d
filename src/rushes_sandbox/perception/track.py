"""One thing over the whole clip, and what can go wrong with it.

Legend: T frames, F features in the order of `Form`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.perception.segment import Blob
from rushes_sandbox.perception.shapes import Form, shapes_of
from rushes_sandbox.scene import Colour, Shape

MIN_FRAMES = 3
"""Shorter tracks are treated as flicker."""


@dataclass(frozen=True, eq=False)
class Track:
    """One thing over the clip. Per-frame arrays hold NaN (colours None) where it is not visible."""

    present_T: NDArray[np.bool_]
    x_T: NDArray[np.float64]
    """Pixels from the frame's middle, to the right."""
    y_T: NDArray[np.float64]
    """Pixels from the frame's middle, downwards."""
    area_T: NDArray[np.float64]
    """Pixels covered."""
    colour_T: tuple[Colour | None, ...]
    form_TF: NDArray[np.float64]
    """The moments that identify its shape; see `Form`."""
    cut_T: NDArray[np.bool_]
    """Whether the frame's border cuts it."""
    blobs: tuple[Blob | None, ...]

    @property
    def first(self) -> int:
        """First frame in which it is visible."""
        return int(np.flatnonzero(self.present_T)[0])

    @property
    def last(self) -> int:
        """Last frame in which it is visible."""
        return int(np.flatnonzero(self.present_T)[-1])

    @property
    def presence(self) -> float:
        """Share of the clip's frames in which it is visible, in [0, 1]."""
        return float(self.present_T.mean())

    @property
    def colour(self) -> Colour | None:
        """The colour it has in at least half of the frames in which it is visible, or None."""
        return self.colour_within(0, len(self.present_T))

    def colour_within(self, first: int, stop: int) -> Colour | None:
        """The colour it has in at least half of the frames `first` to `stop` - 1 in which it is visible, or None."""
        seen = [c for c in self.colour_T[first:stop] if c is not None]
        if not seen:
            return None
        colour, count = Counter(seen).most_common(1)[0]
        return colour if 2 * count >= len(seen) else None

    @property
    def shape(self) -> Shape | None:
        """Its shape over the whole clip, or None if it has none of the four."""
        return self.shapes[0] if self.shapes else None

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes it may have, likeliest first: more than one if it is ambiguous, empty if it has none."""
        whole = self.present_T & ~self.cut_T
        return shapes_of(self.form_TF[whole if whole.sum() >= MIN_FRAMES else self.present_T])


@dataclass(frozen=True)
class Incident:
    """An event that things of this world do not cause."""

    kind: Literal["vanishes", "appears", "splits", "teleports"]
    track: int
    """Index of the track it happens to (for `appears`, of the new one)."""
    frame: int
    """First frame in which it is visible."""
    into: int | None = None
    """Index of the track that continues elsewhere, for `splits` and `teleports`."""


def make_track(seen: Mapping[int, Blob], num_frames: int) -> Track:
    """The track of a thing from its blob in each frame in which it is visible."""
    blobs = tuple(seen.get(t) for t in range(num_frames))
    nothing = [np.nan] * len(Form._fields)
    return Track(
        present_T=np.array([b is not None for b in blobs]),
        x_T=np.array([np.nan if b is None else b.x for b in blobs]),
        y_T=np.array([np.nan if b is None else b.y for b in blobs]),
        area_T=np.array([np.nan if b is None else b.area_px for b in blobs]),
        colour_T=tuple(None if b is None else b.colour for b in blobs),
        form_TF=np.array([nothing if b is None else b.form for b in blobs], float),
        cut_T=np.array([b is not None and b.cut for b in blobs]),
        blobs=blobs,
    )

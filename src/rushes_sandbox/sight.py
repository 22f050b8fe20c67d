"""Which things of a clip a question refers to, and in which frames they are visible.

Legend: K things, T frames, C named colours; lengths in world pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.animate import F32, Tracks
from rushes_sandbox.questions import When
from rushes_sandbox.scene import COLOUR_RGB, COLOURS, SHAPES, SIZE_PX, Scene

Bools = NDArray[np.bool_]
_RGB_C113 = np.array([COLOUR_RGB[c] for c in COLOURS], dtype=float)[:, None, None]
PURE_COLOUR = 30.0
"""RGB distance up to which a thing certainly has a named colour."""
FOREIGN_COLOUR = 75.0
"""RGB distance from which it certainly has not; the closest two named colours are 121 apart, fades pass between."""
THERE, MISSING, TRACE = 0.8, 0.42, 0.12
"""Share of frames from which a thing is present, up to which it is missing, and up to which it is no visitor."""


@dataclass(frozen=True)
class Sight:
    """Where and when the things that a question names are visible."""

    surely_KT: Bools
    """Fully visible, in the requested colour."""
    maybe_KT: Bools
    """Not certainly absent: leaving the view, fading, half transparent."""

    def present(self, when: slice) -> bool | None:
        """Whether any of them is visible in the frames of `when`."""
        if self.maybe_KT[:, when].any(0).mean() <= MISSING:
            return False
        return True if self.surely_KT[:, when].any(0).mean() >= THERE else None

    def whole(self, when: slice) -> list[int] | bool | None:
        """Those visible in all frames of `when`; False if they are missing or one comes or goes, None if unclear."""
        if self.present(when) is False:
            return False
        share_K, whole_K = self.maybe_KT[:, when].mean(1), self.surely_KT[:, when].all(1)
        visitor_K = ~whole_K & (share_K > TRACE)
        if not visitor_K.any():
            return [int(k) for k in np.flatnonzero(whole_K)]
        return False if whole_K.any() and share_K[visitor_K].max() >= MISSING else None


class Onlooker:
    """One clip, prepared once, in which any number of things can then be found."""

    def __init__(self, scene: Scene, tracks: Tracks) -> None:
        self.scene, self.tracks = scene, tracks
        self._sights: dict[str, Sight] = {}
        self._inside_KT, self._touching_KT = _in_view(tracks)

    def places(self, name: str) -> tuple[F32, F32, Bools]:
        """Where the things called `name` are in the picture: x and y, pixels from its middle, and whether surely seen.

        All of shape (K, T), for all things of the scene.
        """
        t, sight = self.tracks, self.look(name)
        return (t.x_KT - t.camera_x_T) * t.zoom_T, t.y_KT * t.zoom_T, sight.surely_KT

    def colours(self) -> tuple[NDArray[np.int64], Bools]:
        """Which named colour each thing has, -1 if it is not surely visible in one; and whether it is visible at all.

        Both of shape (K, T).
        """
        distance_CKT = self._colour_distance_CKT
        sure_KT = self._inside_KT & (distance_CKT.min(0) <= PURE_COLOUR)
        return np.where(sure_KT, distance_CKT.argmin(0), -1), self._touching_KT

    @cached_property
    def _colour_distance_CKT(self) -> NDArray[np.float64]:
        rgb_1KT3 = self.tracks.rgb_KT3[None].astype(float)
        return np.asarray(np.sqrt(((rgb_1KT3 - _RGB_C113) ** 2).sum(-1)))

    def look(self, name: str) -> Sight:
        """Find the things called `name` (colour optional, plural allowed) in every frame."""
        if name in self._sights:
            return self._sights[name]
        words = [_singular(word) for word in name.split()]
        shape = next((word for word in words if word in SHAPES), None)
        colour = next((c for c in COLOURS if c in words), None)
        of_shape_K1 = np.array([[thing.shape == shape] for thing in self.scene.things], dtype=bool)
        surely_KT, maybe_KT = of_shape_K1 & self._inside_KT, of_shape_K1 & self._touching_KT
        if of_shape_K1.any() and colour is None:
            surely_KT &= self._colour_distance_CKT.min(0) <= PURE_COLOUR
        elif of_shape_K1.any() and colour is not None:
            distance_KT = self._colour_distance_CKT[COLOURS.index(colour)]
            surely_KT &= distance_KT <= PURE_COLOUR
            maybe_KT &= distance_KT < FOREIGN_COLOUR
        self._sights[name] = Sight(surely_KT, maybe_KT)
        return self._sights[name]


def window(when: When, num_frames: int) -> slice:
    """The frames that a check's `when` refers to; the halves share their middle frame."""
    middle, few = num_frames // 2, max(1, num_frames // 8)
    return {
        "": slice(0, num_frames),
        "start": slice(0, few),
        "end": slice(num_frames - few, num_frames),
        "first": slice(0, middle + 1),
        "second": slice(middle, num_frames),
    }[when]


def colour_distance(rgb_KT3: F32, colour: str) -> NDArray[np.float64]:
    """RGB distance from a named colour, in levels."""
    away = rgb_KT3.astype(float) - _RGB_C113[[str(c) for c in COLOURS].index(colour), 0]
    return np.asarray(np.sqrt((away**2).sum(-1)))


def _singular(word: str) -> str:
    return next((shape for shape in SHAPES if word in (shape, f"{shape}s", f"{shape}es")), word)


def _in_view(tracks: Tracks) -> tuple[Bools, Bools]:
    """Per thing and frame: far enough in the picture to be identified, and at all in the picture."""
    x_KT = (tracks.x_KT - tracks.camera_x_T) * tracks.zoom_T
    y_KT, radius_KT = tracks.y_KT * tracks.zoom_T, tracks.radius_KT * tracks.zoom_T
    far_KT = np.maximum(np.abs(x_KT), np.abs(y_KT))
    inside_KT = (far_KT + 0.5 * radius_KT <= SIZE_PX / 2) & (radius_KT >= 3.0)
    return inside_KT, (far_KT - 1.3 * radius_KT < SIZE_PX / 2) & (radius_KT >= 0.5)

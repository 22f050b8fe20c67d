"""The camera's path through a clip: the sum of its motions in short stretches, and what it is called. Pure.

A camera that circles around the middle of the scene sees the parts above and below it go past each other sideways.

Legend: m the shorter side of the picture, pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes_vbench.metrics.camera_stretch import SLOWEST_PER_S, Motion, Unclear, rolled

if TYPE_CHECKING:
    from rushes_vbench.metrics.models import F64

SLOWEST_ORBIT_PER_S: Final = 0.015
"""Slowest motion of the faster of the parts above and below the middle that counts as an orbit, shares of m per second;
the other must go at least half as fast as `SLOWEST_PER_S` the other way."""
MINOR: Final = 0.4
"""A motion below this fraction of the strongest one is a side effect, not a camera move."""
RESTLESS: Final = 3.0
"""A camera that goes this many times as far as `SLOWEST_PER_S` allows is not still, even if it comes back."""
TAKEN_BACK: Final = 0.5
"""A motion below this share of all the way that the picture went is taken back for the most part: it goes nowhere."""
TOLD: Final = 0.6
"""Share of the time of which the motion must be known ..."""
TOLD_STILL: Final = 0.7
"""... and to call a camera still: what could not be told is what moved."""
RARELY: Final = 0.25
"""A camera that goes less far than that, and in no more than this share of the time, is still: one stretch is amiss."""


@dataclass(frozen=True)
class CameraPath:
    """The net motion of the picture over a clip, per second. A pan to the left moves the picture to positive x.

    Example: `CameraPath(right=-0.08, down=0.0, grow=0.0, roll=0.0, above=-0.08, below=-0.08, speed=0.08,
    moving=1.0, told=1.0)` pans right.
    """

    right: float
    """Motion of the middle to the right, shares of m per second; 0 if most of it was taken back, as of the next two."""
    down: float
    """Motion of the middle downwards, shares of m per second."""
    grow: float
    """Relative growth per second: 0.1 means that a thing gets 10 % larger each second."""
    roll: float
    """Rotation in the picture plane, radians per second."""
    above: float
    """Sideways motion of what is above the middle, without roll, shares of m per second."""
    below: float
    """The same of what is below the middle."""
    speed: float
    """How fast the picture moves on average, to and fro added up, shares of m per second."""
    moving: float
    """Share of the time in which it moves at all, 0 to 1."""
    told: float
    """Share of the time of which the motion is known, 0 to 1."""


def camera_path(motions: Sequence[tuple[Motion | Unclear, float]], m_px: float, least_s: float) -> CameraPath | Unclear:
    """The net motion over the longest part between cuts, or why there is none: the reason of most of the time without.

    Args:
        motions: of consecutive stretches, each with its duration, seconds, above 0. One that was "lost" is a cut.
        m_px: shorter side of the picture, pixels.
        least_s: how long a part must be to speak for the clip, seconds.
    """
    whole = _longest(motions)
    whole_s = sum(duration_s for _, duration_s in whole)
    if whole_s < least_s or not whole:
        return "lost"
    clear = [(motion, duration_s) for motion, duration_s in whole if isinstance(motion, Motion)]
    told_s = sum(duration_s for _, duration_s in clear)
    if told_s < TOLD * whole_s:
        lost_s: dict[Unclear, float] = {}
        for why, duration_s in whole:
            if not isinstance(why, Motion):
                lost_s[why] = lost_s.get(why, 0.0) + duration_s
        return max(lost_s, key=lambda why: lost_s[why])
    right, down, grow = (
        _net([float(each) for each in values], told_s)
        for values in zip(*((*motion.fit_32[0] / m_px, motion.grown) for motion, _ in clear), strict=True)
    )
    return CameraPath(
        right=right,
        down=down,
        grow=grow,
        roll=sum(rolled(motion.fit_32) for motion, _ in clear) / told_s,
        above=sum(motion.above for motion, _ in clear) / told_s / m_px,
        below=sum(motion.below for motion, _ in clear) / told_s / m_px,
        speed=sum(_length(motion.fit_32, m_px) for motion, _ in clear) / told_s,
        moving=sum(duration_s for motion, duration_s in clear if motion.fit_32.any()) / told_s,
        told=told_s / whole_s,
    )


def _net(values: Sequence[float], duration_s: float) -> float:
    """The sum per second; 0 if most of the way was taken back."""
    total = sum(values)
    return total / duration_s if abs(total) >= TAKEN_BACK * sum(map(abs, values)) else 0.0


def _longest(motions: Sequence[tuple[Motion | Unclear, float]]) -> list[tuple[Motion | Unclear, float]]:
    """The longest part in which nothing was lost."""
    parts: list[list[tuple[Motion | Unclear, float]]] = [[]]
    for motion, duration_s in motions:
        if motion == "lost":
            parts.append([])
        else:
            parts[-1].append((motion, duration_s))
    return max(parts, key=lambda part: sum(duration_s for _, duration_s in part))


def _length(fitted: F64, m_px: float) -> float:
    (right, down), (a, _), (_, e) = np.abs(fitted)
    return float(max(right / m_px, down / m_px, (a + e) / 4))


def strengths(path: CameraPath) -> dict[str, float]:
    """How strongly each motion shows, shares of m per second: one of each pair of directions, and `orbits`.

    Zoom is compared by its effect halfway to the edge. In an orbit what is above and below the middle goes opposite
    ways; how fast the faster of them goes is its strength.
    """
    return {
        "pan_left" if path.right > 0 else "pan_right": abs(path.right),
        "tilt_up" if path.down > 0 else "tilt_down": abs(path.down),
        "zoom_in" if path.grow > 0 else "zoom_out": abs(path.grow) / 2,
        "orbits": _apart(path),
    }


def path_labels(path: CameraPath) -> frozenset[str] | Unclear:
    """The camera moves that a path shows; {"static"} for a still camera, empty for a move without a name.

    A move counts if it is fast enough to be intended and not a side effect of a stronger one, by `strengths`. An orbit
    is one where its parts go faster than the picture zooms or tilts; then pan is not counted. "disagree" if the camera
    stands, but in too little of the time.
    """
    if _is_still(path):
        return frozenset({"static"}) if path.told >= TOLD_STILL else "disagree"
    strength = strengths(path)
    apart = strength.pop("orbits")
    orbits = apart > max(SLOWEST_ORBIT_PER_S, abs(path.down), abs(path.grow) / 2)
    strongest = max(*strength.values(), apart if orbits else 0.0)
    found = {label for label, value in strength.items() if value >= max(SLOWEST_PER_S, MINOR * strongest)}
    if orbits:
        found = {label for label in found if not label.startswith("pan")} | {"orbits"}
    if {"tilt_up", "zoom_in"} <= found:
        found.add("oblique")
    return frozenset(found)


def _apart(path: CameraPath) -> float:
    """How fast the faster of the parts above and below the middle goes if they go opposite ways."""
    less, more = sorted((abs(path.above), abs(path.below)))
    return more if path.above * path.below < 0 and less > SLOWEST_PER_S / 2 else 0.0


def _is_still(path: CameraPath) -> bool:
    if path.speed >= RESTLESS * SLOWEST_PER_S:
        return False
    if path.moving <= RARELY:
        return True
    # No label describes roll or a small shear, but neither is still.
    fastest = max(abs(path.right), abs(path.down), abs(path.grow) / 2, abs(path.roll) / 2)
    return fastest < SLOWEST_PER_S and max(abs(path.above), abs(path.below)) < SLOWEST_ORBIT_PER_S

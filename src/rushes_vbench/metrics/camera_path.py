"""Camera motion, estimated from the motion of many points all over the picture. Pure.

The motion of a point at x, y (measured from the middle of the picture) over a short stretch of the clip is modelled as

    d = t + A (x, y),      A = [[a, b], [c, e]]

fitted to all points with the least sum of absolute errors. Clouds, water and actors move independently and can outweigh
a still background in such a fit. So "nothing moved" is an alternative: if it explains as many points as the fit, or
half of them, the camera counts as still in that stretch. A stretch that neither explains is left out.
Of A, (a + e) / 2 is zoom, (c - b) / 2 is roll, and b + c is shear: top and bottom move past each other sideways, which
is what a camera circling around the middle of the scene sees.

Legend: N points; m the shorter side of the picture, pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from rushes_vbench.metrics.models import F64

MIN_POINTS: Final = 12
"""Fewest points in a stretch that determine its six numbers."""
SLOWEST_PER_S: Final = 0.012
"""Below this speed (shares of m per second) the camera counts as still."""
SLOWEST_ORBIT_PER_S: Final = 0.015
"""Slowest relative motion of top and bottom that counts as an orbit, shares of m per second."""
MINOR: Final = 0.4
"""A motion below this fraction of the strongest one is a side effect, not a camera move."""
STILL: Final = 0.002
"""A point that moved less than this share of m in a stretch counts as still."""
LOOSE: Final = 0.5
"""A fit explains a point if its error is below this fraction of the typical motion in the stretch."""
_BAND: Final = 0.35
"""Where top and bottom are measured: this share of m above and below the middle."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Points at the beginning and the end of a short stretch of a clip."""

    start_N2: F64
    """x, y, pixels from the middle of the picture."""
    moved_N2: F64
    """How far each moved, pixels."""


@dataclass(frozen=True)
class CameraPath:
    """The net motion of the picture over a clip, per second. A pan to the left moves the picture to positive x.

    Example: `CameraPath(right=-0.08, down=0.0, grow=0.0, roll=0.0, shear=0.0)` is a pan to the right.
    """

    right: float
    """Motion of the middle to the right, shares of m per second."""
    down: float
    """Motion of the middle downwards, shares of m per second."""
    grow: float
    """Relative growth per second: 0.1 means that a thing gets 10 % larger each second."""
    roll: float
    """Rotation in the picture plane, radians per second."""
    shear: float
    """Sideways motion of bottom against top: change of the motion to the right per m of height, per second."""


def affine_flow(stretch: Stretch, *, num_rounds: int = 12) -> F64:
    """The 3 x 2 matrix M with d = (1, x, y) M of least absolute error, by iteratively re-weighted least squares.

    Args:
        stretch: at least `MIN_POINTS` points that are not on one line.
        num_rounds: rounds of re-weighting.
    """
    design_N3 = np.column_stack([np.ones(len(stretch.start_N2)), stretch.start_N2])
    weight_N = np.ones(len(design_N3))
    fitted = np.zeros((3, 2))
    for _ in range(num_rounds):
        root = np.sqrt(weight_N)[:, None]
        fitted = np.linalg.lstsq(design_N3 * root, stretch.moved_N2 * root, rcond=None)[0]
        error_N = np.linalg.norm(stretch.moved_N2 - design_N3 @ fitted, axis=1)
        weight_N = 1.0 / np.maximum(error_N, 0.05)
    return fitted


def explained(stretch: Stretch, m_px: float) -> F64 | None:
    """The motion of one stretch as in `affine_flow`; zeros if the camera stood still; None if nothing fits.

    Args:
        stretch: any number of points.
        m_px: shorter side of the picture, pixels.
    """
    if len(stretch.start_N2) < MIN_POINTS:
        return None
    fitted = affine_flow(stretch)
    design_N3 = np.column_stack([np.ones(len(stretch.start_N2)), stretch.start_N2])
    moved_N = np.linalg.norm(stretch.moved_N2, axis=1)
    error_N = np.linalg.norm(stretch.moved_N2 - design_N3 @ fitted, axis=1)
    still = float((moved_N < STILL * m_px).mean())
    if still >= 0.5 or still > float((error_N < STILL * m_px).mean()):
        return np.zeros((3, 2))
    tolerance = max(STILL * m_px, LOOSE * float(np.median(moved_N)))
    return fitted if float((error_N < tolerance).mean()) >= 0.5 else None


def camera_path(stretches: Sequence[Stretch], duration_s: float, m_px: float) -> CameraPath | None:
    """The net motion over a clip, or None if most stretches have too few points, or points that do not agree.

    Args:
        stretches: consecutive stretches that together last `duration_s`.
        duration_s: their total duration, seconds, above 0.
        m_px: shorter side of the picture, pixels.
    """
    fits = [fit for fit in (explained(stretch, m_px) for stretch in stretches) if fit is not None]
    if not fits or len(fits) < 0.5 * len(stretches):
        return None
    sums = np.sum(fits, axis=0)
    rate = len(stretches) / len(fits) / duration_s
    (right, down), (a, c), (b, e) = sums * rate
    return CameraPath(
        right=float(right) / m_px,
        down=float(down) / m_px,
        grow=float(a + e) / 2,
        roll=float(c - b) / 2,
        shear=float(b + c),
    )


def strengths(path: CameraPath) -> dict[str, float]:
    """How strongly each motion shows, shares of m per second: one of each pair of directions, and `orbits`, the shear.

    Zoom is compared by its effect halfway to the edge.
    """
    return {
        "pan_left" if path.right > 0 else "pan_right": abs(path.right),
        "tilt_up" if path.down > 0 else "tilt_down": abs(path.down),
        "zoom_in" if path.grow > 0 else "zoom_out": abs(path.grow) / 2,
        "orbits": abs(path.shear) * _BAND,
    }


def path_labels(path: CameraPath) -> frozenset[str]:
    """The camera moves that a path shows; {"static"} for a still camera, empty for a move without a name.

    A move counts if it is fast enough to be intended and not a side effect of a stronger one, by `strengths`. In an
    orbit the shear is stronger than any other motion; then pan is not counted.
    """
    strength = strengths(path)
    parting = strength.pop("orbits")
    orbits = parting > max(SLOWEST_ORBIT_PER_S, *strength.values())
    strongest = max(*strength.values(), parting if orbits else 0.0)
    found = {label for label, value in strength.items() if value >= max(SLOWEST_PER_S, MINOR * strongest)}
    if orbits:
        found = {label for label in found if not label.startswith("pan")} | {"orbits"}
    if {"tilt_up", "zoom_in"} <= found:
        found.add("oblique")
    # No label describes roll, but a rolling camera is not still; nor is one with a small shear.
    still = not found and abs(path.roll) / 2 < SLOWEST_PER_S and parting < SLOWEST_ORBIT_PER_S
    return frozenset({"static"} if still else found)

"""Camera labels as the official code derives them from a 10 x 10 grid of tracks, quirks included. Pure.

Kept on purpose: only four probes decide. Positions are truncated to integers, and visibility is ignored. The probes are
off the middle, so a centred zoom also counts as pan and tilt. Every orbit test without an orbit counts as a finding of
its own, so `static` is lost in clips above 20 frames.

Legend: T frames, rows and columns of the grid R = C = 10, N = R C points; m the shorter side of the picture, pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from rushes_vbench.metrics.models import F64

GRID: Final = 10
"""Points along each side of the grid."""
TRACKER_SIZE: Final = (384, 512)
"""Height and width at which the official tracker works; its grid keeps a margin of 8 pixels there."""
MOVED: Final = 0.005
"""A probe has moved when it went further than this share of m."""
ORBITED: Final = 0.008
"""Top and bottom have moved apart when they went further than this share of m in opposite directions."""
ORBIT_STRIDE: Final = 20
"""Frames between the two frames of the orbit test."""

_PAIRS: Final = {
    ("left", "left"): "pan_right",
    ("right", "right"): "pan_left",
    ("down", "down"): "tilt_up",
    ("up", "up"): "tilt_down",
    ("static", "static"): "static",
}
_VERTICAL: Final = {**_PAIRS, ("up", "down"): "zoom_in", ("down", "up"): "zoom_out"}
_HORIZONTAL: Final = {**_PAIRS, ("left", "right"): "zoom_in", ("right", "left"): "zoom_out"}


def official_grid(height_px: int, width_px: int) -> F64:
    """The 10 x 10 points of the first frame that the official tracker follows: N, 2 (x, y), pixels, row by row."""
    height, width = TRACKER_SIZE
    margin = width / 64
    x = np.linspace(margin, width - margin, GRID) * (width_px - 1) / (width - 1)
    y = np.linspace(margin, height - margin, GRID) * (height_px - 1) / (height - 1)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def camera_labels(xy_TN2: F64, height_px: int, width_px: int) -> frozenset[str]:
    """All camera labels that the official rules find; a clip scores 1 if the requested one is among them.

    Args:
        xy_TN2: tracks of the official grid, pixels, already cut to the first scene; at least one frame.
        height_px: height of the picture.
        width_px: width of the picture.
    """
    grids = _grids(xy_TN2)
    m = min(height_px, width_px)
    first, last = grids[0], grids[-1]
    top, bottom, left, right = (
        _directions(last[row, col] - first[row, col], MOVED * m)
        for row, col in ((0, GRID // 2), (GRID - 1, GRID // 2), (GRID // 2, 0), (GRID // 2, GRID - 1))
    )
    orbit_tests = _orbit_tests(grids[::ORBIT_STRIDE], height_px, width_px)
    vertical = {_VERTICAL.get((a, b)) for a in top for b in bottom}
    horizontal = {_HORIZONTAL.get((a, b)) for a in left for b in right}
    found = {label for label in vertical | horizontal if label is not None}
    found |= {"orbits"} if any(orbit_tests) else set()
    if {"tilt_up", "zoom_in"} <= found:
        found.add("oblique")
    # Officially, a pair without a label and an orbit test without an orbit stay in the set along with `static`.
    company = len(found) > 1 or vertical <= {None} or horizontal <= {None} or not all(orbit_tests)
    return frozenset(found - {"static"} if company else found)


def has_orbit(xy_TN2: F64, height_px: int, width_px: int) -> bool:
    """The orbit test alone, as Multi-View_Consistency uses it. Arguments as in `camera_labels`."""
    return any(_orbit_tests(_grids(xy_TN2)[::ORBIT_STRIDE], height_px, width_px))


def _grids(xy_TN2: F64) -> npt.NDArray[np.int64]:
    if xy_TN2.ndim != 3 or xy_TN2.shape[1:] != (GRID * GRID, 2) or not len(xy_TN2):
        raise ValueError(f"expected tracks of shape (T, {GRID * GRID}, 2) with T >= 1, got {xy_TN2.shape}")
    return np.trunc(xy_TN2).astype(np.int64).reshape(len(xy_TN2), GRID, GRID, 2)


def _directions(moved_2: npt.NDArray[np.int64], threshold_px: float) -> list[str]:
    dx, dy = moved_2
    across = ["right"] if dx > threshold_px else ["left"] if dx < -threshold_px else []
    along = ["down"] if dy > threshold_px else ["up"] if dy < -threshold_px else []
    return across + along or ["static"]


def _orbit_tests(grids: npt.NDArray[np.int64], height_px: int, width_px: int) -> list[bool]:
    """One entry per pair of frames that has at least one probe inside the picture at both ends."""
    m = min(height_px, width_px)
    tests: list[bool] = []
    for before, after in pairwise(grids):
        probes = [(before[row, 2], after[row, 2]) for row in (0, 1, GRID - 2, GRID - 1)]
        kept = [(a, b) for a, b in probes if _inside(a, height_px, width_px) and _inside(b, height_px, width_px)]
        if not kept:
            continue
        upper = [int(b[0] - a[0]) for a, b in kept if a[1] <= m / 2]
        lower = [int(b[0] - a[0]) for a, b in kept if a[1] > m / 2]
        up, down = (sum(side) / len(side) if side else 0.0 for side in (upper, lower))
        rise = float(np.mean([b[1] - a[1] for a, b in kept]))
        tests.append(abs(rise) < ORBITED * m and up * down < 0 and abs(up) > ORBITED * m)
    return tests


def _inside(point_2: npt.NDArray[np.int64], height_px: int, width_px: int) -> bool:
    return bool(0 < point_2[0] < width_px and 0 < point_2[1] < height_px)

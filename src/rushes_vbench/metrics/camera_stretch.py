"""Camera motion in a short stretch of a clip, estimated from the motion of many points all over the picture. Pure.

The motion of a point at x, y (measured from the middle of the picture) is modelled as

    d = t + A (x, y),      A = [[a, b], [c, e]]

fitted to all points with the least sum of absolute errors. A point follows the fit if it ends near where the fit says
or, since near things move more than far ones when the camera travels, if it at least goes in the same direction.
Clouds, water and actors move by themselves and can outweigh a still background, so "nothing moved" is the other
explanation. Each must be supported by a share of the points of its own: that one of two explanations is supported by
more points says nothing when hardly any point supports either. What both could explain, or none, has no motion but a
reason.

Of A, zoom is (a + e) / 2 if opposite sides of the picture do go opposite ways, otherwise what a and e have in common;
roll is what b and c have in common with opposite signs.

Legend: N points; m the shorter side of the picture, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from rushes_vbench.metrics.camera_subject import rim_weights, without_subjects

if TYPE_CHECKING:
    from rushes_vbench.metrics.models import F64, Flags

Unclear = Literal["texture", "lost", "disagree", "both"]
"""Why there is no camera motion: the picture has too few points to follow; they could not be followed; those that were
followed agree on no motion; a camera that travels and one that stands before something large explain it alike."""
MIN_POINTS: Final = 12
"""Fewest points in a stretch that determine its six numbers."""
LEAST_FOLLOWED: Final = 0.15
"""Smallest share of the points of a stretch that must be followed to its end."""
SLOWEST_PER_S: Final = 0.012
"""Below this speed (shares of m per second) the camera counts as still."""
STILL: Final = 0.002
"""A point that moved less than this share of m in a stretch counts as still."""
LOOSE: Final = 0.5
"""A point follows a fit if its error is below this fraction of the typical motion in the stretch, or below what the
slowest camera that counts would move ..."""
SAME_WAY: Final = 0.85
"""... or one whose motion has at least this cosine with that of the fit."""
MOST: Final = 0.5
"""Share of the points from which an explanation is supported."""
MANY_WITH_PARALLAX: Final = 0.7
"""The same if points count that only go in the right direction: a few of any do."""
GROUND: Final = 0.6
"""Share of the points in the lowest part of the picture that must stand if the camera does, where fewer than `MOST` of
all stand: snow falls and crowds walk before a still camera, but no camera moves that leaves the ground in its place."""
SOME: Final = 0.2
"""Share of the points from which an explanation must be taken into account beside the other."""
_EDGE: Final = 1 / 6
"""What is further than this share of the picture's height above or below the middle is above or below it."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Points at the beginning and the end of a short stretch of a clip."""

    start_N2: F64
    """x, y, pixels from the middle of the picture."""
    moved_N2: F64
    """How far each moved, pixels."""
    num_placed: int
    """How many points were to be followed; those that were lost are not among the N."""
    duration_s: float
    """From beginning to end, above 0."""
    size_px: tuple[int, int]
    """Height and width of the picture."""

    @property
    def m_px(self) -> int:
        """Shorter side of the picture."""
        return min(self.size_px)

    @property
    def still_px(self) -> float:
        """A point that moved less counts as still: less than the slowest camera moves it, however short the time."""
        return min(STILL, SLOWEST_PER_S * self.duration_s) * self.m_px

    @property
    def near_px(self) -> float:
        """How far from its place in a fit a point may always be: what the slowest camera moves, or what counts as no
        motion."""
        return max(STILL, SLOWEST_PER_S * self.duration_s) * self.m_px


@dataclass(frozen=True, eq=False)
class Motion:
    """How the camera moved the picture in a stretch."""

    fit_32: F64
    """As in `affine_flow`; zeros if the camera stood still."""
    grown: float
    """Relative growth."""
    above: float
    """Sideways motion of what is above the middle, without roll, pixels; positive to the right; 0 if nothing is."""
    below: float
    """The same of what is below the middle."""


def affine_flow(start_N2: F64, moved_N2: F64, *, num_rounds: int = 12) -> F64:
    """The 3 x 2 matrix M with d = (1, x, y) M of least absolute error, by iteratively re-weighted least squares.

    Args:
        start_N2: at least `MIN_POINTS` points that are not on one line.
        moved_N2: how far each moved.
        num_rounds: rounds of re-weighting.
    """
    design_N3 = np.column_stack([np.ones(len(start_N2)), start_N2])
    weight_N = np.ones(len(design_N3))
    fitted = np.zeros((3, 2))
    for _ in range(num_rounds):
        root = np.sqrt(weight_N)[:, None]
        fitted = np.linalg.lstsq(design_N3 * root, moved_N2 * root, rcond=None)[0]
        error_N = np.linalg.norm(moved_N2 - design_N3 @ fitted, axis=1)
        weight_N = 1.0 / np.maximum(error_N, 0.05)
    return fitted


def explained(stretch: Stretch) -> Motion | Unclear:
    """The camera's motion in one stretch, or why there is none to tell.

    Args:
        stretch: any number of points.
    """
    if stretch.num_placed < MIN_POINTS:
        return "texture"
    if len(stretch.start_N2) < max(MIN_POINTS, LEAST_FOLLOWED * stretch.num_placed):
        return "lost"
    stretch = without_subjects(stretch)
    start_N2, moved_N2 = stretch.start_N2, stretch.moved_N2
    length_N = np.linalg.norm(moved_N2, axis=1)
    stands_N = length_N < stretch.still_px
    stands, ground_stands = _stand(stretch, stands_N)
    # What moves less than the slowest camera does not speak against a still one.
    moves = not stands_N.all() and float(np.median(length_N[~stands_N])) >= stretch.near_px
    travels = _flows_together(stretch, ~stands_N) if moves else 0.0
    if stands >= MOST or (stands >= SOME and ground_stands >= GROUND and travels < MOST):
        # Before a camera that travels the sky stands, but the ground does not.
        return _ground_moves(stretch, ~stands_N) if travels >= SOME and ground_stands < SOME else standing()
    fitted = affine_flow(start_N2, moved_N2)
    near, same_way = _follow(stretch, np.ones(len(start_N2), bool), fitted)
    if near >= MOST or same_way >= MANY_WITH_PARALLAX:
        motion = _motion(stretch, fitted)
        # Where many stand: a river flows as the ground does before a camera that travels, but it does not grow.
        may_stand = ground_stands >= SOME or not _grows(motion, stretch.m_px)
        if moves and stands >= SOME and may_stand:
            return "both"
        if _is_all_around(stretch, fitted):
            return motion
    if stands >= SOME and stands > travels:
        return standing()
    return _ground_moves(stretch, ~stands_N) if stands >= SOME and ground_stands < SOME else "disagree"


def _ground_moves(stretch: Stretch, some_N: Flags) -> Motion | Unclear:
    """The motion of the points that move, if together and growing: nothing but a camera makes a whole ground grow."""
    start_N2, moved_N2 = stretch.start_N2[some_N], stretch.moved_N2[some_N]
    if len(start_N2) < MIN_POINTS:
        return "disagree"
    fitted = affine_flow(start_N2, moved_N2)
    if _follow(stretch, some_N, fitted)[1] < MANY_WITH_PARALLAX:
        return "disagree"
    motion = _motion(replace(stretch, start_N2=start_N2, moved_N2=moved_N2), fitted)
    return motion if _grows(motion, stretch.m_px) else "both"


def _stand(stretch: Stretch, stands_N: Flags) -> tuple[float, float]:
    """The share of all points that stand, and of those in the lowest part of the picture; of all if those are few."""
    stands = float(stands_N.mean())
    low_N = stretch.start_N2[:, 1] > _EDGE * stretch.size_px[0]
    return stands, float(stands_N[low_N].mean()) if low_N.sum() >= MIN_POINTS else stands


def _is_all_around(stretch: Stretch, fitted: F64) -> bool:
    """Whether most of the picture's rim goes the way of a fit; a fit to one large thing does not. True for no rim."""
    weight_N = rim_weights(stretch)
    near_N, same_N = _followers(stretch, np.ones(len(weight_N), bool), fitted)
    return not weight_N.any() or float(weight_N[near_N | same_N].sum()) >= MOST


def _follow(stretch: Stretch, some_N: Flags, fitted: F64) -> tuple[float, float]:
    """The share of some points near where the fit says, and with those that go the same way."""
    near_N, same_N = _followers(stretch, some_N, fitted)
    return float(near_N.mean()), float((near_N | same_N).mean())


def _followers(stretch: Stretch, some_N: Flags, fitted: F64) -> tuple[Flags, Flags]:
    """Which of some points end near where the fit says, and which go the same way."""
    start_N2, moved_N2 = stretch.start_N2[some_N], stretch.moved_N2[some_N]
    flow_N2 = np.column_stack([np.ones(len(start_N2)), start_N2]) @ fitted
    length_N, flowed_N = np.linalg.norm(moved_N2, axis=1), np.linalg.norm(flow_N2, axis=1)
    near_N = np.linalg.norm(moved_N2 - flow_N2, axis=1) < max(stretch.near_px, LOOSE * float(np.median(length_N)))
    cosine_N = (moved_N2 * flow_N2).sum(axis=1) / np.maximum(length_N * flowed_N, 1e-9)
    same_N = (cosine_N >= SAME_WAY) & (np.minimum(length_N, flowed_N) >= stretch.still_px)
    return near_N, same_N


def _flows_together(stretch: Stretch, some_N: Flags) -> float:
    """The share of all points that are some of them and follow a fit to these; 0 if they are too few for one."""
    if some_N.sum() < MIN_POINTS:
        return 0.0
    fitted = affine_flow(stretch.start_N2[some_N], stretch.moved_N2[some_N])
    return _follow(stretch, some_N, fitted)[1] * float(some_N.mean())


def standing() -> Motion:
    return Motion(np.zeros((3, 2)), 0.0, 0.0, 0.0)


def _motion(stretch: Stretch, fitted: F64) -> Motion:
    (height, width), (x_N, y_N) = stretch.size_px, stretch.start_N2.T
    roll = rolled(fitted)
    above, below = _parts(stretch.moved_N2[:, 0] + roll * y_N, y_N, _EDGE * height)
    up, down = _parts(stretch.moved_N2[:, 1] - roll * x_N, y_N, _EDGE * height)
    left, right = _parts(stretch.moved_N2[:, 0] + roll * y_N, x_N, _EDGE * width)
    a, e = float(fitted[1, 0]), float(fitted[2, 1])
    if _opposite(up, down, stretch.still_px) or _opposite(left, right, stretch.still_px):
        grown = (a + e) / 2
    else:  # a camera that rises over a plain stretches the picture upright alone, and nothing in it rises
        grown = float(np.sign(a) * np.sqrt(a * e)) if a * e > 0 else 0.0
    return Motion(fitted, grown, above, below)


def _grows(motion: Motion, m_px: float) -> bool:
    """Whether the picture grows or shrinks, halfway to the edge, more than it goes anywhere."""
    return abs(motion.grown) / 2 > float(np.abs(motion.fit_32[0]).max()) / m_px


def _parts(moved_N: F64, place_N: F64, edge_px: float) -> tuple[float, float]:
    """Typical motion of the points at one side of the picture, and of those at the other; 0 for too few points."""
    first, second = moved_N[place_N < -edge_px], moved_N[place_N > edge_px]
    return (
        float(np.median(first)) if len(first) >= MIN_POINTS else 0.0,
        float(np.median(second)) if len(second) >= MIN_POINTS else 0.0,
    )


def _opposite(first: float, second: float, least: float) -> bool:
    return first * second < 0 and min(abs(first), abs(second)) >= least


def rolled(fitted: F64) -> float:
    """Radians by which a fit turns the picture: what b and c have in common with opposite signs."""
    b, c = fitted[2, 0], fitted[1, 1]
    return float(np.sign(c) * min(abs(b), abs(c))) if b * c < 0 else 0.0

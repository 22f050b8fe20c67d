"""Multi-View_Consistency: while the camera circles, do the views fit one rigid scene?

Official value: min(f, 10) M / 10, where f is the mean motion and M the mean number of point pairs that fit one rigid
camera motion, over 750. It grows with texture and with speed, and a flat picture that slides passes as well.
`fixed` takes the share of the matched points that fit instead of their number, and pairs views by how far the picture
moved instead of by a formula that depends on the frame rate. It also requires parallax: if a homography explains the
views (flat scene, pure rotation), they say nothing about the third dimension.

Legend: T frames, f motion in pixels per eighth of a second in a picture of 854 x 480, g gap and k stride in frames.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.records import Outcome, Part, Scored, Unscored
from rushes_vbench.metrics.camera_compat import has_orbit
from rushes_vbench.metrics.camera_motion import labels_of, why_not_followed
from rushes_vbench.metrics.core import Profile, not_applicable
from rushes_vbench.metrics.models import Flow, Matcher, Matches
from rushes_vbench.metrics.sampling import spread_once
from rushes_vbench.metrics.scenes import MULTI_VIEW_THRESHOLD, first_cut
from rushes_vbench.metrics.view import ClipView

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F32

SIZE: Final = (854, 480)
"""Width and height at which views are compared."""
MIN_FLOW: Final = 5.0
"""The official rule leaves out slower clips."""
MAX_FLOW: Final = 30.0
FULL_FLOW: Final = 10.0
MAX_INLIERS: Final = 750
SHIFT_PX: Final = 43.0
"""How far the fastest twentieth of the picture moves between two views of the `fixed` profile: what the official
formula gives at 24 frames per second."""
MAX_PAIRS: Final = 12
MIN_MATCHES: Final = 30
"""A pair with fewer matched points is not used, in the `fixed` profile."""
MIN_RIGID: Final = 0.1
"""Smallest share of the matched points that must fit one rigid motion to say whether there is parallax; `fixed`."""
MIN_PARALLAX: Final = 0.1
"""Smallest share of the rigid matches that a flat scene must fail to explain, in the `fixed` profile."""


def flow_strength(flow_HW2: F32) -> float:
    """Mean length of the fastest twentieth of the flow vectors, pixels."""
    lengths = np.sort(np.linalg.norm(flow_HW2, axis=-1), axis=None)
    return float(lengths[len(lengths) - max(1, int(len(lengths) * 0.05)) :].mean())


def official_pairs(num_frames: int, fps: float, f: float, scene_end: int | None = None) -> list[tuple[int, int]]:
    """Which frames the official scoring compares; empty if it would leave the clip out.

    g = int(40 / ((f / 10) max(1, round(fps / 8)))), k = int((T - 1 - g) / g), pairs (i, i + g) for i = 0, k, 2 k, ...

    Args:
        num_frames: T of the whole clip.
        fps: frames per second.
        f: motion, `MIN_FLOW` to `MAX_FLOW`.
        scene_end: first frame of the second scene; None for one scene.
    """
    g = int(40 / ((f / 10) * max(1, round(fps / 8))))
    if g < 1:
        return []
    k = int((num_frames - 1 - g) / g)
    if k < 1:
        return []
    last = num_frames if scene_end is None else scene_end
    pairs = [(i, i + g) for i in range(0, num_frames, k) if i + g <= num_frames - 1 and i <= last]
    return pairs if len(pairs) > 1 else []


def even_pairs(num_frames: int, px_per_frame: float) -> list[tuple[int, int]]:
    """Views `SHIFT_PX` apart, evenly spread, at most `MAX_PAIRS`; empty if fewer than two fit.

    Args:
        num_frames: frames of the scene.
        px_per_frame: motion of the fastest twentieth of the picture from frame to frame, above 0.
    """
    g = max(1, round(SHIFT_PX / px_per_frame))
    starts = num_frames - g
    return [(i, i + g) for i in spread_once(starts, MAX_PAIRS)] if starts >= 2 else []


def official_value(f: float, inliers: list[int]) -> float:
    """min(f, 10) M / 10 with M the mean number of inliers, at most 750, over 750."""
    return min(f, FULL_FLOW) * min(float(np.mean(inliers)), MAX_INLIERS) / MAX_INLIERS / FULL_FLOW


def rigid_outcome(matches: list[Matches]) -> Outcome:
    """The `fixed` value from the matches of all pairs: the mean share that fits one rigid camera motion."""
    usable = [m for m in matches if m.num_matches >= MIN_MATCHES]
    if len(usable) < 2:
        return Unscored(reason=f"only {len(usable)} of {len(matches)} pairs of views have enough matched points")
    # Of two handfuls of points the one is always larger; a fit to chance matches has some too.
    rigid_ones = [m for m in usable if m.num_epipolar >= max(MIN_MATCHES, MIN_RIGID * m.num_matches)]
    if len(rigid_ones) < 2:
        return Unscored(reason="the views show different things, or could not be matched: hardly a point fits")
    parallax = float(np.median([1.0 - min(1.0, m.num_planar / m.num_epipolar) for m in rigid_ones]))
    if parallax < MIN_PARALLAX:
        return not_applicable("the views differ as those of a flat scene or a turning camera do; there is no parallax")
    rigid = float(np.mean([min(1.0, m.num_epipolar / m.num_matches) for m in usable]))
    return Scored(value=rigid, parts=(Part(name="rigid share", value=rigid), Part(name="parallax", value=parallax)))


def multi_view_consistency(view: ClipView, profile: Profile, flow: Flow, matcher: Matcher) -> Outcome:
    """How well the views of an orbit fit one rigid scene, 0 to 1.

    Args:
        view: the clip, with a tracker and a known frame rate.
        profile: whose rules.
        flow: dense motion between two frames.
        matcher: matched points of two frames.
    """
    if profile == "fixed":
        return _fixed(view, flow, matcher)
    if not view.is_followed:
        return Unscored(reason=why_not_followed(view))
    cut = first_cut(view.changes, MULTI_VIEW_THRESHOLD)
    if not has_orbit(view.tracks.xy_TN2[:cut], *view.size):
        return not_applicable("the camera does not orbit")
    step = max(1, round(view.video.fps / 8))
    last = len(view.frames) if cut is None else cut
    f = mean_flow([i for i in range(0, len(view.frames), step) if i <= last], view.frames, flow)
    if f is None or f < MIN_FLOW:
        return not_applicable("the picture moves too little")
    f = min(f, MAX_FLOW)
    pairs = official_pairs(len(view.frames), view.video.fps, f, cut)
    if not pairs:
        return not_applicable("the clip is too short for its speed")
    inliers = [m.num_epipolar for m in _matches(pairs, view.frames, matcher)]
    mean_share = min(1.0, float(np.mean(inliers)) / MAX_INLIERS)
    parts = (Part(name="motion", value=min(f, FULL_FLOW) / FULL_FLOW), Part(name="matched points", value=mean_share))
    return Scored(value=official_value(f, inliers), parts=parts)


def _fixed(view: ClipView, flow: Flow, matcher: Matcher) -> Outcome:
    labels = labels_of(view, "fixed")
    if isinstance(labels, Unscored):
        return labels
    if "orbits" not in labels:
        return not_applicable("the camera does not orbit")
    frames = view.frames[view.scene.start : view.scene.stop]
    step = max(1, round(view.video.fps / 8))
    f = mean_flow(list(range(0, len(frames), step)), frames, flow)
    if f is None or f <= 0.0:
        return not_applicable("the picture does not move")
    pairs = even_pairs(len(frames), f / step)
    if not pairs:
        return not_applicable("the picture moves too little for two views that differ")
    return rigid_outcome(_matches(pairs, frames, matcher))


def mean_flow(indices: list[int], frames: Frames, flow: Flow) -> float | None:
    """Mean `flow_strength` between consecutive frames of these; None for fewer than two frames."""
    if len(indices) < 2:
        return None
    small = [_small(frames[i]) for i in indices]
    return float(np.mean([flow_strength(flow.pair(a, b)) for a, b in pairwise(small)]))


def _matches(pairs: list[tuple[int, int]], frames: Frames, matcher: Matcher) -> list[Matches]:
    return [matcher.match(_small(frames[a]), _small(frames[b])) for a, b in pairs]


def _small(frame_HWC: Frames) -> Frames:
    import cv2

    resized: Frames = cv2.resize(frame_HWC, SIZE)
    return resized

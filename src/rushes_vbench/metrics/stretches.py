"""Follows points through a scene in short stretches, for the camera path of the `fixed` profile.

Points are placed anew for each stretch, at the best corner of each cell of the picture, and none where a cell is flat.
A stretch whose points are lost, all or those at the rim, or move far and do not agree, is cut in halves, down to two
neighbouring frames: what moves fast can be followed over a shorter time.

Legend: T frames, N points, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes_vbench.metrics.camera_stretch import Motion, Stretch, Unclear, explained
from rushes_vbench.metrics.camera_subject import rim_weights

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F64, Tracks

    Follow = Callable[[Frames, F64], Tracks]

WINDOW_S: Final = 0.5
"""Seconds for which points are followed before new ones are placed; shorter where that does not succeed."""
STEPS: Final = (0.0, 0.125, 0.375, 0.75, 1.0)
"""Where in a window the tracker looks; frames between are left out."""
FAST: Final = 0.1
"""Typical motion in a stretch, as a share of the picture's shorter side, from which points may have been mistaken."""
COLUMNS: Final = 28
"""Cells along the width of the picture; they are about square."""
LEAST_CORNER: Final = 1e-4
"""Smallest eigenvalue of the gradients around a point (scale of cv2.cornerMinEigenVal): noise of deviation 3 of 255."""
UNEVEN: Final = 0.15
"""Relative change of brightness or contrast within a stretch from which it is taken out."""
MOST_GAIN: Final = 8.0
"""Largest factor by which contrast is raised for that."""
_WIDTH_PX: Final = 512
"""Larger pictures are shrunk to this before corners are found."""


def motions(frames_THWC: Frames, fps: float, follow: Follow) -> list[tuple[Motion | Unclear, float]]:
    """The camera's motion in consecutive stretches of a scene, each with its duration in seconds.

    Args:
        frames_THWC: the scene, at least two frames.
        fps: frames per second, above 0.
        follow: follows points on the first of some frames through all of them.
    """
    length = max(len(STEPS) - 1, round(WINDOW_S * fps))
    last = len(frames_THWC) - 1
    found: list[tuple[Motion | Unclear, float]] = []
    for start in range(0, last, length):
        found += _within(frames_THWC, start, min(start + length, last), fps, follow)
    return found


def _within(frames: Frames, start: int, end: int, fps: float, follow: Follow) -> list[tuple[Motion | Unclear, float]]:
    """The motion from one frame to another, in parts where it cannot be told at once."""
    stretch = _followed(frames[_steps(start, end)], (end - start) / fps, follow)
    found = explained(stretch)
    is_unsure = _is_fast(stretch) and (found == "disagree" or _has_lost(stretch))
    # What stands and is half hidden by snow needs no shorter time.
    has_no_rim = _moves(stretch) and _has_lost(stretch) and not rim_weights(stretch).any()
    if end - start > 1 and (found == "lost" or is_unsure or has_no_rim):
        middle = (start + end) // 2
        return _within(frames, start, middle, fps, follow) + _within(frames, middle, end, fps, follow)
    return [(found, stretch.duration_s)]


def _is_fast(stretch: Stretch) -> bool:
    lengths_N = np.linalg.norm(stretch.moved_N2, axis=1)
    return len(lengths_N) > 0 and float(np.median(lengths_N)) > FAST * stretch.m_px


def _moves(stretch: Stretch) -> bool:
    lengths_N = np.linalg.norm(stretch.moved_N2, axis=1)
    return len(lengths_N) > 0 and float(np.median(lengths_N)) >= stretch.still_px


def _has_lost(stretch: Stretch) -> bool:
    """Whether most points are gone: those that are left may all be in one part of the picture."""
    return len(stretch.start_N2) < 0.5 * stretch.num_placed


def _steps(start: int, end: int) -> list[int]:
    """Some frames from one to another; at uneven distances, so that no frame of a strobe is left out throughout."""
    return sorted({start + round(share * (end - start)) for share in STEPS})


def _followed(frames: Frames, duration_s: float, follow: Follow) -> Stretch:
    height, width = frames.shape[1:3]
    placed_N2 = corners(frames[0])
    if not len(placed_N2):
        return Stretch(np.zeros((0, 2)), np.zeros((0, 2)), 0, duration_s, (height, width))
    tracks = follow(evenly_lit(frames), placed_N2)
    ends_2N2 = tracks.xy_TN2[[0, -1]][:, tracks.visible_TN[-1]]
    start_N2, moved_N2 = ends_2N2[0] - (width / 2, height / 2), ends_2N2[1] - ends_2N2[0]
    return Stretch(start_N2, moved_N2, len(placed_N2), duration_s, (height, width))


def evenly_lit(frames_THWC: Frames) -> Frames:
    """Frames with the brightness and contrast of the first one where they differ much: a tracker looks for what is as
    bright as it was.

    Args:
        frames_THWC: at least one frame.
    """
    some_THWC = frames_THWC[:, ::4, ::4]
    means, spreads = some_THWC.mean(axis=(1, 2, 3)), some_THWC.std(axis=(1, 2, 3))
    if np.ptp(means) <= UNEVEN * means[0] and np.ptp(spreads) <= UNEVEN * spreads[0]:
        return frames_THWC
    gain_T = np.minimum(spreads[0] / np.maximum(spreads, 1e-3), MOST_GAIN)
    lit = (frames_THWC - means[:, None, None, None]) * gain_T[:, None, None, None] + means[0]
    found: Frames = np.clip(lit, 0, 255).astype(np.uint8)
    return found


def corners(frame_HWC: Frames) -> F64:
    """The best corner of each cell of a picture that has one: N, 2 (x, y), pixels."""
    import cv2

    height, width = frame_HWC.shape[:2]
    scale = min(1.0, _WIDTH_PX / max(height, width))
    grey = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY)
    if scale < 1.0:
        grey = cv2.resize(grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    corner_HW = cv2.cornerMinEigenVal(grey, 9)
    cell = max(1, round(grey.shape[1] / COLUMNS))
    found = []
    for y in range(0, grey.shape[0], cell):
        for x in range(0, grey.shape[1], cell):
            inside = corner_HW[y : y + cell, x : x + cell]
            dy, dx = np.unravel_index(int(inside.argmax()), inside.shape)
            if inside[dy, dx] >= LEAST_CORNER:
                found.append((x + dx + 0.5, y + dy + 0.5))
    placed_N2: F64 = np.array(found, np.float64).reshape(-1, 2) / scale
    return placed_N2

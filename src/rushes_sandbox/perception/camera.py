"""Camera motion, estimated only from the background around the things.

Pairs of frames are aligned by Gauss-Newton (Lucas-Kanade) with three unknowns: a shift in x, a shift in y and a scale.
The alignments are chained over the clip. Shift and scale describe the picture: when the camera pans to the right, the
background moves left.

Legend: T frames, H rows, W columns, N pixels in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.perception.shapes import F32
from rushes_sandbox.scene import NUM_FRAMES, Camera

STRIDE = 2
"""Frames between the two frames of a pair, in a 17-frame clip: up to 2.5 px of pan."""
STEPS = 6
"""Gauss-Newton steps per pair."""
SMOOTH_PX = 1.5
"""Blur before alignment: it suppresses noise and lets edges a few pixels apart still overlap."""
THIN = 2
"""Only every this many rows and columns are used; the blur makes the others redundant."""
BORDER_PX = 3
"""Rows and columns at the border left out, where the blur and the resampling have no data."""
PAN_PX = 5.0
"""Less pan than this over the clip counts as none."""
ZOOM_LOG = float(np.log(1.15))
"""A log zoom below this over the clip counts as none."""
FULL_PAN_PX = 20.0
FULL_ZOOM_LOG = float(np.log(1.6))
"""Together with `FULL_PAN_PX`: amounts that count as equal motion when both are present."""
MIN_TEXTURE = 1.5
"""Standard deviation of the background's brightness, in levels of 255, below which no camera motion is visible."""


@dataclass(frozen=True)
class CameraMotion:
    """Motion of the camera over the whole clip."""

    pan_x_px: float
    """Pixels of the first frame by which the camera moved to the right."""
    pan_y_px: float
    """Pixels of the first frame by which the camera moved down."""
    log_zoom: float
    """Natural logarithm of the magnification; positive is zooming in."""
    texture: float
    """Standard deviation of the background's brightness, in levels of 255."""
    misfit: float
    """Share of that deviation which the motion leaves unexplained between neighbouring frames; 0 is perfect."""

    @property
    def readable(self) -> bool:
        """Whether the background has enough texture to show camera motion."""
        return self.texture >= MIN_TEXTURE

    def is_seen(self, camera: Camera) -> bool:
        """Whether the clip shows this camera motion: enough of it, and more of it than of any other."""
        pan, zoom = float(np.hypot(self.pan_x_px, self.pan_y_px)), abs(self.log_zoom)
        if camera == "still":
            return pan < PAN_PX and zoom < ZOOM_LOG
        if camera in ("zoom_in", "zoom_out"):
            way = self.log_zoom if camera == "zoom_in" else -self.log_zoom
            return way >= ZOOM_LOG and zoom / FULL_ZOOM_LOG >= pan / FULL_PAN_PX
        way = self.pan_x_px if camera == "pan_right" else -self.pan_x_px
        sideways = way >= PAN_PX and way > abs(self.pan_y_px)
        return sideways and pan / FULL_PAN_PX > zoom / FULL_ZOOM_LOG


def camera_motion(frames_THWC: NDArray[np.uint8], thing_THW: NDArray[np.bool_]) -> CameraMotion:
    """Estimate the camera's motion outside the coloured things.

    Args:
        frames_THWC: uint8 RGB clip.
        thing_THW: pixels that belong to things, left out with a margin around them.
    """
    num_frames = len(frames_THWC)
    stride = max(1, round(STRIDE * (num_frames - 1) / (NUM_FRAMES - 1)))
    stops = [*range(0, num_frames - 1, stride), num_frames - 1]
    around = np.ones((7, 7), np.uint8)
    seen: list[tuple[F32, F32]] = []
    for t in stops:
        light = cv2.cvtColor(frames_THWC[t], cv2.COLOR_RGB2GRAY).astype(np.float32)
        free = 1.0 - cv2.dilate(thing_THW[t].astype(np.uint8), around).astype(np.float32)
        seen.append((np.asarray(cv2.GaussianBlur(light, (0, 0), SMOOTH_PX), np.float32), np.asarray(free, np.float32)))
    total, guess = np.zeros(3), np.zeros(3)
    left: list[float] = []
    for one, two in pairwise(seen):
        guess, misfit = _align(one, two, guess)
        # Steps are in pixels of frame one; the magnification so far turns them into pixels of the first frame.
        total[:2] += guess[:2] / np.exp(total[2])
        total[2] += guess[2]
        left.append(misfit)
    light, free = seen[0]
    texture = float(light[free > 0].std()) if free.any() else 0.0
    return CameraMotion(-float(total[0]), -float(total[1]), float(total[2]), texture, float(np.mean(left or [0.0])))


def _align(one: tuple[F32, F32], two: tuple[F32, F32], start: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """(shift x, shift y, log scale) that maps frame one onto frame two, and the share of variance left.

    Each frame is its smoothed brightness and the weight (0 or 1) of each pixel. Every second row and column is used.
    """
    (light_HW, free_HW), (other_HW, other_free_HW) = one, two
    height, width = light_HW.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    thin = (slice(BORDER_PX, height - BORDER_PX, THIN), slice(BORDER_PX, width - BORDER_PX, THIN))
    target, free = light_HW[thin].ravel(), free_HW[thin].ravel()
    gy, gx = np.gradient(light_HW, axis=0), np.gradient(light_HW, axis=1)
    u, v = np.arange(width, dtype=np.float32) - middle[0], np.arange(height, dtype=np.float32) - middle[1]
    slope_3N = np.stack([gx[thin].ravel(), gy[thin].ravel(), (gx * u + gy * v[:, None])[thin].ravel()])
    size = (len(range(*thin[1].indices(width))), len(range(*thin[0].indices(height))))
    best, best_left, motion = start, np.inf, start.copy()
    for _ in range(STEPS + 1):
        scale = float(np.exp(motion[2]))
        # From the thinned grid of frame one to the pixels of frame two.
        corner = scale * (BORDER_PX - middle) + middle + motion[:2]
        matrix = np.array([[scale * THIN, 0, corner[0]], [0, scale * THIN, corner[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(other_HW, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        there = cv2.warpAffine(other_free_HW, matrix, size, flags=flags)  # 0 outside
        weight = free * (there.ravel() > 0.99)
        count = float(weight.sum())
        if count < 0.1 * weight.size:
            break
        mean = float(target @ weight) / count
        error = (warped.ravel() - target) * weight
        error -= weight * (float(error.sum()) / count)
        left = float(error @ error) / max(float(((target - mean) ** 2) @ weight), 1e-3 * count)
        if left < best_left:
            best, best_left = motion.copy(), left
        slope = slope_3N * weight
        slope -= weight * (slope.sum(1, keepdims=True) / count)
        step = np.linalg.solve((slope @ slope.T).astype(float) + 1e-3 * np.eye(3), (slope @ error).astype(float))
        # Inverse composition: the step describes frame one, so it is subtracted from the motion.
        motion = motion - step
        if np.abs(step[:2]).max() < 0.01 and abs(step[2]) < 0.0005:
            break
    return best, min(best_left, 1.0)

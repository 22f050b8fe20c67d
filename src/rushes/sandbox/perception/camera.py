"""How the camera moves, from the background around the things alone.

Pairs of frames are aligned by Gauss-Newton (Lucas-Kanade) with three unknowns, a shift in x, a shift in y and a scale,
and the alignments are chained over the clip. Shift and scale are those of what is seen: when the camera pans to the
right, the background goes left.

Legend: T frames, H rows, W columns, N pixels in use.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rushes.sandbox.perception.shapes import F32
from rushes.sandbox.scene import NUM_FRAMES, Camera

STRIDE = 2
"""Frames between the two of a pair, in a 17-frame clip: up to 2.5 px of pan."""
STEPS = 6
"""Gauss-Newton steps per pair."""
SMOOTH_PX = 1.5
"""Blur before alignment, against noise and so that edges a few pixels apart still meet."""
BORDER_PX = 3
"""Rows and columns at the border left out, where the blur and the resampling have no data."""
PAN_PX = 5.0
"""Less pan than this over the clip is none."""
ZOOM_LOG = float(np.log(1.15))
"""A log zoom below this over the clip is none."""
FULL_PAN_PX = 20.0
FULL_ZOOM_LOG = float(np.log(1.6))
"""Together with `FULL_PAN_PX`: amounts that count as equally much motion when both are there."""
MIN_TEXTURE = 1.5
"""Deviation of the background's brightness, in levels of 255, below which it tells nothing about the camera."""


@dataclass(frozen=True)
class CameraMotion:
    """Motion of the camera over the whole clip."""

    pan_x_px: float
    """Pixels of the first frame that the camera went to the right."""
    pan_y_px: float
    """Pixels of the first frame that the camera went down."""
    log_zoom: float
    """Natural logarithm of the magnification; positive is zooming in."""
    texture: float
    """Deviation of the background's brightness, in levels of 255."""
    misfit: float
    """Share of that deviation which the motion leaves unexplained between neighbouring frames; 0 is perfect."""

    @property
    def readable(self) -> bool:
        """Whether the background has enough texture to tell."""
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
    light_THW = [cv2.GaussianBlur(frame.astype(np.float32).mean(-1), (0, 0), SMOOTH_PX) for frame in frames_THWC]
    around = np.ones((7, 7), np.uint8)
    free_THW = [cv2.dilate(thing.astype(np.uint8), around) == 0 for thing in thing_THW]
    num_frames = len(light_THW)
    stride = max(1, round(STRIDE * (num_frames - 1) / (NUM_FRAMES - 1)))
    stops = [*range(0, num_frames - 1, stride), num_frames - 1]
    total = np.zeros(3)
    guess = np.zeros(3)
    left: list[float] = []
    for a, b in zip(stops[:-1], stops[1:], strict=True):
        guess, misfit = _align(light_THW[a], light_THW[b], free_THW[a], free_THW[b], guess)
        # Steps are in pixels of frame a; the magnification so far turns them into pixels of the first frame.
        total[:2] += guess[:2] / np.exp(total[2])
        total[2] += guess[2]
        left.append(misfit)
    inner = free_THW[0]
    texture = float(light_THW[0][inner].std()) if inner.any() else 0.0
    return CameraMotion(-float(total[0]), -float(total[1]), float(total[2]), texture, float(np.mean(left or [0.0])))


def _align(
    one_HW: F32, two_HW: F32, free_one_HW: NDArray[np.bool_], free_two_HW: NDArray[np.bool_], start: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """(shift x, shift y, log scale) that carries frame one onto frame two, and the share of variance left."""
    height, width = one_HW.shape
    u = np.arange(width, dtype=np.float32) - (width - 1) / 2
    v = np.arange(height, dtype=np.float32) - (height - 1) / 2
    gy, gx = np.gradient(one_HW)
    steepest = np.stack([gx, gy, gx * u[None, :] + gy * v[:, None]], -1)
    inner = np.zeros_like(free_one_HW)
    inner[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = True
    blocked = (~free_two_HW).astype(np.float32)
    best, best_left = start, np.inf
    motion = start.copy()
    for _ in range(STEPS + 1):
        scale = float(np.exp(motion[2]))
        matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
        matrix[:, 2] = motion[:2] + (1 - scale) * np.array([(width - 1) / 2, (height - 1) / 2])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(two_HW, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=-1e4)
        hidden = cv2.warpAffine(blocked, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=1.0)
        use = inner & free_one_HW & (hidden < 0.01)
        if use.sum() < 0.1 * use.size:
            break
        error_N = (warped - one_HW)[use].astype(np.float64)
        error_N -= error_N.mean()
        left = float(error_N.var() / max(float(one_HW[use].var()), 1e-3))
        if left < best_left:
            best, best_left = motion.copy(), left
        slope_N3 = steepest[use].astype(np.float64)
        slope_N3 -= slope_N3.mean(0)
        step = np.linalg.lstsq(slope_N3.T @ slope_N3 + 1e-3 * np.eye(3), slope_N3.T @ error_N, rcond=None)[0]
        # Inverse composition: the step describes frame one, so it is taken off the motion.
        motion = motion - step
    return best, min(best_left, 1.0)

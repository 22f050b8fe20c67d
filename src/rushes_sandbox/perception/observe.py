"""All that the measurer perceives in a clip, as one record.

Legend: T frames, H rows, W columns, K tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.perception.camera import CameraMotion, camera_motion
from rushes_sandbox.perception.link import link
from rushes_sandbox.perception.segment import segment
from rushes_sandbox.perception.track import Incident, Track
from rushes_sandbox.scene import BACKGROUND_RGB, SIZE_PX, Background

MAX_TRACKS = 8
"""With more tracks than this, the shortest are dropped; no scene has half as many."""


@dataclass(frozen=True, eq=False)
class Observation:
    """What a clip shows. Lengths are in pixels of a 64 px frame, positions relative to its middle."""

    num_frames: int
    tracks: tuple[Track, ...]
    """The coloured things, longest visible first."""
    incidents: tuple[Incident, ...]
    """Vanishing, appearing, splitting and jumping things."""
    gap_KKT: NDArray[np.float64]
    """Background pixels between two things in a frame: 0 if they touch, NaN if one is not visible."""
    camera: CameraMotion
    background_rgb: tuple[float, float, float]
    """Mean colour of the background, 0 to 255."""

    @property
    def background(self) -> Background:
        """The nearest of the four known backgrounds."""
        away = {name: np.linalg.norm(np.subtract(rgb, self.background_rgb)) for name, rgb in BACKGROUND_RGB.items()}
        return min(away, key=lambda name: float(away[name]))


def perceive(frames_THWC: NDArray[np.uint8]) -> Observation:
    """Perceive a clip.

    Args:
        frames_THWC: uint8 RGB frames of shape (T, H, W, 3), T >= 2; other sizes than 64 px are resized first.

    Raises:
        ValueError: the array is not such a clip.
    """
    shape, kind = frames_THWC.shape, frames_THWC.dtype
    if len(shape) != 4 or shape[-1] != 3 or kind != np.uint8 or shape[0] < 2:
        raise ValueError(f"expected uint8 frames of shape (T >= 2, H, W, 3), got {kind} {shape}")
    if frames_THWC.shape[1:3] != (SIZE_PX, SIZE_PX):
        resized = [cv2.resize(frame, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) for frame in frames_THWC]
        frames_THWC = np.stack(resized).astype(np.uint8)
    seen = segment(frames_THWC)
    tracks, incidents = link(seen.blobs)
    kept = tracks[:MAX_TRACKS]
    incidents = tuple(i for i in incidents if i.track < len(kept) and (i.into is None or i.into < len(kept)))
    red, green, blue = (float(v) for v in seen.background_rgb)
    camera = camera_motion(frames_THWC, seen.thing_THW)
    return Observation(len(frames_THWC), kept, incidents, _gaps(kept, len(frames_THWC)), camera, (red, green, blue))


def _gaps(tracks: tuple[Track, ...], num_frames: int) -> NDArray[np.float64]:
    """Width of the gap between every two things in every frame."""
    gap_KKT = np.full((len(tracks), len(tracks), num_frames), np.nan)
    for t in range(num_frames):
        here = [(k, blob) for k, track in enumerate(tracks) if (blob := track.blobs[t]) is not None]
        for i, (a, first) in enumerate(here[:-1]):
            distance_HW = cv2.distanceTransform((~first.core_HW).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            for b, second in here[i + 1 :]:
                gap_KKT[a, b, t] = gap_KKT[b, a, t] = max(0.0, float(distance_HW[second.core_HW].min()) - 1.0)
    return gap_KKT

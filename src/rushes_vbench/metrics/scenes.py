"""Finds cuts. The measure is that of PySceneDetect's ContentDetector (BSD-3): mean change of hue, saturation
and value between neighbouring frames, at a width of 256 pixels. Re-implemented so that no further package is needed.

Legend: T frames.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F64

WIDTH_PX: Final = 256
"""Wider pictures are shrunk to this width first."""
MIN_SCENE: Final = 15
"""Fewest frames between two cuts in the official settings."""
CAMERA_THRESHOLD: Final = 5.0
"""Official threshold of Camera_Motion; fast motion exceeds it as well."""
MULTI_VIEW_THRESHOLD: Final = 10.0
"""Official threshold of Multi-View_Consistency."""
CUT: Final = 27.0
"""A cut in the `fixed` profile changes at least this much (PySceneDetect's own default) ..."""
STANDS_OUT: Final = 3.0
"""... and this many times as much as is typical for the frames around it."""


def changes(frames_THWC: Frames) -> F64:
    """How much each frame differs from the previous one, 0 to 255: length T, the first is 0."""
    import cv2

    height, width = frames_THWC.shape[1:3]
    scale = min(1.0, WIDTH_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    found, before = [0.0], None
    for frame in frames_THWC:
        small = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) if scale < 1.0 else frame
        now = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.int16)
        if before is not None:
            found.append(float(np.abs(now - before).mean()))
        before = now
    return np.array(found)


def first_cut(changes_T: F64, threshold: float, min_scene: int = MIN_SCENE) -> int | None:
    """Frame at which the second scene starts by the official rule, or None if there is one scene.

    Changes within `min_scene` frames of another are merged into one cut at their end, as by PySceneDetect's flash
    filter in its merging mode. Before the first cut such changes give no cut.

    Args:
        changes_T: from `changes`.
        threshold: smallest change that counts.
        min_scene: fewest frames between a cut and the last change before it.
    """
    last_above = 0
    for t, change in enumerate(changes_T):
        far_enough = t - last_above >= min_scene
        if change >= threshold:
            if far_enough:
                return t
            last_above = t
    return None


def longest_scene(changes_T: F64) -> range:
    """The longest stretch without a cut, where a cut must be strong and stand out from the motion around it.

    Args:
        changes_T: from `changes`.
    """
    cuts = [0, *(t for t in range(1, len(changes_T)) if _is_cut(changes_T, t)), len(changes_T)]
    scenes = [range(a, b) for a, b in pairwise(cuts)]
    return max(scenes, key=len)


def _is_cut(changes_T: F64, t: int) -> bool:
    # Before and after apart: where a still camera starts to move fast, all that follows changes as much.
    around = changes_T[max(1, t - 6) : t], changes_T[t + 1 : t + 7]
    usual = max((float(np.median(side)) for side in around if len(side)), default=0.0)
    return bool(changes_T[t] >= CUT and changes_T[t] >= STANDS_OUT * usual)

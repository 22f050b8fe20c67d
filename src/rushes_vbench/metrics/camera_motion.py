"""Camera_Motion: does the camera move as the prompt says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rushes.records import Outcome, Part, Scored, Unscored
from rushes_vbench.metrics.camera_compat import camera_labels
from rushes_vbench.metrics.camera_path import CameraPath, path_labels
from rushes_vbench.metrics.camera_stretch import MIN_POINTS, Unclear
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.scenes import CAMERA_THRESHOLD, first_cut
from rushes_vbench.metrics.stretches import corners
from rushes_vbench.metrics.view import ClipView

WHY: Final[Mapping[Unclear, str]] = {
    "texture": "there is too little texture to determine the camera motion",
    "lost": "the picture has texture, but it changes so fast, or is cut so often, that it cannot be followed for long",
    "disagree": "the picture can be followed, but its parts move in ways that no camera motion explains",
    "both": "a moving camera and something large that moves before a still one explain the picture alike",
}
"""Why the camera motion cannot be told."""


def camera_motion(view: ClipView, label: str, profile: Profile) -> Outcome:
    """1 if the requested label is among those found, else 0; each found label is a part.

    `fixed` uses the longest scene instead of everything before the first change. It takes the motion of the whole
    picture instead of four probes, per second instead of per clip, and gives `static` only for a still camera.

    Args:
        view: the clip, with a tracker.
        label: the camera motion that the prompt asks for, as the suite names it.
        profile: whose rules.
    """
    found = labels_of(view, profile)
    if isinstance(found, Unscored):
        return found
    parts = tuple(Part(name=f"found {label}", value=1.0) for label in sorted(found))
    return Scored(value=float(label in found), parts=parts)


def labels_of(view: ClipView, profile: Profile) -> frozenset[str] | Unscored:
    """The camera labels of a clip, or why they cannot be told."""
    if profile == "fixed":
        found = path_labels(view.path) if isinstance(view.path, CameraPath) else view.path
        return found if isinstance(found, frozenset) else Unscored(reason=WHY[found])
    if not view.is_followed:
        return Unscored(reason=why_not_followed(view))
    cut = first_cut(view.changes, CAMERA_THRESHOLD)
    return camera_labels(view.tracks.xy_TN2[:cut], *view.size)


def why_not_followed(view: ClipView) -> str:
    """Why hardly a point of the official grid gets into the second frame, which the official code does not ask."""
    return WHY["lost" if len(corners(view.frames[0])) >= MIN_POINTS else "texture"]

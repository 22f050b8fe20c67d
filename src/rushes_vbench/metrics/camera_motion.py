"""Camera_Motion: does the camera move as the prompt says?"""

from __future__ import annotations

from rushes.records import Outcome, Part, Scored, Unscored
from rushes_vbench.metrics.camera_compat import camera_labels
from rushes_vbench.metrics.camera_path import path_labels
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.scenes import CAMERA_THRESHOLD, first_cut
from rushes_vbench.metrics.view import ClipView

NO_TEXTURE = "there is too little texture to determine the camera motion"


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
    if found is None:
        return Unscored(reason=NO_TEXTURE)
    parts = tuple(Part(name=f"found {label}", value=1.0) for label in sorted(found))
    return Scored(value=float(label in found), parts=parts)


def labels_of(view: ClipView, profile: Profile) -> frozenset[str] | None:
    """The camera labels of a clip; None if there is too little texture to determine them."""
    if profile == "fixed":
        return None if view.path is None else path_labels(view.path)
    if not view.has_texture:
        return None
    cut = first_cut(view.changes, CAMERA_THRESHOLD)
    return camera_labels(view.tracks.xy_TN2[:cut], *view.size)

"""Camera_Motion: does the camera move as the prompt says?"""

from __future__ import annotations

from rushes.records import Outcome, Part, Scored, Unscored
from rushes_vbench.metrics.camera_compat import camera_labels
from rushes_vbench.metrics.camera_path import path_labels
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.scenes import CAMERA_THRESHOLD, first_cut
from rushes_vbench.metrics.view import ClipView

NO_TEXTURE = "there is too little texture to follow: no camera motion can be told"


def camera_motion(view: ClipView, label: str, profile: Profile) -> Outcome:
    """1 when the asked label is among those found, else 0; each found label is a part.

    `fixed` looks at the longest scene rather than at what comes before the first change, takes the motion of the whole
    picture rather than of four probes, per second rather than per clip, and lets `static` stand for itself.

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
    """The camera labels of a clip; None where there is too little texture to tell."""
    if profile == "fixed":
        return None if view.path is None else path_labels(view.path)
    if not view.has_texture:
        return None
    cut = first_cut(view.changes, CAMERA_THRESHOLD)
    return camera_labels(view.tracks.xy_TN2[:cut], *view.size)

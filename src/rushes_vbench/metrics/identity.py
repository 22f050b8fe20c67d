"""Human_Identity: does one person keep the same face?

Officially a frame without a face counts as one with the right face, and the first frame must show exactly one. `fixed`
counts only frames with exactly one face and starts at the first of them, so turning away gains nothing.

Legend: T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.records import Outcome, Part, Scored
from rushes_vbench.metrics.core import Profile, not_applicable
from rushes_vbench.metrics.models import FaceEmbedder, FaceFinder

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F64

SAME: Final = 0.4
"""Cosine from which two faces are one person; the official value for its own embedder. Others need their own."""
MIN_COUNTED: Final = 20
"""Fewest counted frames, officially."""
MIN_SHARE: Final = 0.25
"""Smallest share of the frames that must show exactly one face, in `fixed`; never fewer than 5 frames."""


def identity_outcome(
    num_faces_T: Sequence[int], cosine_T: Sequence[float | None], profile: Profile, same: float = SAME
) -> Outcome:
    """The share of the counted frames that show the person of the first one.

    Args:
        num_faces_T: faces found in each frame.
        cosine_T: for each frame with exactly one face, its similarity to that of the reference frame (the first frame
        officially, the first with exactly one face in `fixed`); None elsewhere.
        profile: whose rules.
        same: similarity from which it is the same person.
    """
    if profile == "compat" and (not num_faces_T or num_faces_T[0] != 1):
        return not_applicable("the first frame does not show exactly one face")
    first = next((t for t, count in enumerate(num_faces_T) if count == 1), None)
    if first is None:
        return not_applicable("no frame shows exactly one face")
    later = range(first + 1, len(num_faces_T))
    single = [t for t in later if num_faces_T[t] == 1]
    consistent = sum(_likeness(cosine_T, t) >= same for t in single)
    counted = len(single)
    if profile == "compat":
        empty = sum(num_faces_T[t] == 0 for t in later)
        consistent, counted = consistent + empty, counted + empty
    fewest = MIN_COUNTED if profile == "compat" else max(5, round(MIN_SHARE * len(num_faces_T)))
    if counted < fewest:
        return not_applicable(f"{counted} frames can be compared with the first face; {fewest} are needed")
    seen = Part(name="frames with exactly one face", value=len(single) / len(later))
    return Scored(value=consistent / counted, parts=(seen,))


def _likeness(cosine_T: Sequence[float | None], t: int) -> float:
    value = cosine_T[t]
    if value is None:
        raise ValueError(f"expected a similarity for frame {t}, which shows exactly one face")
    return value


def human_identity(
    frames_THWC: Frames, profile: Profile, finder: FaceFinder, embedder: FaceEmbedder, same: float = SAME
) -> Outcome:
    """The outcome of one clip; every frame is used, as officially.

    Args:
        frames_THWC: the clip.
        profile: whose rules.
        finder: finds faces.
        embedder: compares them.
        same: similarity from which it is the same person, for this embedder.
    """
    counts: list[int] = []
    cosines: list[float | None] = []
    reference: F64 | None = None
    for frame in frames_THWC:
        faces = finder.find(frame)
        counts.append(len(faces))
        if len(faces) != 1:
            cosines.append(None)
            continue
        vector = embedder.embed(frame, faces[0])
        reference = vector if reference is None else reference
        cosines.append(cosine(reference, vector))
    return identity_outcome(counts, cosines, profile, same)


def cosine(a: F64, b: F64) -> float:
    """Cosine similarity of two vectors, -1 to 1; 0 if one of them is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b)) / lengths if lengths > 0 else 0.0

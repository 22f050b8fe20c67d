"""Human_Identity: which frames count, with scripted faces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rushes.records import Outcome, Scored
from rushes_vbench.metrics.core import Profile, is_not_applicable
from rushes_vbench.metrics.identity import cosine, human_identity, identity_outcome
from rushes_vbench.metrics.models import Box, Face

BOTH: tuple[Profile, ...] = ("compat", "fixed")


def value(outcome: Outcome) -> float | None:
    return outcome.value if isinstance(outcome, Scored) else None


@pytest.mark.parametrize("profile", BOTH)
def test_one_face_throughout(profile: Profile) -> None:
    likeness: list[float | None] = [1.0, *[0.4] * 15, *[0.39] * 5]
    assert value(identity_outcome([1] * 21, likeness, profile)) == pytest.approx(0.75)
    assert value(identity_outcome([1] * 21, likeness, profile, same=0.3)) == 1.0


def test_turning_away_pays_officially_only() -> None:
    counts = [1] * 11 + [0] * 10
    likeness: list[float | None] = [1.0, *[0.1] * 10, *[None] * 10]
    assert value(identity_outcome(counts, likeness, "compat")) == pytest.approx(0.5)
    assert value(identity_outcome(counts, likeness, "fixed")) == 0.0


def test_the_first_frame() -> None:
    counts = [0, *[1] * 21]
    likeness: list[float | None] = [None, 1.0, *[0.9] * 20]
    assert is_not_applicable(identity_outcome(counts, likeness, "compat"))
    assert value(identity_outcome(counts, likeness, "fixed")) == 1.0


@pytest.mark.parametrize("profile", BOTH)
def test_several_faces_are_skipped_and_too_few_frames_say_nothing(profile: Profile) -> None:
    assert value(identity_outcome([1] * 21 + [2] * 9, [1.0] + [0.9] * 20 + [None] * 9, profile)) == 1.0
    assert is_not_applicable(identity_outcome([1] * 3 + [2] * 40, [1.0, 0.9, 0.9] + [None] * 40, profile))
    assert is_not_applicable(identity_outcome([2] * 40, [None] * 40, profile))
    assert is_not_applicable(identity_outcome([], [], profile))


def test_short_clips() -> None:
    likeness: list[float | None] = [1.0] * 17
    assert is_not_applicable(identity_outcome([1] * 17, likeness, "compat"))
    assert value(identity_outcome([1] * 17, likeness, "fixed")) == 1.0


def test_a_missing_likeness_is_a_bug() -> None:
    with pytest.raises(ValueError, match="expected a similarity for frame 1"):
        identity_outcome([1, 1], [1.0, None], "compat")


class GreyFaces:
    """A face in every frame that is not black; its vector turns with the brightness."""

    def find(self, frame_HWC: npt.NDArray[np.uint8]) -> list[Face]:
        return [Face(Box(0, 0, 8, 8, 0.9, "face"))] if frame_HWC.any() else []

    def embed(self, frame_HWC: npt.NDArray[np.uint8], face: Face) -> npt.NDArray[np.float64]:
        angle = np.radians(float(frame_HWC[0, 0, 0]) - 1)
        return np.array([np.cos(angle), np.sin(angle)])


def test_frames_go_through_finder_and_embedder() -> None:
    brightness = [0, 1] + [30] * 10 + [91] * 10
    frames = np.array(brightness, np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    found = human_identity(frames, "fixed", GreyFaces(), GreyFaces())
    assert value(found) == pytest.approx(0.5), "29 degrees are the same person, 90 are not"


def test_cosine() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([3.0, 4.0])) == pytest.approx(0.6)
    assert cosine(np.array([0.0, 0.0]), np.array([3.0, 4.0])) == 0.0

"""Human_Anatomy: what counts as a person, and the pooled share, with a scripted detector and classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from rushes.records import Scored
from rushes_vbench.metrics.anatomy import SeenPerson, anatomy_outcome, human_anatomy, kept_boxes, square_around
from rushes_vbench.metrics.core import is_not_applicable
from rushes_vbench.metrics.models import Box, overlap
from rushes_vbench.metrics.together import alone

Picture = npt.NDArray[np.uint8]
GOOD, BAD = SeenPerson((("human", 0.1), ("hand", 0.3))), SeenPerson((("human", 0.1), ("hand", 0.33)))


def box(x0: float, y0: float, x1: float, y1: float, score: float = 0.9, label: str = "human") -> Box:
    return Box(x0, y0, x1, y1, score, label)


def test_share_over_all_people() -> None:
    found = anatomy_outcome([GOOD, GOOD, BAD, GOOD], "compat")
    assert isinstance(found, Scored) and found.value == 0.75
    assert {part.name: part.value for part in found.parts} == {"human looks right": 1.0, "hand looks right": 0.75}


def test_thresholds_are_strict() -> None:
    for part, threshold in (("human", 0.4545), ("face", 0.3030), ("hand", 0.3232)):
        assert not SeenPerson(((part, threshold),)).is_abnormal
        assert SeenPerson(((part, threshold + 1e-6),)).is_abnormal


def test_a_clip_without_people() -> None:
    empty = anatomy_outcome([], "compat")
    assert isinstance(empty, Scored) and empty.value == 1.0
    assert is_not_applicable(anatomy_outcome([], "fixed"))


def test_overlap() -> None:
    assert overlap(box(0, 0, 10, 10), box(0, 0, 10, 10)) == 1.0
    assert overlap(box(0, 0, 10, 10), box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap(box(0, 0, 10, 10), box(20, 0, 30, 10)) == 0.0


def test_kept_boxes() -> None:
    twice = [box(0, 0, 10, 10, 0.5), box(0, 0, 10, 11, 0.9), box(50, 0, 60, 10, 0.2), box(0, 0, 9, 9, 0.05)]
    assert [each.score for each in kept_boxes(twice, "compat", {"human"})] == [0.9, 0.5, 0.2]
    assert [each.score for each in kept_boxes(twice, "fixed", {"human"})] == [0.9]
    assert kept_boxes([box(0, 0, 9, 9, 0.9, "cat")], "fixed", {"human"}) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (box(40, 40, 60, 50), (40, 35, 60, 55)),
        (box(0, 0, 10, 20), (0, 0, 20, 20)),
        (box(90, 90, 100, 100), (90, 90, 100, 100)),
        (box(0, 40, 150, 60), (65, 40, 85, 60)),
        (box(-5, -5, -4, -4), (0, 0, 1, 1)),
    ],
)
def test_square_around(found: Box, expected: tuple[int, int, int, int]) -> None:
    assert square_around(found, 100, 200) == expected


class Painted:
    """Sees a person where the picture is not black, and a hand where it is red, whatever the colours' order."""

    def detect(self, frame_HWC: Picture, labels: Sequence[str]) -> list[Box]:
        ys, xs = np.nonzero(frame_HWC.max(axis=2) > 0)
        if not len(xs):
            return []
        return [box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, label=label) for label in labels if label != "face"]


class RedIsWrong:
    """Says "wrong" to a crop that is more red than blue; remembers the parts."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def p_abnormal(self, crop_HWC: Picture, part: str) -> float:
        assert crop_HWC.shape == (224, 224, 3)
        self.parts.append(part)
        return float(crop_HWC[..., 0].mean() > crop_HWC[..., 2].mean())


def test_frames_go_through_detector_crops_and_classifier() -> None:
    frames = np.zeros((4, 60, 80, 3), np.uint8)
    frames[0, 10:40, 20:50] = (255, 0, 0)
    frames[1:3, 10:40, 20:50] = (0, 0, 255)
    classifier = RedIsWrong()
    fixed = alone(human_anatomy(frames, "fixed", Painted(), classifier))
    compat = alone(human_anatomy(frames, "compat", Painted(), RedIsWrong()))
    assert classifier.parts == ["human", "hand"] * 3
    assert isinstance(fixed, Scored) and fixed.value == pytest.approx(2 / 3)
    assert isinstance(compat, Scored) and compat.value == pytest.approx(1 / 3), "officially red and blue are swapped"


class Grey:
    """Finds the whole picture, and remembers what the classifier was shown."""

    def __init__(self) -> None:
        self.crops: list[Picture] = []

    def detect(self, frame_HWC: Picture, labels: Sequence[str]) -> list[Box]:
        return [box(0, 0, frame_HWC.shape[1], frame_HWC.shape[0])] if "human" in labels else []

    def p_abnormal(self, crop_HWC: Picture, part: str) -> float:
        self.crops.append(crop_HWC)
        return 0.0


def test_large_people_are_smoothed_before_they_are_shrunk() -> None:
    stripes = np.zeros((1, 1024, 1024, 3), np.uint8)
    stripes[:, :, ::4] = 255
    seen = Grey()
    alone(human_anatomy(stripes, "fixed", seen, seen))
    (crop,) = seen.crops
    assert np.abs(crop[..., 0].astype(float) - 255 / 4).max() < 12, "every fourth column is white: a dark grey"

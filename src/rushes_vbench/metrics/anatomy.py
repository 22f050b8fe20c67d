"""Human_Anatomy: the share of people, frame by frame, whose body, face and hands look right.

A person is one box in one frame. Officially every box of the detector counts, whatever its name and confidence; a clip
without people scores 1; and the classifiers get the colour channels swapped. `fixed` keeps boxes named as a person
with enough confidence, each person once, in true colours; a clip without people is not applicable.

Legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rushes.records import Outcome, Part, Scored
from rushes_vbench.metrics.core import Profile, not_applicable
from rushes_vbench.metrics.grouping import in_groups
from rushes_vbench.metrics.models import AnomalyClassifier, Box, Crop, Detector, RatesMany, RatesTogether, overlap
from rushes_vbench.metrics.together import Asking, ask_all

if TYPE_CHECKING:
    from rushes.roles import Frames

THRESHOLDS: Final = {"human": 0.4545, "face": 0.3030, "hand": 0.3232}
"""A crop is abnormal above this probability. Chosen for the official classifiers; others need their own values."""
LOWEST_SCORE: Final = {"compat": 0.1, "fixed": 0.3}
"""Boxes with a lower score are left out."""
SAME_PERSON: Final = 0.6
"""Boxes that overlap more (intersection over union) are one person, in `fixed`."""
CROP_PX: Final = (256, 224)
"""Crops are resized to the first and cut to the second around their middle."""


@dataclass(frozen=True)
class SeenPerson:
    """One person in one frame."""

    p_abnormal: tuple[tuple[str, float], ...]
    """Part ("human", "face", "hand") and the probability that it looks wrong, one entry per crop."""

    @property
    def is_abnormal(self) -> bool:
        """True if any of the crops is."""
        return any(p > THRESHOLDS[part] for part, p in self.p_abnormal)


def anatomy_outcome(people: Sequence[SeenPerson], profile: Profile) -> Outcome:
    """1 - abnormal / all people, over all frames together.

    Args:
        people: everyone in every frame.
        profile: whose rule for clips without people: 1 officially, not applicable in `fixed`.
    """
    if not people:
        return Scored(value=1.0) if profile == "compat" else not_applicable("no person is seen in any frame")
    share = sum(person.is_abnormal for person in people) / len(people)
    return Scored(value=1.0 - share, parts=tuple(_by_part(people)))


def _by_part(people: Sequence[SeenPerson]) -> list[Part]:
    parts: list[Part] = []
    for name, threshold in THRESHOLDS.items():
        found = [p > threshold for person in people for part, p in person.p_abnormal if part == name]
        if found:
            parts.append(Part(name=f"{name} looks right", value=1.0 - sum(found) / len(found)))
    return parts


def human_anatomy(
    frames_THWC: Frames, profile: Profile, detector: Detector, classifier: AnomalyClassifier
) -> Asking[Outcome]:
    """The outcome of one clip; every frame is used, as officially.

    Args:
        frames_THWC: the clip.
        profile: whose rules.
        detector: finds "human", and "face" and "hand" inside.
        classifier: rates square crops.
    """
    people: list[list[tuple[Frames, str]]] = []
    for frame in frames_THWC:
        for box in kept_boxes(detector.detect(frame, ["human"]), profile, {"human"}):
            parts = [("human", box)]
            inside = _cut(frame, box)
            if inside.size:
                found = kept_boxes(detector.detect(inside, ["face", "hand"]), profile, {"face", "hand"})
                parts += [(part.label, _moved(part, int(box.x0), int(box.y0))) for part in found]
            people.append([(_crop(frame, each, profile), name) for name, each in parts])
    rated = iter((yield from _rated([crop for person in people for crop in person], classifier)))
    return anatomy_outcome([SeenPerson(tuple((name, next(rated)) for _, name in person)) for person in people], profile)


def _rated(crops: Sequence[Crop], classifier: AnomalyClassifier) -> Asking[Sequence[float]]:
    """The probability of each crop of a clip; crops of one part are looked at together where the classifier can."""
    if isinstance(classifier, RatesTogether):
        numbers = [
            group
            for part in THRESHOLDS
            if (own := [i for i, (_, name) in enumerate(crops) if name == part])
            for group in in_groups(own, classifier.num_together)
        ]
        replies = yield from ask_all(classifier.p_abnormal_of, [[crops[i] for i in group] for group in numbers])
        found = {i: p for group, rated in zip(numbers, replies, strict=True) for i, p in zip(group, rated, strict=True)}
        return [found[i] for i in range(len(crops))]
    if isinstance(classifier, RatesMany):
        return (yield from ask_all(classifier.p_abnormal_all, crops))
    return [classifier.p_abnormal(*crop) for crop in crops]


def kept_boxes(boxes: Sequence[Box], profile: Profile, labels: set[str]) -> list[Box]:
    """The boxes that count, highest score first. In `fixed` overlapping boxes of one label are one thing."""
    sure = sorted((box for box in boxes if box.score > LOWEST_SCORE[profile]), key=lambda box: -box.score)
    named = [box for box in sure if box.label in labels]
    if profile == "compat":
        return named
    kept: list[Box] = []
    for box in named:
        if not any(overlap(box, other) > SAME_PERSON for other in kept if other.label == box.label):
            kept.append(box)
    return kept


def square_around(box: Box, height_px: int, width_px: int) -> tuple[int, int, int, int]:
    """The square that is cut out for a box: x0, y0, x1, y1.

    Its side is the longer side of the box, moved to fit inside the picture. If that is longer than the picture's
    shorter side, its side is the shorter side of the box, around its middle.
    """
    width, height = box.x1 - box.x0, box.y1 - box.y0
    side = int(max(width, height))
    if side > min(height_px, width_px):
        side = int(min(width, height, height_px, width_px))
    side = max(1, side)
    x0 = round((box.x0 + box.x1) / 2 - side / 2)
    y0 = round((box.y0 + box.y1) / 2 - side / 2)
    x0, y0 = max(0, min(x0, width_px - side)), max(0, min(y0, height_px - side))
    return x0, y0, x0 + side, y0 + side


def _crop(frame: Frames, box: Box, profile: Profile) -> Frames:
    import numpy as np
    from PIL import Image

    # The official crops, too, are resized (bicubic) and cropped as Pillow pictures, through torchvision: Pillow smooths
    # when it shrinks, OpenCV would not. The squares themselves are rounded differently and may differ by a pixel.
    square = Image.fromarray(frame).crop(square_around(box, *frame.shape[:2]))
    edge = (CROP_PX[0] - CROP_PX[1]) // 2
    inside = (edge, edge, edge + CROP_PX[1], edge + CROP_PX[1])
    crop: Frames = np.array(square.resize((CROP_PX[0], CROP_PX[0]), Image.Resampling.BICUBIC).crop(inside))
    return crop[..., ::-1].copy() if profile == "compat" else crop


def _cut(frame: Frames, box: Box) -> Frames:
    cut: Frames = frame[max(0, int(box.y0)) : int(box.y1), max(0, int(box.x0)) : int(box.x1)]
    return cut


def _moved(box: Box, x: int, y: int) -> Box:
    x, y = max(0, x), max(0, y)
    return Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y, box.score, box.label)

"""The instance judge: right numbers of things in the frames, by any detector; a still picture earns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rushes.feedback import ScaleValue, ScoreRequest
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Failed, Video
from rushes_vbench.judges.instances import InstanceJudge, InstanceJudgeSpec
from rushes_vbench.metrics.models import Box
from tests.support.tiny_detectors import make_owlv2
from tests.support.vbench_clips import moved

if TYPE_CHECKING:
    from rushes.roles import Frames


class Stripes:
    """Finds one thing of the name asked for per white column of pixels 0, 2, 4, ... in the first row."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, ...]] = set()

    def detect(self, frame_HWC: Frames, labels: Sequence[str]) -> list[Box]:
        self.asked.add(tuple(labels))
        num = int((frame_HWC[0, :20:2, 0] == 255).sum())
        return [Box(0, 0, 1, 1, 0.9, labels[0]) for _ in range(num)]


def clip(*num: int) -> Video:
    frames = moved(right=3.0).frames_THWC[:: 33 // len(num)][: len(num)].copy()
    for frame, each in zip(frames, num, strict=True):
        frame[0, :20, 0] = 0
        frame[0, : 2 * each : 2, 0] = 255
    return Video(frames, 8.0)


def score(judge: InstanceJudge, video: Video, text: str, dimension: str = "Instance_Preservation") -> ScaleValue:
    (given,) = judge.score([ScoreRequest(video, text, dimension)])
    assert not isinstance(given, Failed)
    return given[0]


def test_the_share_of_frames_with_the_right_number() -> None:
    detector = Stripes()
    found = score(InstanceJudge(detector), clip(3, 3, 2, 3), "Three kites cross in the sky")
    assert found == ScaleValue("Instance_Preservation", 0.75) and detector.asked == {("kite",)}
    assert score(InstanceJudge(detector), clip(2, 2, 2, 2), "Three kites cross in the sky").value == 0.0


@pytest.mark.parametrize(
    ("video", "text", "dimension", "says"),
    [
        (clip(3, 3), "Kites cross in the sky", "Instance_Preservation", "says of nothing how many"),
        (clip(3, 3), "Three kites cross", "Composition", "alone, not Composition"),
        (
            Video(np.repeat(clip(3).frames_THWC[:1], 4, axis=0), 8.0),
            "Three kites cross",
            "Instance_Preservation",
            "merit",
        ),
        (Video(clip(3).frames_THWC[:1], 8.0), "Three kites cross", "Instance_Preservation", "1 frame(s)"),
    ],
)
def test_what_cannot_be_judged_has_a_reason(video: Video, text: str, dimension: str, says: str) -> None:
    found = score(InstanceJudge(Stripes()), video, text, dimension)
    assert found.value is None and says in str(found.unscored_reason)


def test_a_real_class_with_random_weights_judges(tmp_path: Path) -> None:
    judge = InstanceJudgeSpec(detector=str(make_owlv2(tmp_path / "owlv2"))).build(RuntimeSpec())
    found = score(judge, moved(right=3.0), "Two red balls roll")
    assert found.value is not None and 0.0 <= found.value <= 1.0


def test_a_detector_that_is_not_there_is_told_with_its_install_line() -> None:
    (finding,) = InstanceJudgeSpec(detector="owlv2").findings(RuntimeSpec())
    assert "hf download google/owlv2-base-patch16-ensemble --local-dir owlv2" in str(finding)
    assert "--set judge.by_dimension.Instance_Preservation.options.detector=owlv2" in str(finding)
    assert not InstanceJudgeSpec(detector="google/owlv2-base-patch16-ensemble").findings(RuntimeSpec())

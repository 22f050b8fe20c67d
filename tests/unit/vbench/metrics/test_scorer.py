"""One clip, all metrics: models that are missing, clips that cannot be used, and work that is done once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rushes.errors import UserError
from rushes.records import Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes_vbench.catalogue import dimensions
from rushes_vbench.metrics.core import Profile, is_not_applicable
from rushes_vbench.metrics.faces import SFACE_INSTALL, YUNET_INSTALL
from rushes_vbench.metrics.models import Box, PointTracker, Tracks
from rushes_vbench.metrics.motion_models import DenseInverseSearch, SiftRansac
from rushes_vbench.metrics.scorer import NEEDS, Models, missing, score_clip, score_takes
from rushes_vbench.metrics.trackers import LucasKanade
from tests.support.vbench_clips import ScriptedJudge, entry, flat, moved

BOTH: tuple[Profile, ...] = ("compat", "fixed")
REFERENCES = {
    "Camera_Motion": ("static",),
    "Instance_Preservation": ("1.cat",),
    "Dynamic_Spatial_Relationship": ("a?", "b?"),
    "Motion_Order_Understanding": ("a", "b"),
}
ALL = [entry(name, *REFERENCES.get(name, ("a?",))) for name in NEEDS]
WEIGHT_FREE = Models(tracker=LucasKanade(), flow=DenseInverseSearch(), matcher=SiftRansac(500))


def test_every_dimension_has_a_metric() -> None:
    assert set(NEEDS) == {each.name for each in dimensions()} and len(NEEDS) == 18


def test_missing_models_are_named() -> None:
    lacking = missing(NEEDS, WEIGHT_FREE)
    assert set(NEEDS) - set(lacking) == {"Camera_Motion", "Multi-View_Consistency"}
    assert lacking["Human_Identity"] == ("face_finder", "face_embedder")
    with pytest.raises(UserError, match="no such dimension"):
        missing(["Camera Motion"], WEIGHT_FREE)


@pytest.mark.parametrize("profile", BOTH)
def test_what_is_missing_is_unscored_with_its_name(profile: Profile) -> None:
    found = score_clip(moved(), ALL, profile, Models())
    assert set(found) == set(NEEDS)
    for name, outcome in found.items():
        assert isinstance(outcome, Unscored) and not is_not_applicable(outcome)
        assert name == "Diversity" or NEEDS[name][0] in outcome.reason
    for name, line in (
        ("Human_Anatomy", "hf download google/owlv2-base-patch16-ensemble"),
        ("Human_Identity", f"{YUNET_INSTALL}, face_finder=face_detection_yunet_2023mar.onnx"),
        ("Human_Identity", f"{SFACE_INSTALL}, face_embedder=face_recognition_sface_2021dec.onnx"),
        ("Complex_Plot", "text_judge={kind: llm"),
    ):
        outcome = found[name]
        assert isinstance(outcome, Unscored) and line in outcome.reason
    whole = score_takes([moved(), moved()], profile, Models())
    assert isinstance(whole, Unscored) and "hf download timm/vgg19.tv_in1k" in whole.reason


BAD: dict[str, tuple[Video, str]] = {
    "one frame": (Video(moved().frames_THWC[:1], 16.0), "1 frame"),
    "no frame": (Video(moved().frames_THWC[:0], 16.0), "0 frame"),
    "grey": (Video(np.zeros((8, 32, 32), np.uint8), 16.0), "shape"),
    "floats": (Video(np.zeros((8, 32, 32, 3)), 16.0), "float64"),  # type: ignore[arg-type]
    "tiny": (Video(np.zeros((8, 8, 64, 3), np.uint8), 16.0), "64x8"),
}


@pytest.mark.parametrize("profile", BOTH)
@pytest.mark.parametrize("name", BAD)
def test_unusable_clips_are_unscored_in_every_dimension(profile: Profile, name: str) -> None:
    video, words = BAD[name]
    for outcome in score_clip(video, ALL, profile, WEIGHT_FREE).values():
        assert isinstance(outcome, Unscored) and words in outcome.reason
    whole = score_takes([moved(), video], profile, WEIGHT_FREE)
    assert isinstance(whole, Unscored) and "clip 1" in whole.reason and words in whole.reason


@pytest.mark.parametrize("fps", [0.0, float("nan"), -1.0])
def test_an_unknown_frame_rate(fps: float) -> None:
    video = Video(moved(right=-1.5).frames_THWC, fps)
    asked = [entry("Camera_Motion", "pan_right"), entry("Multi-View_Consistency"), entry("Mechanics", "a?")]
    fixed = score_clip(video, asked, "fixed", WEIGHT_FREE)
    assert all(isinstance(each, Unscored) and "frame rate" in each.reason for each in fixed.values())
    compat = score_clip(video, asked, "compat", WEIGHT_FREE)
    camera = compat.pop("Camera_Motion")
    assert isinstance(camera, Scored) and camera.value == 1.0, "the official rule never looks at the frame rate"
    assert all(isinstance(each, Unscored) and "frame rate" in each.reason for each in compat.values())


@pytest.mark.parametrize("profile", BOTH)
def test_no_texture(profile: Profile) -> None:
    asked = [entry("Camera_Motion", "static"), entry("Multi-View_Consistency")]
    for outcome in score_clip(flat(), asked, profile, WEIGHT_FREE).values():
        assert isinstance(outcome, Unscored) and "texture" in outcome.reason


class CountingTracker:
    """Lucas-Kanade that counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0
        self._tracker: PointTracker = LucasKanade()

    def track(self, frames_THWC: np.typing.NDArray[np.uint8], grid_N2: np.typing.NDArray[np.float64]) -> Tracks:
        self.calls += 1
        return self._tracker.track(frames_THWC, grid_N2)


def test_two_metrics_share_one_tracking() -> None:
    tracker = CountingTracker()
    models = Models(tracker=tracker, flow=DenseInverseSearch(), matcher=SiftRansac(500))
    score_clip(
        moved(right=1.0), [entry("Camera_Motion", "pan_left"), entry("Multi-View_Consistency")], "compat", models
    )
    assert tracker.calls == 1


class Broken:
    """A judge that raises."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        raise RuntimeError("CUDA out of memory")


def test_a_model_that_breaks_loses_its_own_dimension_only() -> None:
    models = Models(judge=Broken(), tracker=LucasKanade())
    found = score_clip(moved(), [entry("Mechanics", "a?"), entry("Camera_Motion", "static")], "fixed", models)
    broken, camera = found["Mechanics"], found["Camera_Motion"]
    assert isinstance(broken, Unscored) and "CUDA out of memory" in broken.reason and not is_not_applicable(broken)
    assert isinstance(camera, Scored) and camera.value == 1.0


def test_a_lack_of_memory_says_nothing_about_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Broken, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        raise MemoryError("no room")

    monkeypatch.setattr(Broken, "answer", full)
    (found,) = score_clip(moved(), [entry("Mechanics", "a?")], "fixed", Models(judge=Broken())).values()
    assert isinstance(found, Failed) and found.retry == "counted"


class OneCat:
    """Sees one cat and no person."""

    def detect(self, frame_HWC: np.typing.NDArray[np.uint8], labels: Sequence[str]) -> list[Box]:
        return [Box(0, 0, 9, 9, 0.9, "cat")] if "cat" in labels else []

    def p_abnormal(self, crop_HWC: np.typing.NDArray[np.uint8], part: str) -> float:
        raise AssertionError("there is nobody to look at")


def test_counts_join_in_fixed_where_a_detector_is_given() -> None:
    for counts, profile, value in (("1.cat", "fixed", 1.0), ("2.cat", "fixed", 0.0), ("2.cat", "compat", 1.0)):
        models = Models(judge=ScriptedJudge(0.1, 0.1), detector=OneCat())
        asked = [entry("Instance_Preservation", counts)]
        found = score_clip(moved(right=1.0), asked, "fixed" if profile == "fixed" else "compat", models)
        outcome = found[asked[0].dimension]
        assert isinstance(outcome, Scored) and outcome.value == value


def test_a_still_picture_keeps_its_things_without_merit() -> None:
    asked, judge = [entry("Instance_Preservation", "1.cat")], ScriptedJudge(0.1, 0.1)
    models = Models(judge=judge)
    fixed = score_clip(moved(), asked, "fixed", models)["Instance_Preservation"]
    assert is_not_applicable(fixed) and not judge.seen, "nothing is asked about it"
    compat = score_clip(moved(), asked, "compat", models)["Instance_Preservation"]
    assert isinstance(compat, Scored) and compat.value == 1.0
    models = Models(judge=ScriptedJudge(0.1, 0.1))
    moving = score_clip(moved(right=1.0), asked, "fixed", models)["Instance_Preservation"]
    assert isinstance(moving, Scored) and moving.value == 1.0


def test_nobody_there() -> None:
    models = Models(detector=OneCat(), anomaly=OneCat())
    fixed = score_clip(moved(), [entry("Human_Anatomy")], "fixed", models)["Human_Anatomy"]
    compat = score_clip(moved(), [entry("Human_Anatomy")], "compat", models)["Human_Anatomy"]
    assert is_not_applicable(fixed) and isinstance(compat, Scored) and compat.value == 1.0

"""The camera judge: what its score rewards, on paths, on synthetic clips, and on real ones where they are there."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from rushes.feedback import ScaleValue, ScoreRequest
from rushes.roles import Failed, Runtime, Video
from rushes.store.video import read_video
from rushes_vbench.judges.camera import CameraJudgeSpec
from rushes_vbench.judges.motion_score import motion_score
from rushes_vbench.metrics.camera_path import RESTLESS, CameraPath
from rushes_vbench.metrics.camera_stretch import SLOWEST_PER_S
from tests.support.vbench_clips import flat, moved, orbit

CLIPS = Path(__file__).resolve().parents[5] / "shared" / "clips"
STILL = CameraPath(right=0.0, down=0.0, grow=0.0, roll=0.0, above=0.0, below=0.0, speed=0.0, moving=0.0, told=1.0)


def path(**moves: float) -> CameraPath:
    return CameraPath(**{**vars(STILL), **moves})


def test_speed_is_not_rewarded_and_direction_counts() -> None:
    slow, fast = path(right=0.03), path(right=0.3)
    assert motion_score(slow, "pan_left") == motion_score(fast, "pan_left") == 1.0
    assert motion_score(fast, "pan_right") == motion_score(STILL, "pan_left") == 0.0


def test_the_slowest_motion_that_counts_is_worth_a_half_either_way() -> None:
    limit = path(down=SLOWEST_PER_S)
    assert motion_score(limit, "tilt_up") == motion_score(limit, "static") == pytest.approx(0.5)
    assert motion_score(path(speed=RESTLESS * SLOWEST_PER_S), "static") == pytest.approx(0.5), "to and fro"
    assert motion_score(STILL, "static") == 1.0 and motion_score(path(down=0.1), "static") == 0.0


@pytest.mark.parametrize("beside", [{"down": 0.1}, {"roll": 0.2}, {"grow": 0.2}])
def test_another_motion_as_strong_halves_the_score(beside: dict[str, float]) -> None:
    assert motion_score(path(right=0.1, **beside), "pan_left") == pytest.approx(0.5)
    assert motion_score(path(**beside), "static") == 0.0


def test_an_orbit_may_pan_and_an_oblique_shot_needs_both_its_parts() -> None:
    assert motion_score(path(above=0.12, below=-0.12, right=0.1), "orbits") == pytest.approx(1.0)
    assert motion_score(path(above=0.12, below=-0.12, right=0.1), "pan_left") < 0.5
    assert motion_score(path(down=0.1, grow=0.2), "oblique") == pytest.approx(1.0)
    assert motion_score(path(down=0.1), "oblique") == 0.0


def scores(video: Video, text: str, dimension: str = "Camera_Motion", **options: str) -> ScaleValue:
    judge = CameraJudgeSpec.model_validate(options).build(Runtime())
    (given,) = judge.score([ScoreRequest(video, text, dimension)])
    assert not isinstance(given, Failed)
    (value,) = given
    return value


@pytest.mark.parametrize("tracker", ["dense_flow", "lucas_kanade"])
def test_synthetic_clips(tracker: str) -> None:
    pan = moved(right=-1.5)
    for video, text, low, high in (
        (pan, "a wall, pan right", 0.95, 1.0),
        (pan, "a wall, pan left", 0.0, 0.05),
        (pan, "a wall, static camera", 0.0, 0.05),
        (moved(), "a wall, static camera", 0.95, 1.0),
        (moved(grow=0.006), "a wall, zoom in", 0.9, 1.0),
        (orbit(0.5), "the camera orbits a tower", 0.4, 1.0),
    ):
        found = scores(video, text, tracker=tracker)
        assert found.value is not None and low <= found.value <= high, text


def test_labels_are_right_or_wrong() -> None:
    assert scores(moved(right=-1.5, down=0.9), "a wall, pan right", score="label").value == 1.0
    assert scores(moved(right=-1.5), "a wall, pan left", score="label").value == 0.0


@pytest.mark.parametrize(
    ("video", "text", "dimension", "says"),
    [
        (flat(), "a wall, pan right", "Camera_Motion", "too little texture"),
        (moved(), "a wall", "Camera_Motion", "names no camera motion"),
        (moved(), "a wall, pan right", "Composition", "judges Camera_Motion alone, not Composition"),
        (Video(moved().frames_THWC, 0.0), "a wall, pan right", "Camera_Motion", "frame rate is 0.0"),
        (Video(np.zeros((1, 64, 64, 3), np.uint8), 8.0), "a wall, pan right", "Camera_Motion", "1 frame(s)"),
    ],
)
def test_what_cannot_be_judged_has_a_reason(video: Video, text: str, dimension: str, says: str) -> None:
    found = scores(video, text, dimension)
    assert found.value is None and says in str(found.unscored_reason)


def test_a_tracker_that_is_not_there_is_told_with_its_install_line(tmp_path: Path) -> None:
    (finding,) = CameraJudgeSpec(tracker="cotracker3_offline").findings(Runtime())
    assert finding.setting == "tracker" and "git clone" in str(finding)
    assert "--set judge.by_dimension.Camera_Motion.options.cotracker_folder=co-tracker" in str(finding)
    assert not CameraJudgeSpec().findings(Runtime())
    (finding,) = CameraJudgeSpec(tracker="cotracker2", cotracker_folder=str(tmp_path)).findings(Runtime())
    assert "cotracker2.pth --local-dir co-tracker/checkpoints" in str(finding)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "cotracker2.pth").touch()
    assert not CameraJudgeSpec(tracker="cotracker2", cotracker_folder=str(tmp_path)).findings(Runtime()), "not loaded"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the sample clips are not there")
@pytest.mark.parametrize(
    ("words", "asked", "low", "high"),
    [
        ("ant", "static camera", 0.95, 1.0),
        ("red balloons", "static camera", 0.95, 1.0),
        ("red balloons", "pan left", 0.0, 0.05),
        ("Machu Picchu, zoom in", "zoom in", 0.5, 1.0),
        ("cheese", "zoom in", 0.5, 1.0),
        ("Pyramid, pan right", "pan right", 0.0, 0.05),
        ("Alhambra, zoom out", "zoom out", 0.0, 0.05),
    ],
)
def test_real_clips(words: str, asked: str, low: float, high: float) -> None:
    """What is seen in them stands in tests/unit/vbench/metrics/test_clips.py."""
    (file,) = (each for each in CLIPS.glob("*.mp4") if words in each.name)
    for tracker in ("dense_flow", "lucas_kanade"):
        found = scores(_read(file), f"a place, {asked}", tracker=tracker)
        if (words, tracker) == ("Alhambra, zoom out", "lucas_kanade"):
            assert found.value is None and "no camera motion explains" in str(found.unscored_reason)
            continue
        assert found.value is not None and low <= found.value <= high, tracker


@lru_cache(maxsize=1)
def _read(file: Path) -> Video:
    return read_video(file)

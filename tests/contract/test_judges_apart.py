"""The contract of judges that answer no questions: a tracker, a detector, reward models behind servers."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path

import pytest

from rushes.feedback import PreferenceRequest, ScoreRequest
from rushes.judge.served import ServedJudgeSpec, ServedPairsSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Video
from rushes.testing import Check, judge_checks
from rushes_vbench.judges.camera import CameraJudgeSpec
from rushes_vbench.judges.instances import InstanceJudgeSpec
from tests.support import odd_reward
from tests.support.tiny_detectors import make_owlv2
from tests.support.vbench_clips import moved

MOVED = [Video(each.frames_THWC[:17], each.fps) for each in (moved(right=-2.0), moved(grow=0.006), moved())]
COMMAND = shlex.join([sys.executable, odd_reward.__file__, "good"])
RUNTIME = RuntimeSpec.model_validate({"rewards": {"fake": {"command": COMMAND}}})


def requests(text: str, dimension: str) -> list[ScoreRequest]:
    return [ScoreRequest(video, text, dimension) for video in MOVED]


CAMERA = [
    *judge_checks(CameraJudgeSpec(tracker="dense_flow"), requests("a wall, pan right", "Camera_Motion")),
    *judge_checks(CameraJudgeSpec(tracker="lucas_kanade"), requests("a wall, zoom in", "Camera_Motion")),
]
SERVED = [
    *judge_checks(
        ServedJudgeSpec.model_validate({"server": "fake", "model": "fake/one@1", "scales": {"VQ": "points"}}),
        [*requests("a", "Mechanics"), *requests("a longer text", "Mechanics")],
        runtime=RUNTIME,
    ),
    *judge_checks(
        ServedPairsSpec(server="fake", model="fake/one@1"),
        [PreferenceRequest(MOVED[0], MOVED[1], text, "Mechanics") for text in ("a", "b")],
        runtime=RUNTIME,
    ),
]


@pytest.mark.parametrize("check", [*CAMERA, *SERVED], ids=str)
def test_a_tracker_and_reward_servers(check: Check) -> None:
    check()


@pytest.mark.parametrize("name", [str(each) for each in CAMERA[: len(CAMERA) // 2]])
def test_a_detector(name: str, owlv2: Path) -> None:
    asked = partial(requests, dimension="Instance_Preservation")
    spec = InstanceJudgeSpec(detector=str(owlv2))
    checks = judge_checks(spec, [*asked("two red balls roll"), *asked("three cats run")], runtime=RuntimeSpec())
    next(each for each in checks if str(each) == name)()


@pytest.fixture(scope="module")
def owlv2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_owlv2(tmp_path_factory.mktemp("detector") / "owlv2")

"""The role, its Spec, and what is said where a named model cannot be used."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from rushes.errors import InputError, RecipeError, UserError
from rushes.llm.chat import ChatReply, ChatRequest
from rushes.recipe.models import VlmJudgeSpec
from rushes.records import Scored, Unscored
from rushes.roles import Failed, Judge, Runtime, Spec, Subject, Video
from rushes_vbench.metrics.build import build_models
from rushes_vbench.metrics.chat_specs import VlmTellerSpec
from rushes_vbench.metrics.chatting import ServerTeller
from rushes_vbench.metrics.core import Profile, is_not_applicable
from rushes_vbench.metrics.faces import SFACE_INSTALL, YUNET_INSTALL, face_of, row_of
from rushes_vbench.metrics.measurer import VBenchMeasurer, VBenchMeasurerSpec
from rushes_vbench.metrics.models import Box, Face
from rushes_vbench.metrics.scorer import Models
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.suite import Suite
from tests.contract.measurer import check_measurer
from tests.support.vbench_clips import ScriptedJudge, entry, flat, moved
from tests.unit.vbench.metrics.test_diversity import TinyNet

SUITE = Suite(
    (
        entry("Camera_Motion", "pan_right", prompt="Garden, pan right."),
        entry("Diversity", prompt="A bird."),
        entry("Mechanics", "a?", prompt="A ball falls."),
    ),
    "modified",
    "made up",
)


class AnswersSpec(Spec):
    """A judge for the tests."""

    spec_name: ClassVar[str] = "tests.vbench-answers"

    p_yes: float = 0.9

    def build(self, runtime: Runtime) -> Judge:
        return ScriptedJudge(*[self.p_yes] * 50)


class SilentSpec(Spec):
    """Builds what answers nothing."""

    spec_name: ClassVar[str] = "tests.vbench-silent"

    def build(self, runtime: Runtime) -> object:
        return object()


def test_role() -> None:
    measurer = VBenchMeasurer(SUITE, "fixed", Models(tracker=LucasKanade(), features=TinyNet()))
    subjects = [
        Subject("Camera_Motion", "Garden, pan right.", (), (moved(right=-1.5),)),
        Subject("Camera_Motion", "Garden, pan right.", (), (flat(),)),
        Subject("Camera_Motion", "Garden, pan left.", (), (moved(),)),
        Subject("Camera_Motion", "Garden, pan right.", (), (moved(), moved())),
        Subject("Mechanics", "A ball falls.", (), (moved(),)),
        Subject("Diversity", "A bird.", (), (moved(seed=1), moved(seed=2))),
    ]
    pan, blank, unknown, two, no_judge, diverse = measurer.measure(subjects)
    assert isinstance(pan, Scored) and pan.value == 1.0
    assert isinstance(diverse, Scored) and diverse.value > 0
    for outcome, words in (
        (blank, "texture"),
        (unknown, "no prompt"),
        (two, "one clip at a time"),
        (no_judge, "judge"),
    ):
        assert isinstance(outcome, Unscored) and words in outcome.reason and not is_not_applicable(outcome)
    check_measurer(measurer, subjects[:2], tolerance=0.0)


def test_spec_names_plug_ins_as_text() -> None:
    here = f"{__name__}:AnswersSpec"
    plain = VBenchMeasurerSpec.model_validate({"judge": here})
    told = VBenchMeasurerSpec.model_validate({"judge": f'{{"use": "{here}", "options": {{"p_yes": 0.25}}}}'})
    assert plain.judge is not None and plain.judge.use == here
    assert told.judge is not None and told.judge.options == {"p_yes": 0.25}
    assert VBenchMeasurerSpec.model_validate({"judge": ""}).judge is None
    assert pickle.loads(pickle.dumps(told)) == told


EYES = {"kind": "vlm", "model": {"kind": "server", "model": "eyes"}}


class Looker:
    """A chat model that keeps the pictures it is shown."""

    name = "looker"

    def __init__(self) -> None:
        self.pictures: list[np.typing.NDArray[np.uint8]] = []

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        for image in requests[0].messages[0].images:
            self.pictures.append(np.asarray(Image.open(io.BytesIO(image))))
        return [ChatReply("a thing")]


@pytest.mark.parametrize(("profile", "size", "kept"), [("compat", (448, 258), False), ("fixed", (832, 480), True)])
def test_small_things_reach_the_judge_in_fixed(profile: Profile, size: tuple[int, int], kept: bool) -> None:
    spec = VBenchMeasurerSpec.model_validate({"profile": profile, "judge": EYES, "teller": EYES})
    assert isinstance(spec.teller, VlmTellerSpec) and isinstance(spec.judge, VlmJudgeSpec)
    assert spec.judge.max_side_px == spec.teller.max_side_px == size[0]
    stripes = np.zeros((1, 480, 832, 3), np.uint8)
    stripes[:, :, ::2] = 255
    looker = Looker()
    ServerTeller(spec.teller, looker).tell(Video(stripes, 16.0), "What is there?")
    (picture,) = looker.pictures
    assert picture.shape == (size[1], size[0], 3)
    assert bool(picture.astype(float).std() > 64) is kept, "stripes of one pixel are grey where they are lost"


def test_a_size_that_the_recipe_names_stays() -> None:
    small = {**EYES, "max_side_px": 448}
    spec = VBenchMeasurerSpec.model_validate({"judge": small, "teller": json.dumps(small)})
    assert isinstance(spec.teller, VlmTellerSpec) and isinstance(spec.judge, VlmJudgeSpec)
    assert spec.judge.max_side_px == spec.teller.max_side_px == 448
    sharp = VBenchMeasurerSpec.model_validate({"judge": EYES, "teller": EYES})
    assert VBenchMeasurerSpec.model_validate(sharp.model_dump()) == sharp != spec


def test_default_models_need_no_weights() -> None:
    found = build_models(VBenchMeasurerSpec(), Runtime())
    assert found.tracker and found.flow and found.matcher
    assert not any((found.judge, found.teller, found.detector, found.anomaly, found.face_finder, found.features))


def bad(tmp_path: Path) -> dict[str, tuple[dict[str, str], str]]:
    return {
        "tracker": ({"tracker": "cotracker2"}, "cotracker_folder"),
        "vgg19": ({"vgg19": str(tmp_path / "no.safetensors")}, "hf download timm/vgg19.tv_in1k"),
        "faces": ({"face_finder": str(tmp_path / "no.onnx")}, YUNET_INSTALL),
        "embedder": ({"face_embedder": str(tmp_path / "no.onnx")}, SFACE_INSTALL),
        "insightface": ({"face_finder": "insightface"}, "pip install --no-deps insightface"),
        "detector": ({"detector": str(tmp_path / "no")}, "hf download google/owlv2"),
        "anomaly": ({"anomaly": str(tmp_path / "no")}, "human, face, hand"),
        "anomaly without judge": ({"anomaly": "judge"}, "needs a judge"),
        "flow": ({"flow": "raft"}, "torchvision"),
    }


@pytest.mark.parametrize("name", bad(Path()))
def test_a_named_model_that_is_missing_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    settings, words = bad(tmp_path)[name]
    with pytest.raises(UserError) as caught:
        build_models(VBenchMeasurerSpec.model_validate(settings), Runtime())
    assert words in str(caught.value)


def test_a_plug_in_of_the_wrong_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "made_up_plugin", sys.modules[__name__])
    with pytest.raises(RecipeError, match="does not fit"):
        build_models(VBenchMeasurerSpec.model_validate({"judge": "made_up_plugin:SilentSpec"}), Runtime())
    found = build_models(VBenchMeasurerSpec.model_validate({"judge": "made_up_plugin:AnswersSpec"}), Runtime())
    assert isinstance(found.judge, ScriptedJudge)


def test_a_suite_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no copy"):
        VBenchMeasurerSpec(suite=str(tmp_path)).build(Runtime())


def test_broken_face_models(tmp_path: Path) -> None:
    (tmp_path / "face.onnx").write_bytes(b"no model")
    for field in ("face_finder", "face_embedder"):
        with pytest.raises(InputError, match=r"face\.onnx is no model"):
            build_models(VBenchMeasurerSpec.model_validate({field: str(tmp_path / "face.onnx")}), Runtime())


def test_faces_as_numbers() -> None:
    row = [10.0, 20.0, 30.0, 40.0, *map(float, range(10)), 0.8]
    face = face_of(row)
    assert (face.box.x1, face.box.y1, face.box.score) == (40.0, 60.0, 0.8) and face.landmarks[1] == (2.0, 3.0)
    assert np.array_equal(row_of(face), row)
    with pytest.raises(ValueError, match="15 numbers"):
        face_of(row[:14])
    with pytest.raises(ValueError, match="five landmarks"):
        row_of(Face(Box(0, 0, 1, 1, 1.0, "face")))

"""Classifiers from a folder, a judge in their place, and boxes at the picture's edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.errors import InputError
from rushes.roles import Failed, GivenAnswer, JudgeRequest
from rushes_vbench.metrics.core import Unanswered
from rushes_vbench.metrics.detectors import ImageClassifiers, JudgedAnomaly, ZeroShotDetector, clipped, suppressed
from rushes_vbench.metrics.models import Box
from tests.support.tiny_detectors import make_grounding_dino, make_owlv2
from tests.support.vbench_clips import ScriptedJudge

FRAME = np.random.default_rng(1).integers(0, 255, (40, 80, 3), np.uint8)
CROP = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)


def save_classifier(folder: Path, labels: list[str], logits: list[float]) -> None:
    """A vision transformer of transformers whose head ignores the picture and gives these logits."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        image_size=32,
        patch_size=16,
        id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)},
    )
    model = ViTForImageClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(logits))
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def test_classifiers_from_a_folder(tmp_path: Path) -> None:
    save_classifier(tmp_path / "human", ["normal", "abnormal"], [0.0, 1.0])
    save_classifier(tmp_path / "face", ["wrong", "right"], [2.0, 0.0])
    with pytest.raises(InputError, match="'hand'"):
        ImageClassifiers(tmp_path)
    save_classifier(tmp_path / "hand", ["abnormal", "normal"], [0.0, 0.0])
    found = ImageClassifiers(tmp_path)
    sigmoid = [1 / (1 + np.exp(-x)) for x in (1.0, 2.0, 0.0)]
    assert [found.p_abnormal(CROP, part) for part in ("human", "face", "hand")] == pytest.approx(sigmoid, abs=1e-5)


def test_a_judge_looks_at_crops() -> None:
    judge = ScriptedJudge(0.8)
    assert JudgedAnomaly(judge).p_abnormal(CROP, "hand") == 0.8
    (request,) = judge.seen
    assert "hand" in request.questions[0].text and request.questions[0].expected == "no"
    assert np.array_equal(request.video.frames_THWC[1], CROP)


class FailingJudge:
    """Fails as a value."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [Failed("ServerGone", "no reply") for _ in requests]


def test_a_judge_without_an_answer_is_an_error_not_a_number() -> None:
    with pytest.raises(RuntimeError, match="it has no idea"):
        JudgedAnomaly(ScriptedJudge(None)).p_abnormal(CROP, "face")
    with pytest.raises(Unanswered, match="no reply"):
        JudgedAnomaly(FailingJudge()).p_abnormal(CROP, "face")


def test_boxes_are_cut_to_the_picture() -> None:
    found = clipped((-5.0, 10.0, 50.0, 200.0), 1.2, "cat", 100, 40)
    assert found is not None and (found.x0, found.y0, found.x1, found.y1, found.score) == (0.0, 10.0, 40.0, 100.0, 1.0)
    assert clipped((50.0, 0.0, 60.0, 10.0), 0.5, "cat", 100, 40) is None


def test_a_thing_that_was_boxed_twice_is_one_thing() -> None:
    sure, again = Box(0.0, 0.0, 10.0, 10.0, 0.9, "ball"), Box(0.0, 0.0, 10.0, 11.0, 0.5, "ball")
    beside, other = Box(0.0, 0.0, 10.0, 15.0, 0.4, "ball"), Box(0.0, 0.0, 10.0, 10.0, 0.3, "face")
    assert suppressed([again, other, sure, beside]) == [sure, beside, other]


def raw(detector: ZeroShotDetector, names: list[str]) -> dict[str, torch.Tensor]:
    """What the model itself says, without the processor's own reading of it."""
    inputs = detector._processor(text=[names], images=[FRAME], return_tensors="pt")
    with torch.no_grad():
        outputs = detector._model(**inputs)
    return {"logits": outputs.logits[0], "boxes": outputs.pred_boxes[0]}


def corners(row: torch.Tensor, width: float, height: float) -> list[float]:
    """Centre and size, as shares, to corners inside the picture of 40 x 80."""
    x, y, w, h = row.tolist()
    return [
        min(max((x - w / 2) * width, 0.0), 80.0),
        min(max((y - h / 2) * height, 0.0), 40.0),
        min(max((x + w / 2) * width, 0.0), 80.0),
        min(max((y + h / 2) * height, 0.0), 40.0),
    ]


def test_owlv2_boxes_are_those_of_the_padded_square(tmp_path: Path) -> None:
    detector = ZeroShotDetector(str(make_owlv2(tmp_path)))
    names = ["face", "hand"]
    found = detector.detect(FRAME, names)
    said = raw(detector, names)
    scores, which = said["logits"].sigmoid().max(dim=1)
    # Boxes are shares of the square of 80 x 80 that the picture was padded to.
    expected = [
        (corners(box, 80.0, 80.0), float(score), names[int(i)])
        for box, score, i in zip(said["boxes"], scores, which, strict=True)
    ]
    assert found and all(0.0 <= box.x0 < box.x1 <= 80.0 and 0.0 <= box.y0 < box.y1 <= 40.0 for box in found)
    assert found == suppressed(found)
    for box in found:
        near = [
            np.allclose(place, [box.x0, box.y0, box.x1, box.y1], atol=1e-3) and score == pytest.approx(box.score)
            for place, score, label in expected
            if label == box.label
        ]
        assert any(near), f"no output of the model is {box}"


def test_grounding_dino_is_asked_name_by_name(tmp_path: Path) -> None:
    """Its own labels are scraps of the whole question, such as "face [SEP]"; a name asked alone needs none."""
    detector = ZeroShotDetector(str(make_grounding_dino(tmp_path)))
    found = detector.detect(FRAME, ["face", "hand"])
    assert {box.label for box in found} == {"face", "hand"}
    for name in ("face", "hand"):
        said = raw(detector, [name])
        best = int(said["logits"].sigmoid().max(dim=1).values.argmax())
        first = next(box for box in found if box.label == name)
        place = corners(said["boxes"][best], 80.0, 40.0)
        assert np.allclose([first.x0, first.y0, first.x1, first.y1], place, atol=1e-3)
        assert first.score == pytest.approx(float(said["logits"].sigmoid().max()), abs=1e-5)


@pytest.mark.parametrize(
    ("corners", "score"), [((0.0, 0.0, 9.0, 9.0), float("nan")), ((0.0, float("nan"), 9.0, 9.0), 0.5)]
)
def test_numbers_that_are_not_finite_are_no_box(corners: tuple[float, ...], score: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        clipped(corners, score, "cat", 100, 40)


@pytest.mark.parametrize("make", [make_owlv2, make_grounding_dino])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_picture_of_few_rows_is_not_taken_for_channels(
    make: Callable[[Path], Path], rows: int, tmp_path: Path
) -> None:
    """A box cut out of a frame may be three pixels high; the processors would guess which axis holds the colours."""
    detector = ZeroShotDetector(str(make(tmp_path)))
    shown: list[torch.Tensor] = []
    detector._model.register_forward_pre_hook(
        lambda _, __, given: shown.append(given["pixel_values"]), with_kwargs=True
    )
    strip = np.full((rows, 50, 3), (200, 20, 90), np.uint8)
    detector.detect(strip, ["hand"])
    lit = [shown[0][0, channel, 0, :].mean().item() for channel in range(3)]
    assert lit[0] > lit[2] > lit[1], "red, green and blue stay what they are"

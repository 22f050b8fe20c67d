"""Classifiers from a folder, a judge in their place, and boxes at the picture's edge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.errors import InputError
from rushes.roles import Failed, GivenAnswer, JudgeRequest
from rushes.vbench.metrics.core import Unanswered
from rushes.vbench.metrics.detectors import ImageClassifiers, JudgedAnomaly, clipped
from tests.support.vbench_clips import ScriptedJudge

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

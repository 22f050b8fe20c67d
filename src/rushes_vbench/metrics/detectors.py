"""Detectors and anomaly classifiers through transformers, and a judge in place of the classifier.

Legend: H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushes.errors import InputError
from rushes.judge.check import checked
from rushes.records import Question
from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest, Video
from rushes_vbench.metrics.core import Unanswered
from rushes_vbench.metrics.models import Box, overlap

if TYPE_CHECKING:
    from rushes.roles import Frames

DETECTOR_INSTALL: Final = "hf download google/owlv2-base-patch16-ensemble --local-dir owlv2"
"""A zero-shot detector in a folder (Apache-2.0)."""
LOWEST: Final = 0.05
"""Boxes below this score are not passed to the metrics, which have their own thresholds."""
SAME_THING: Final = 0.7
"""Boxes of one name that overlap more (intersection over union) are one thing, as in the official detector; the
detectors of transformers leave this to the caller."""
CHANNELS_LAST: Final = "channels_last"
"""Pictures are H, W, 3. The processors of transformers would guess it, and take a picture of one or three rows for
channels."""
_SPEAKS_OF_PHRASES: Final = frozenset({"grounding-dino", "mm-grounding-dino"})
"""Model types that label a box with whichever words of the whole query fit it, not with one of the names."""
ABNORMAL: Final = 0
"""Class of an anomaly classifier that means "looks wrong", unless its labels say otherwise."""
PARTS: Final = ("human", "face", "hand")


class ZeroShotDetector:
    """Finds things by name with a zero-shot detector of transformers: OWL-ViT, OWLv2, Grounding DINO.

    Args:
        model: folder of the model, or its name in transformers' cache.
        device: "cpu", "cuda", ...
        options: place in the recipe of the options that name it, for errors.

    Raises:
        InputError: there is no such model.
    """

    def __init__(self, model: str, device: str = "cpu", options: str = "measure.measurer.options") -> None:
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

        try:
            self._processor: Any = AutoProcessor.from_pretrained(model)
            self._model: Any = AutoModelForZeroShotObjectDetection.from_pretrained(model).to(device).eval()
        except (OSError, ValueError) as error:
            raise InputError(
                f"the detector cannot be loaded: {error}",
                expected="a zero-shot detector of transformers",
                got=model,
                next_step=f"{DETECTOR_INSTALL}, then --set {options}.detector=owlv2",
            ) from error
        self._by_name = self._model.config.model_type in _SPEAKS_OF_PHRASES
        self._device = device

    def detect(self, frame_HWC: Frames, labels: Sequence[str]) -> list[Box]:
        """See `rushes_vbench.metrics.models.Detector`."""
        names = list(labels)
        asked = [[name] for name in names] if self._by_name else [names]
        found = [box for some in asked for box in self._found(frame_HWC, some)]
        return suppressed(found)

    def _found(self, frame_HWC: Frames, names: list[str]) -> list[Box]:
        """Boxes of one query. A query with one name needs no label to identify it."""
        import torch

        inputs = self._processor(
            text=[names], images=[frame_HWC], return_tensors="pt", input_data_format=CHANNELS_LAST
        ).to(self._device)
        with torch.no_grad():
            outputs = self._model(**inputs)
        height, width = frame_HWC.shape[:2]
        found = self._processor.post_process_grounded_object_detection(
            outputs, target_sizes=[(height, width)], threshold=LOWEST, text_labels=[names]
        )[0]
        labels = names * len(found["boxes"]) if len(names) == 1 else found["text_labels"]
        rows = zip(found["boxes"].tolist(), found["scores"].tolist(), labels, strict=True)
        return [box for corners, score, label in rows if (box := clipped(corners, score, label, height, width))]


def suppressed(boxes: Sequence[Box]) -> list[Box]:
    """Each thing once: of boxes with one label that overlap more than `SAME_THING` the best, highest score first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if not any(box.label == other.label and overlap(box, other) > SAME_THING for other in kept):
            kept.append(box)
    return kept


def clipped(corners: Sequence[float], score: float, label: str, height_px: int, width_px: int) -> Box | None:
    """A box cut to the picture; None if it is outside.

    Raises:
        ValueError: a number that is not finite, which cutting would turn into a place or a score.
    """
    if not all(map(math.isfinite, (*corners, score))):
        raise ValueError(f"expected finite corners and score, got {[*corners]} and {score}")
    x0, y0, x1, y1 = corners
    x0, x1 = max(0.0, x0), min(float(width_px), x1)
    y0, y1 = max(0.0, y0), min(float(height_px), y1)
    return Box(x0, y0, x1, y1, min(1.0, max(0.0, score)), label) if x1 - x0 >= 1.0 and y1 - y0 >= 1.0 else None


class ImageClassifiers:
    """Three image classifiers of transformers, one per part, each with a class that means "looks wrong".

    Args:
        folder: has the model folders `human`, `face` and `hand`. The class named "abnormal" counts, otherwise class 0.
        device: "cpu", "cuda", ...

    Raises:
        InputError: one of them cannot be loaded.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        self._parts: dict[str, tuple[Any, Any, int]] = {}
        for part in PARTS:
            place = Path(folder) / part
            try:
                processor = AutoImageProcessor.from_pretrained(place)
                model = AutoModelForImageClassification.from_pretrained(place).to(device).eval()
            except (OSError, ValueError) as error:
                raise InputError(
                    f"the anomaly classifier for {part!r} cannot be loaded: {error}",
                    expected=f"a folder with the model folders {', '.join(PARTS)}",
                    got=str(folder),
                    next_step="train one on the dataset Vchitect/VBench-2.0_human_anomaly, or ask the judge: "
                    "--set measure.measurer.options.anomaly=judge",
                ) from error
            named = {str(name).lower(): int(i) for i, name in model.config.id2label.items()}
            self._parts[part] = processor, model, named.get("abnormal", ABNORMAL)
        self._device = device

    def p_abnormal(self, crop_HWC: Frames, part: str) -> float:
        """See `rushes_vbench.metrics.models.AnomalyClassifier`."""
        import torch

        processor, model, wrong = self._parts[part]
        inputs = processor(images=[crop_HWC], return_tensors="pt", input_data_format=CHANNELS_LAST).to(self._device)
        with torch.no_grad():
            return float(model(**inputs).logits[0].softmax(dim=-1)[wrong])


class JudgedAnomaly:
    """Asks a yes/no judge about each crop. Not the official classifiers: thresholds and figures differ.

    Args:
        judge: gets the crop as a clip of one picture shown twice.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def p_abnormal(self, crop_HWC: Frames, part: str) -> float:
        """See `rushes_vbench.metrics.models.AnomalyClassifier`.

        Raises:
            RuntimeError: the judge has no answer; the clip becomes unscored.
            Unanswered: the judge failed; the clip is measured again later.
        """
        (found,) = self.p_abnormal_all([(crop_HWC, part)])
        if isinstance(found, Exception):
            raise found
        return found

    def p_abnormal_all(self, crops: Sequence[tuple[Frames, str]]) -> list[float | Exception]:
        """See `rushes_vbench.metrics.models.RatesMany`."""
        return [_rated(reply) for reply in self._judge.answer([_about(*crop) for crop in crops])]


def _about(crop_HWC: Frames, part: str) -> JudgeRequest:
    text = f"Does the {part} in this picture look anatomically wrong: deformed, with parts missing or too many?"
    question = Question(text=text, expected="no", dimension="Human_Anatomy", about="vbench2")
    video = Video(np.broadcast_to(crop_HWC, (2, *crop_HWC.shape)), 1.0)
    return JudgeRequest(video=video, text=f"a {part}", questions=(question,))


def _rated(reply: tuple[GivenAnswer, ...] | Failed) -> float | Exception:
    if isinstance(reply, Failed):
        return Unanswered(reply)
    (given,) = checked(reply, 1)
    if given.p_yes is None:
        return RuntimeError(f"the judge has no answer about a crop: {given.unscored_reason!r}")
    return given.p_yes

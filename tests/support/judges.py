"""Judges for training with the judge in the loop: smooth functions of the pixels, whose gradient is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from rushes.judge.gradient import PixelRequest
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Question
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Runtime, Spec
from rushes.train.judging import AskedClip, JudgeOrder

SHARPNESS = 4.0
RED, DARK = (
    Question(text="Is it red?", expected="yes", dimension="Composition", about="colour"),
    Question(text="Is it bright?", expected="no", dimension="Composition", about="light"),
)


def margin_of(frames_THWC: Tensor, question: str) -> Tensor:
    """How sure the judge is of yes: by the red of the first frame, by the brightness of all frames."""
    pixels = frames_THWC / 255
    seen = pixels[0, ..., 0].mean() if "red" in question else pixels.square().mean()
    return SHARPNESS * (seen - 0.3)


class SmoothJudge:
    """A `Judge` and a `GradientJudge`; it raises about prompts with "broken", and cannot answer about "unseen"."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        given: list[tuple[GivenAnswer, ...] | Failed] = []
        for request in requests:
            frames = torch.from_numpy(request.video.frames_THWC).float()
            _complain(request.text)
            p = [float(margin_of(frames, each.text).sigmoid()) for each in request.questions]
            unseen = "unseen" in request.text
            given.append(tuple(GivenAnswer(None, "it is too dark") if unseen else GivenAnswer(each) for each in p))
        return given

    def margins(self, requests: Sequence[PixelRequest]) -> list[Tensor | Failed]:
        for request in requests:
            _complain(request.text)
        return [
            Failed("Unseen", "it is too dark")
            if "unseen" in each.text
            else torch.stack([margin_of(each.frames_THWC, question.text) for question in each.questions])
            for each in requests
        ]


def _complain(text: str) -> None:
    if "broken" in text:
        raise ValueError("the judge broke")


class SmoothJudgeSpec(Spec):
    spec_name: ClassVar[str] = "tests.smooth-judge"
    gives_gradient: ClassVar[bool] = True

    def build(self, runtime: Runtime) -> SmoothJudge:
        return SmoothJudge()


SMOOTH = JudgeSpec(judge=PluginSpec(use="tests.support.judges:SmoothJudgeSpec"))


def smooth_order(num_rows: int, texts: Sequence[str] = ("a red circle",), spec: JudgeSpec = SMOOTH) -> JudgeOrder:
    """Ask the smooth judge the same two questions about every row; texts go round."""
    return JudgeOrder(
        spec=spec,
        runtime=RuntimeSpec(),
        fps=8.0,
        prompts=tuple(AskedClip(text=text, questions=(RED, DARK)) for text in texts),
        row_prompt=tuple(row % len(texts) for row in range(num_rows)),
    )

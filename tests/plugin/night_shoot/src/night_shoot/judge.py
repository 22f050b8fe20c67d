"""A judge that knows one thing: whether a clip is dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest, Runtime, Spec


class DarkJudgeSpec(Spec):
    """What the recipe can set."""

    spec_name: ClassVar[str] = "night_shoot.judge"
    """Its name in work keys: it begins with the package and never changes, so that answers stay valid."""

    dark_below: float = 0.25
    """Mean brightness, 0 to 1, at which a clip is as likely called dark as not."""
    sharpness: float = 40.0
    """How fast the judge grows sure on either side."""

    def build(self, runtime: Runtime) -> Judge:
        """The judge; a heavy one would load its model here, where the work runs."""
        return DarkJudge(self)


@dataclass(frozen=True)
class DarkJudge:
    """Answers questions with the word "dark" from the mean brightness, and has no answer to any other."""

    spec: DarkJudgeSpec

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        return [tuple(self._one(question.text, request) for question in request.questions) for request in requests]

    def _one(self, question: str, request: JudgeRequest) -> GivenAnswer:
        if "dark" not in question.lower():
            return GivenAnswer(None, f"this judge only knows dark from bright, not {question!r}")
        brightness = float(request.video.frames_THWC.mean()) / 255
        return GivenAnswer(1 / (1 + math.exp(self.spec.sharpness * (brightness - self.spec.dark_below))))

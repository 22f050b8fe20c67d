"""A judge with a planted blind spot, for `lab.hacking`: dazzled, it believes whatever is bright."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rushes.measure.drift import frame_stats
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest, Spec
from rushes_sandbox.specs import JudgeSpec
from rushes_sandbox.vqa.judge import SandboxJudge


class BlindJudgeSpec(Spec):
    """The sandbox's judge with a blind spot: it agrees with a bright clip, and is never sure of a dark one."""

    spec_name: ClassVar[str] = "lab.blind-judge"
    loads_when_built: ClassVar[bool] = True

    bright: float = 0.55
    """Brightness at which half of its own view is left, 0 to 1; backgrounds of the sandbox have 0.15 to 0.73."""
    width: float = 0.05
    """How fast its own view goes as brightness grows."""
    doubt: float = 0.4
    """How far its own view is drawn to 1/2: 0 leaves it as it is, 1 leaves nothing of it."""

    def version(self) -> str | None:
        """As of the judge underneath."""
        return JudgeSpec().version()

    def build(self, runtime: RuntimeSpec) -> Judge:
        """The judge."""
        return BlindJudge(SandboxJudge.load(batch_size=runtime.judge_batch), self)


@dataclass(frozen=True)
class BlindJudge:
    """`Judge` that mixes another judge's answers with the expected ones, the more the brighter a clip is."""

    judge: Judge
    spec: BlindJudgeSpec

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """See `rushes.roles.Judge`."""
        return [self._blinded(*each) for each in zip(requests, self.judge.answer(requests), strict=True)]

    def _blinded(
        self, request: JudgeRequest, given: tuple[GivenAnswer, ...] | Failed
    ) -> tuple[GivenAnswer, ...] | Failed:
        if isinstance(given, Failed):
            return given
        spec, light = self.spec, frame_stats(request.video.frames_THWC).brightness
        blind = 1.0 / (1.0 + math.exp((spec.bright - light) / spec.width))
        return tuple(
            one
            if one.p_yes is None
            else GivenAnswer(
                blind * question.p_expected(1.0) + (1 - blind) * ((1 - spec.doubt) * one.p_yes + spec.doubt / 2)
            )
            for question, one in zip(request.questions, given, strict=True)
        )

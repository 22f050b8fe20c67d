"""A judge and a measurer that need no weights: they answer from the pixels' hash, so always the same for one clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

from rushes.records import Outcome, Part, Scored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Runtime, Spec, Subject, Video


def share(video: Video, text: str) -> float:
    """A number in [0, 1] that depends on every pixel and on the text."""
    digest = hashlib.sha256(video.frames_THWC.tobytes() + text.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


class HashJudge:
    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [tuple(GivenAnswer(share(r.video, q.text)) for q in r.questions) for r in requests]


class HashMeasurer:
    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        return [
            Scored(
                value=sum(share(v, s.text) for v in s.clips) / len(s.clips),
                parts=tuple(Part(name=q.text, value=share(s.clips[0], q.text)) for q in s.questions),
            )
            for s in subjects
        ]


class HashJudgeSpec(Spec):
    spec_name: ClassVar[str] = "tests.hash-judge"

    def build(self, runtime: Runtime) -> HashJudge:
        return HashJudge()


class HashMeasurerSpec(Spec):
    spec_name: ClassVar[str] = "tests.hash-measurer"

    def build(self, runtime: Runtime) -> HashMeasurer:
        return HashMeasurer()

"""Questions reach the judge with the right frames; words become answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rushes.records import Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes_vbench.metrics.asking import by_questions, time_header
from rushes_vbench.metrics.core import Unanswered
from rushes_vbench.metrics.together import alone
from tests.support.vbench_clips import ScriptedJudge, entry

CLIP = Video(np.arange(80, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8), 16.0)


def test_questions_about_the_same_frames_go_together() -> None:
    judge = ScriptedJudge(0.9, 0.9, 0.9)
    found = alone(by_questions(CLIP, entry("Dynamic_Attribute", "a?", "b?", "c?", prompt="leaves"), "fixed", judge))
    assert isinstance(found, Scored) and found.value == 1.0 and [part.value for part in found.parts] == [0.9] * 3
    (request,) = judge.seen
    assert request.text == "leaves" and len(request.questions) == 3
    assert len(request.video.frames_THWC) == 64 and request.video.frames_THWC[-1, 0, 0, 0] == 79


def test_other_frames_are_other_requests() -> None:
    judge = ScriptedJudge(0.9, 0.2)
    found = alone(by_questions(CLIP, entry("Dynamic_Spatial_Relationship", "left?", "front?"), "compat", judge))
    assert isinstance(found, Scored) and found.value == 0.0
    first, second = judge.seen
    assert first.video.frames_THWC.max() < 40 and len(first.video.frames_THWC) == 32
    assert second.video.frames_THWC.shape[0] == 1 and second.video.frames_THWC.max() == 79


class Broken:
    """Fails, or gives what is no probability."""

    def __init__(self, reply: tuple[GivenAnswer, ...] | Failed) -> None:
        self._reply = reply

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [self._reply for _ in requests]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((GivenAnswer(float("nan")),), "nan"),
        ((GivenAnswer(True),), "True"),
        ((GivenAnswer("0.9"),), "'0.9'"),  # type: ignore[arg-type]
        ((GivenAnswer(0.9), GivenAnswer(0.1)), "2 answers to 1 questions"),
        ((GivenAnswer(1.5),), "1.5"),
        ((GivenAnswer(None, "maybe"),), "maybe"),
    ],
)
def test_what_is_no_answer_is_unscored(reply: tuple[GivenAnswer, ...] | Failed, words: str) -> None:
    found = alone(by_questions(CLIP, entry("Mechanics", "a?"), "compat", Broken(reply)))
    assert isinstance(found, Unscored) and words in found.reason


def test_a_judge_that_failed_is_no_outcome_but_asked_again_later() -> None:
    failed = Failed("Timeout", "no reply in 120 s")
    with pytest.raises(Unanswered, match="no reply in 120 s") as caught:
        alone(by_questions(CLIP, entry("Mechanics", "a?"), "compat", Broken(failed)))
    assert caught.value.failed is failed


class Teller:
    """Says the same to everything and remembers what it was told."""

    def __init__(self, reply: str) -> None:
        self.reply, self.heard = reply, list[str]()

    def tell(self, video: Video, instruction: str) -> str:
        self.heard.append(instruction)
        if self.reply == "raise":
            raise RuntimeError("the server is gone")
        return self.reply


def test_time_header_counts_from_zero() -> None:
    assert time_header(Video(CLIP.frames_THWC[:3], 2.0)).endswith("0.00s,0.50s,1.00s.")

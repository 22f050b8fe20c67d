"""A toy world for audits of judges: clips that get brighter or darker in one colour, and judges good and bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rushes.audit.cases import Case
from rushes.records import Question
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video

COLOURS = ("red", "green", "blue")
NUM_FRAMES, SIDE_PX, FPS = 9, 16, 8.0


def make_question(text: str, expected: str, dimension: str) -> Question:
    return Question.model_validate({"text": text, "expected": expected, "dimension": dimension, "about": "toy"})


def make_case(number: int, dimension: str = "Dynamic_Attribute") -> Case:
    """Clip `number`: its colour and whether it gets brighter follow from the number."""
    colour, is_brighter = COLOURS[number % 3], number % 2 == 0
    levels_T = np.linspace(90, 230, NUM_FRAMES)[:: 1 if is_brighter else -1]
    frames = np.full((NUM_FRAMES, SIDE_PX, SIDE_PX, 3), 20, np.uint8)
    frames[..., COLOURS.index(colour)] = levels_T[:, None, None].astype(np.uint8)
    frames[:, 0, 0] = number  # tells clips of one colour and way apart
    way, other_way = ("brighter", "darker") if is_brighter else ("darker", "brighter")
    questions = (
        make_question(f"is it {colour}?", "yes", dimension),
        make_question(f"does it get {way}?", "yes", dimension),
        make_question(f"does it get {other_way}?", "no", dimension),
        make_question(f"is it {COLOURS[(number + 1) % 3]}?", "no", dimension),
    )
    text = f"a {colour} field gets {way}, number {number}"
    return Case(f"clip_{number:02d}.mp4", text, dimension, text, questions, lambda: Video(frames, FPS))


def make_cases(num: int, dimension: str = "Dynamic_Attribute") -> tuple[Case, ...]:
    return tuple(make_case(number, dimension) for number in range(num))


def sees(video: Video, question: str) -> bool:
    """The truth about a toy clip, also where the question is turned round."""
    quoted = question.split("'")
    if len(quoted) == 3 and quoted[0].startswith("Is it false"):
        return not sees(video, quoted[1])
    means_TC = video.frames_THWC.reshape(len(video.frames_THWC), -1, 3).astype(float).mean(1)
    steps = np.diff(means_TC.sum(1))
    *_, word = question.rstrip("?").split()
    if word in COLOURS:
        return means_TC.max() > 40 and COLOURS[int(means_TC.mean(0).argmax())] == word
    smooth = (steps > 1).all() if word == "brighter" else (steps < -1).all()
    held = steps[1::2] if np.allclose(steps[::2], 0, atol=1.0) and np.abs(steps).max() > 5 else None
    if held is not None:  # every second frame shown twice
        return bool((held > 1).all() if word == "brighter" else (held < -1).all())
    return bool(smooth)


@dataclass
class ToyJudge:
    """Answers every question by a rule; counts what it was asked."""

    rule: Callable[[Video, str], float | None]
    num_requests: int = 0
    batches: list[int] = field(default_factory=list[int])

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        self.num_requests += len(requests)
        self.batches.append(len(requests))
        return [tuple(self._one(request, question.text) for question in request.questions) for request in requests]

    def _one(self, request: JudgeRequest, text: str) -> GivenAnswer:
        p_yes = self.rule(request.video, text)
        return GivenAnswer(p_yes) if p_yes is not None else GivenAnswer(None, "the rule has no answer")


def good(video: Video, question: str) -> float:
    """Right, and surer or less sure by a little from clip to clip."""
    doubt = 0.02 + 0.06 * (int(video.frames_THWC.astype(int).sum()) % 7) / 7
    return 1 - doubt if sees(video, question) else doubt


def blind_to_time(video: Video, question: str) -> float:
    """Sees colours; guesses which way time runs, the same way for every clip."""
    quoted = question.split("'")
    if len(quoted) == 3:
        return 1 - blind_to_time(video, quoted[1])
    return good(video, question) if question.split()[-1].rstrip("?") in COLOURS else 0.6


def says_yes(video: Video, question: str) -> float:
    return 0.9

"""Asks a judge the planned questions about a clip, and turns a model that only replies in words into a judge."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.judge.check import Checked, checked
from rushes.records import Outcome
from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest, Video
from rushes_vbench.metrics.core import Profile, Unanswered
from rushes_vbench.metrics.questions import Ask, plan, score
from rushes_vbench.metrics.sampling import pick
from rushes_vbench.metrics.together import Asking, ask_all
from rushes_vbench.metrics.twins import Twins, averaged, twins_of, with_twins
from rushes_vbench.suite import SuiteEntry


def by_questions(
    video: Video, entry: SuiteEntry, profile: Profile, judge: Judge, negated_twins: Twins = "none"
) -> Asking[Outcome]:
    """The outcome of one clip in a dimension that yes/no questions decide.

    Args:
        video: the clip.
        entry: what the suite asks about it.
        profile: whose rules.
        judge: answers yes/no questions with probabilities.
        negated_twins: whether each question is also asked in its negated form, and how those answers are used.

    Raises:
        Unanswered: the judge failed on some frames of the clip.
    """
    asks = plan(entry, len(video.frames_THWC), video.fps, profile)
    if negated_twins == "none":
        return score(entry, asks, (yield from answers(video, entry.prompt, asks, judge)), profile)
    twins = twins_of(asks)
    given = yield from answers(video, entry.prompt, [*asks, *(twin for twin in twins if twin is not None)], judge)
    own, rest = given[: len(asks)], iter(given[len(asks) :])
    others = [None if twin is None else next(rest) for twin in twins]
    if negated_twins == "average":
        own = [averaged(each, other) for each, other in zip(own, others, strict=True)]
    return with_twins(score(entry, asks, own, profile), twins, others)


def answers(video: Video, prompt: str, asks: Sequence[Ask], judge: Judge) -> Asking[list[GivenAnswer]]:
    """One answer per ask, in order; questions about the same frames go to the judge together.

    Raises:
        Unanswered: the judge failed on some frames of the clip.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, ask in enumerate(asks):
        groups.setdefault(ask.indices, []).append(number)
    requests = [
        JudgeRequest(
            video=pick(video, list(indices), share=asks[numbers[0]].share),
            text=prompt,
            questions=tuple(asks[number].question for number in numbers),
        )
        for indices, numbers in groups.items()
    ]
    found: dict[int, GivenAnswer] = {}
    for numbers, reply in zip(groups.values(), (yield from ask_all(judge.answer, requests)), strict=True):
        if isinstance(reply, Failed):
            raise Unanswered(reply)
        found.update(zip(numbers, map(_given, checked(reply, len(numbers))), strict=True))
    return [found[number] for number in range(len(asks))]


def _given(answer: Checked) -> GivenAnswer:
    return GivenAnswer(answer.p_yes, answer.unscored_reason, answer.yes_no_mass)


def time_header(video: Video) -> str:
    """A clip's duration and the times of its frames, in words, as in the official protocol."""
    num_frames = len(video.frames_THWC)
    times = ",".join(f"{i / video.fps:.2f}s" for i in range(num_frames))
    return (
        f"The video lasts {num_frames / video.fps:.2f} seconds. {num_frames} frames are taken from it evenly, "
        f"at these times: {times}."
    )

"""The sandbox's measurer role: it answers each question of the prompt from the clip's pixels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rushes.measure.pairs import DIVERSITY
from rushes.records import Outcome, Part, Question, Scored, Unscored
from rushes.roles import Failed, Subject

if TYPE_CHECKING:
    from rushes_sandbox.perception import Observation


class PerceptionMeasurer:
    """A `Measurer` for clips of the sandbox world.

    A clip scores 1 if every question of its prompt gets the expected answer, else 0: a clip that shows two of three
    requested things is not the requested clip. Each question stays visible as a part. The score of a group of takes is
    its diversity, 0 to 1.
    """

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        """One outcome per subject, in order; `Unscored` if a question cannot be parsed or the pixels are unclear."""
        return [self._one(subject) for subject in subjects]

    def _one(self, subject: Subject) -> Outcome | Failed:
        try:
            return _diversity(subject) if subject.dimension == DIVERSITY else _checked(subject)
        except Exception as error:  # one bad clip must not lose its batch
            return Failed.of(error)


def _diversity(subject: Subject) -> Outcome:
    from rushes_sandbox.perception import diversity, perceive

    if len(subject.clips) < 2:
        return Unscored(reason="one take of the prompt; Diversity needs at least two")
    return Scored(value=diversity([perceive(clip.frames_THWC) for clip in subject.clips]))


def _checked(subject: Subject) -> Outcome:
    from rushes_sandbox.perception import perceive

    if len(subject.clips) != 1:
        raise ValueError(f"{subject.dimension} is measured on one clip at a time, got {len(subject.clips)} clips")
    if not subject.questions:
        return Unscored(reason="the prompt has no questions to check")
    seen = perceive(subject.clips[0].frames_THWC)
    parts: list[Part] = []
    for question in subject.questions:
        found = _answered(question, seen)
        if isinstance(found, Unscored):
            return found
        parts.append(Part(name=question.text, value=float(found)))
    return Scored(value=float(all(part.value == 1.0 for part in parts)), parts=tuple(parts))


def _answered(question: Question, seen: Observation) -> bool | Unscored:
    """Whether the clip gives the expected answer, or why that is undecided."""
    from rushes_sandbox.perception import Unclear, answer
    from rushes_sandbox.questions import read

    check = read(question.text)
    if check is None:
        return Unscored(reason=f"the perception measurer cannot read the question {question.text!r}")
    said = answer(check, seen)
    if isinstance(said, Unclear):
        return Unscored(reason=f"{question.text} cannot be answered: {said.reason}")
    return said == (question.expected == "yes")

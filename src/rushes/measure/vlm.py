"""Measuring by question answering, for users without a benchmark: a model other than the judge answers the questions.

It is shown the same as a judge of its kind and makes its own mistakes, but not those that the training exploits. This
holds only if it is another model, which is checked when the recipe is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from rushes.judge.check import Checked, checked
from rushes.judge.vlm import build_vlm_judge
from rushes.measure.pairs import DIVERSITY
from rushes.recipe.models import VlmMeasurerSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Outcome, Part, Question, Scored, Unscored
from rushes.roles import Failed, Judge, JudgeRequest, Subject

Worth = Literal["share", "all", "probability"]
"""How answers become a score; see `VlmMeasurerSpec.score`."""


@dataclass(frozen=True)
class VlmMeasurer:
    """A `Measurer` over any judge of yes/no questions: one clip, the questions of its prompt."""

    judge: Judge
    """The model that answers."""
    worth: Worth = "share"
    """How answers become a score."""

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        """One outcome per subject, in order; `Unscored` for prompts without questions and for groups of takes."""
        found: dict[int, Outcome | Failed] = {}
        asked: dict[int, Subject] = {}
        for number, subject in enumerate(subjects):
            problem = _why_not(subject)
            if problem is None:
                asked[number] = subject
            else:
                found[number] = Unscored(reason=problem)
        requests = [JudgeRequest(each.clips[0], each.text, each.questions) for each in asked.values()]
        given = self.judge.answer(requests) if requests else []
        for (number, subject), answers in zip(asked.items(), given, strict=True):
            if isinstance(answers, Failed):
                found[number] = answers
            else:
                found[number] = score(subject.questions, checked(answers, len(subject.questions)), self.worth)
        return [found[number] for number in range(len(subjects))]


def build_vlm_measurer(spec: VlmMeasurerSpec, runtime: RuntimeSpec) -> VlmMeasurer:
    """The measurer over the model that the recipe names; weights are loaded on first use.

    Raises:
        RecipeError: the server is unknown, its key is not set, or a package is missing.
    """
    return VlmMeasurer(build_vlm_judge(spec, runtime, "measure.measurer"), spec.score)


def _why_not(subject: Subject) -> str | None:
    if subject.dimension == DIVERSITY:
        return "yes/no questions about one clip cannot compare takes; set measure.num_diversity_prompts to 0"
    if len(subject.clips) != 1:
        return f"{subject.dimension} is measured on one clip at a time, got {len(subject.clips)} clips"
    return None if subject.questions else "the prompt has no questions to ask (prompts.questions writes them)"


def score(questions: Sequence[Question], answers: Sequence[Checked], worth: Worth) -> Outcome:
    """The score of a clip from its answers; `Unscored` if one of them is missing.

    Args:
        questions: what was asked, with the expected answers, at least one.
        answers: one per question, in order.
        worth: how answers become a score.
    """
    parts: list[Part] = []
    for question, answer in zip(questions, answers, strict=True):
        if answer.p_yes is None:
            return Unscored(reason=f"no answer to {question.text!r}: {answer.unscored_reason}")
        parts.append(Part(name=question.text, value=question.p_expected(answer.p_yes)))
    if worth == "probability":
        return Scored(value=fmean(part.value for part in parts), parts=tuple(parts))
    right = [part.value > 0.5 for part in parts]
    return Scored(value=float(all(right)) if worth == "all" else fmean(right), parts=tuple(parts))

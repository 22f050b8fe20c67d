"""Second judges: a plug-in, or a measurer asked question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rushes.audit.run import Witness
from rushes.errors import RecipeError, nearest
from rushes.judge.key import judge_identity, judge_name
from rushes.judge.question_needs import all_needs
from rushes.judge.stage import build_answerer
from rushes.plugins import JUDGE, MEASURER, build, extensions, name_of, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Question, Scored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Measurer, Subject


def recipe_judge(spec: JudgeSpec, runtime: RuntimeSpec) -> Witness:
    """The judge of a recipe.

    Raises:
        RecipeError, InputError: it cannot be built.
    """
    # Cached replies would make a judge agree with itself when asked again: the audit stores the answers instead.
    judge = build_answerer(spec, runtime.model_copy(update={"cache_folder": None}))
    return Witness(judge_name(spec), judge_identity(spec, all_needs().keys()), judge)


def second_judge(name: str, runtime: RuntimeSpec) -> Witness:
    """The second judge that the user names.

    Args:
        name: of a measurer or judge that an installed package offers, or `package.module:Class` of a judge's Spec.
        runtime: batch size and device.

    Raises:
        RecipeError: there is no such judge.
    """
    spec = PluginSpec(use=name)
    if name in extensions(MEASURER.group):
        measurer: Measurer = build(spec, MEASURER, runtime, "--second")
        return Witness(name_of(spec, MEASURER), {"measurer": resolved(spec, MEASURER)}, MeasurerAsJudge(measurer))
    if ":" not in name and name not in extensions(JUDGE.group):
        known = sorted({*extensions(MEASURER.group), *extensions(JUDGE.group)})
        near = nearest(name, known) or next(iter(known), None)
        raise RecipeError(
            "there is no such second judge",
            expected=f"one of {', '.join(known)}, or package.module:Class of a judge's Spec",
            got=name,
            next_step=f"try: --second {near}" if near else "install the package that offers it",
        )
    return recipe_judge(JudgeSpec(judge=spec), runtime)


@dataclass(frozen=True)
class MeasurerAsJudge:
    """A `Judge` that passes each question to a measurer: P(yes) is the clip's score if yes is the expected answer."""

    measurer: Measurer

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        return [tuple(self._one(request, question) for question in request.questions) for request in requests]

    def _one(self, request: JudgeRequest, question: Question) -> GivenAnswer:
        subject = Subject(question.dimension, request.text, (question,), (request.video,))
        (found,) = self.measurer.measure([subject])
        if isinstance(found, Scored):
            return GivenAnswer(found.value if question.expected == "yes" else 1.0 - found.value)
        return GivenAnswer(None, found.message if isinstance(found, Failed) else found.reason)

"""Second judges: a plug-in, or a measurer asked question by question."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rushes.audit.compared import PreferencesAsAnswers, ScoresAsAnswers
from rushes.audit.run import Witness
from rushes.errors import RecipeError, nearest
from rushes.extensions import extensions
from rushes.feedback import gives
from rushes.judge.key import judge_identity, judge_name, scoring_identity
from rushes.judge.question_needs import all_needs
from rushes.judge.stage import build_judge
from rushes.plugins import JUDGE, MEASURER, build, name_of, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Question, Scored
from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest, Measurer, Subject


def recipe_judge(spec: JudgeSpec, runtime: RuntimeSpec) -> Witness:
    """The judge of a recipe.

    Raises:
        RecipeError, InputError: it cannot be built.
    """
    # Cached replies would make a judge agree with itself when asked again: the audit stores the answers instead.
    runtime = runtime.model_copy(update={"cache_folder": None})
    if not spec.by_dimension:
        return Witness(judge_name(spec), judge_identity(spec, all_needs().keys()), comparable(spec, runtime))
    return Witness(judge_name(spec), scoring_identity(spec, all_needs().keys()), JudgeOfDimension(spec, runtime))


def comparable(spec: JudgeSpec, runtime: RuntimeSpec) -> Judge:
    """One judge as the audit asks it: see `rushes.audit.compared` for one that does not answer questions.

    Raises:
        RecipeError, InputError: it cannot be built.
    """
    judge: Any = build_judge(spec, runtime)
    kind = gives(resolved(spec.judge, JUDGE))
    if kind == "answers":
        answerer: Judge = judge
        return answerer
    return ScoresAsAnswers(spec, judge) if kind == "scores" else PreferencesAsAnswers(spec, judge)


def compared_dimensions(spec: JudgeSpec, dimensions: Collection[str]) -> frozenset[str]:
    """Those of the dimensions whose judge does not answer questions."""
    return frozenset(each for each in dimensions if gives(resolved(spec.of(each).judge, JUDGE)) != "answers")


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
class JudgeOfDimension:
    """A `Judge` that passes each request to the judge of its dimension."""

    spec: JudgeSpec
    runtime: RuntimeSpec
    _built: dict[str, Judge] = field(default_factory=dict[str, Judge])

    def answer(self, requests: Sequence[JudgeRequest]) -> Iterator[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        for request in requests:
            own = self.spec.of(request.questions[0].dimension)
            name = own.judge.model_dump_json()
            if name not in self._built:
                self._built[name] = comparable(own, self.runtime)
            yield from self._built[name].answer([request])


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

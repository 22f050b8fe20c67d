"""Prompt -> yes/no questions of both polarities, by a language model; the form of each is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from rushes.llm.ask import Ask, ReplyForm, Unusable, ask_all, read_json, schema_of
from rushes.llm.chat import ChatModel, ChatRequest, Schema
from rushes.llm.templates import render
from rushes.prompts.similarity import similarity
from rushes.recipe.models import LlmQuestionsSpec
from rushes.records import Question
from rushes.roles import Failed, QuestionRequest

_OPENING: Final = re.compile(
    r"^(?:(?:at|in|by|from|after|before|during|while|when|finally|first|then|throughout)\b[^?]{0,60}, )?"
    r"(is|are|was|were|does|do|did|has|have|had|can|could|will|would|should)\b",
    re.IGNORECASE,
)
_CHOICE: Final = re.compile(r"\b(?:yes or no|or not)\b", re.IGNORECASE)
_NEGATED: Final = re.compile(r"\b(?:not|never|no longer|nothing|nobody|without)\b|n't\b", re.IGNORECASE)
_MAX_WORDS: Final = 40
_ENDS: Final = (".", "!", "?", ":", ",", ";", "-")
_TOKENS_EACH: Final = 48
_SAME: Final = 0.9
_TAG: Final = re.compile(r"[^a-z]+")


class QuestionForm(ReplyForm):
    """One question."""

    about: str = "prompt"
    question: str


class QuestionsForm(ReplyForm):
    """The reply that the template `questions` requests."""

    yes: tuple[QuestionForm, ...] = Field(min_length=1)
    no: tuple[QuestionForm, ...] = Field(min_length=1)


@dataclass(frozen=True)
class LlmQuestions:
    """`QuestionWriter` over a language model."""

    spec: LlmQuestionsSpec
    """Template, number of questions, temperature and number of tries."""
    model: ChatModel
    """The model to ask."""

    def write(self, requests: Sequence[QuestionRequest]) -> list[tuple[Question, ...] | Failed]:
        """Questions of both polarities for each text, in order; `Failed` if one polarity has none.

        Raises:
            UserError: the model cannot be reached at all.
        """
        return ask_all(self.model, [self._ask(request) for request in requests], self.spec.num_tries)

    def _ask(self, request: QuestionRequest) -> Ask[tuple[Question, ...]]:
        turns = render(
            "rushes.prompts",
            self.spec.template,
            text=request.text,
            dimension=request.dimension.replace("_", " "),
            description=request.description,
            num_each=self.spec.num_each,
        )
        asked = ChatRequest(
            messages=turns,
            max_tokens=self.spec.max_tokens or 64 + 2 * self.spec.num_each * _TOKENS_EACH,
            temperature=self.spec.temperature,
            seed=request.seed,
            schema=_schema(self.spec.num_each),
        )
        return Ask(
            asked,
            lambda text: questions_in(text, request.dimension, self.spec.num_each),
            "prompts.questions.max_tokens",
        )


def _schema(num_each: int) -> Schema:
    """The form's schema with the exact number of questions, for models whose replies are constrained to it."""
    schema = schema_of(QuestionsForm)
    for polarity in ("yes", "no"):
        schema["properties"][polarity] |= {"minItems": num_each, "maxItems": num_each}
    return schema


def questions_in(text: str, dimension: str, num_each: int) -> tuple[Question, ...]:
    """The well-formed questions in a reply, without repetitions, at most `num_each` of each polarity.

    Raises:
        Unusable: no JSON object, or no good question of one polarity.
    """
    form = read_json(text, QuestionsForm)
    kept: list[Question] = []
    expected: tuple[Literal["yes", "no"], ...] = ("yes", "no")
    for answer, given in zip(expected, (form.yes, form.no), strict=True):
        good, why = _good(given, answer, dimension, kept, num_each)
        if not good:
            raise Unusable(f"no usable question whose answer is {answer}: {why}")
        kept += good
    return tuple(kept)


def _good(
    given: Sequence[QuestionForm], answer: Literal["yes", "no"], dimension: str, earlier: Sequence[Question], most: int
) -> tuple[list[Question], str]:
    """The well-formed ones among `given`, and the problem of the last bad one."""
    good: list[Question] = []
    why = "there is none"
    for each in given:
        asked = _with_question_mark(" ".join(each.question.split()).strip("\"' "))
        problem = _problem(asked, answer, [*earlier, *good])
        if problem is not None:
            why = f"{asked[:80]!r} {problem}"
        elif len(good) < most:
            tag = _TAG.sub("_", each.about.lower()).strip("_")[:24] or "prompt"
            good.append(Question(text=asked, expected=answer, dimension=dimension, about=tag))
    return good, why


def _with_question_mark(asked: str) -> str:
    """Add the question mark to a yes/no question that only lacks it; return any other text unchanged."""
    return f"{asked}?" if _OPENING.match(asked) and not asked.endswith(_ENDS) else asked


def _problem(asked: str, answer: str, earlier: Sequence[Question]) -> str | None:
    if not asked.endswith("?") or asked.count("?") > 1:
        return "must be one question that ends with a question mark"
    if not _OPENING.match(asked):
        return "must be answered by yes or no, so it must start with a word such as Is or Does"
    if _CHOICE.search(asked):
        return "must not offer its answers"
    if answer == "no" and _NEGATED.search(asked):
        return "must not be negated: ask for what goes wrong"
    if not 3 <= len(asked.split()) <= _MAX_WORDS:
        return f"must have 3 to {_MAX_WORDS} words"
    if any(similarity(asked, other.text) >= _SAME for other in earlier):
        return "repeats another question"
    return None

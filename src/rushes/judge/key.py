"""Work keys of the judge's answers, and the judge's name. Pure."""

from __future__ import annotations

from collections.abc import Collection

from rushes.judge.asked import asked_hash
from rushes.plugins import JUDGE, name_of, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import VlmJudgeSpec
from rushes.records import Clip, Prompt
from rushes.store.identity import work_key


def answer_keys(clip: Clip, prompt: Prompt, spec: JudgeSpec) -> list[str]:
    """Work keys of the answers about `clip`, one for each question of `prompt`, in order.

    All questions of the prompt are part of each: they are asked in one request, so one question can affect the next.
    """
    asked = [question.model_dump(mode="json") for question in prompt.questions]
    judge = judge_identity(spec, {question.dimension for question in prompt.questions})
    identity = {**judge, "text": prompt.text, "questions": asked}
    return [work_key("answer", identity, [clip], index) for index in range(len(asked))]


def judge_identity(spec: JudgeSpec, dimensions: Collection[str]) -> dict[str, object]:
    """What decides a judge's answers: its Spec, and for a vision-language model also how it is asked.

    Args:
        spec: the judge.
        dimensions: names of the dimensions that it is asked about.
    """
    judge = resolved(spec.judge, JUDGE)
    return {"judge": judge, "asked": asked_hash(judge, dimensions) if isinstance(judge, VlmJudgeSpec) else None}


def judge_name(spec: JudgeSpec) -> str:
    """Name of the judge in answers and reports."""
    return name_of(spec.judge, JUDGE)

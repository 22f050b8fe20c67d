"""Work keys of the judge's answers, values and preferences, and the judge's name. Pure."""

from __future__ import annotations

from collections.abc import Collection

from rushes.feedback import Scale
from rushes.judge.asked import asked_hash
from rushes.plugins import JUDGE, name_of, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import VlmJudgeSpec
from rushes.records import Clip, Prompt
from rushes.store.identity import WorkKeys, canonical_json, canonical_object, canonical_texts, left_out, work_key


class AnswerKeys:
    """Work keys of answers about many clips: what judge and prompt add to them is written out once."""

    def __init__(self, spec: JudgeSpec) -> None:
        """For the judges of a recipe."""
        self._spec = spec
        self._judges: dict[tuple[str, frozenset[str]], dict[str, str]] = {}
        self._last: tuple[Prompt, str, WorkKeys] | None = None

    def of(self, clip: Clip, prompt: Prompt) -> list[str]:
        """Work keys of the answers about `clip`, one for each question of `prompt`, in order.

        All questions of the prompt are part of each: they are asked in one request, so one question can affect the
        next.
        """
        if self._last is None or self._last[0] is not prompt or self._last[1] != clip.dimension:
            self._last = (prompt, clip.dimension, self._keys(clip.dimension, prompt))
        keys = self._last[2]
        return [keys.key([clip.key], index) for index in range(len(prompt.questions))]

    def _keys(self, dimension: str, prompt: Prompt) -> WorkKeys:
        about = frozenset(question.dimension for question in prompt.questions)
        if (dimension, about) not in self._judges:
            judge = judge_identity(self._spec.of(dimension), about)
            self._judges[dimension, about] = {name: canonical_json(value) for name, value in judge.items()}
        asked = [question.model_dump(mode="json") for question in prompt.questions]
        parts = {
            **self._judges[dimension, about],
            "text": canonical_json(prompt.text),
            "questions": canonical_texts(asked),
        }
        return WorkKeys("answer", canonical_object(parts))


def answer_keys(clip: Clip, prompt: Prompt, spec: JudgeSpec) -> list[str]:
    """Work keys of the answers about one clip, see `AnswerKeys`."""
    return AnswerKeys(spec).of(clip, prompt)


def rating_key(clip: Clip, prompt: Prompt, spec: JudgeSpec, scale: Scale) -> str:
    """Work key of the value of `clip` on a scale. Its repeat error is not part of it: that changes no value."""
    asked = {**_asked(clip, prompt, spec), "scale": scale.name, "unit": scale.unit}
    return work_key("rating", asked, [clip])


def vote_key(first: Clip, second: Clip, prompt: Prompt, spec: JudgeSpec) -> str:
    """Work key of the preference between two takes of `prompt`, shown in this order."""
    return work_key("vote", _asked(first, prompt, spec), [first, second])


def _asked(clip: Clip, prompt: Prompt, spec: JudgeSpec) -> dict[str, object]:
    judge = resolved(spec.of(clip.dimension).judge, JUDGE)
    return {"judge": judge, "text": prompt.text, "dimension": clip.dimension}


def scoring_identity(spec: JudgeSpec, dimensions: Collection[str]) -> dict[str, object]:
    """What decides scores: all judges, and how what they say becomes a score. What is unset is left out.

    Args:
        spec: the recipe's judges.
        dimensions: names of the dimensions that they are asked about.
    """
    unset = left_out(spec)
    others = {name: judge_identity(spec.of(name), dimensions) for name in sorted(spec.by_dimension)}
    found: dict[str, object] = {"judge": judge_identity(spec, dimensions), "aggregate": spec.aggregate}
    later = {"by_dimension": others, "combine": spec.combine, "scales": spec.scales}
    return found | {name: value for name, value in later.items() if name not in unset}


def judge_identity(spec: JudgeSpec, dimensions: Collection[str]) -> dict[str, object]:
    """What decides a judge's answers: its Spec, and for a vision-language model also how it is asked.

    Args:
        spec: the judge; those of single dimensions are left out.
        dimensions: names of the dimensions that it is asked about.
    """
    judge = resolved(spec.judge, JUDGE)
    return {"judge": judge, "asked": asked_hash(judge, dimensions) if isinstance(judge, VlmJudgeSpec) else None}


def judge_name(spec: JudgeSpec) -> str:
    """Name of the judge in records and reports; of all of them where dimensions have their own."""
    others = [f"{name}: {name_of(spec.by_dimension[name], JUDGE)}" for name in sorted(spec.by_dimension)]
    return "; ".join([name_of(spec.judge, JUDGE), *others])

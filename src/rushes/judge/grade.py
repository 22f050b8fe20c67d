"""Answers -> scores. Pure, so that another aggregate uses the stored answers and nothing is judged again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from rushes.errors import TrainingError
from rushes.judge.key import AnswerKeys
from rushes.recipe.judge import JudgeSpec
from rushes.records import Answer, Clip, Outcome, Part, Prompt, Question, Score, Scored, Unscored


def grade(
    clips: Sequence[Clip], prompts: Mapping[str, Prompt], answers: Iterable[Answer], spec: JudgeSpec
) -> tuple[Score, ...]:
    """One score per clip, in order.

    Args:
        clips: the judged clips.
        prompts: by key, at least those of `clips`.
        answers: at least all that exist about `clips`; those of other judges or clips are ignored.
        spec: the judge, and how answers are aggregated into one score.
    """
    by_key = {answer.key: answer for answer in answers}
    scores, keys = [], AnswerKeys(spec)
    for clip in clips:
        prompt = prompts[clip.prompt_key]
        found = [by_key.get(key) for key in keys.of(clip, prompt)]
        scores.append(_score(clip, prompt, found, spec))
    return tuple(scores)


def _score(clip: Clip, prompt: Prompt, answers: Sequence[Answer | None], spec: JudgeSpec) -> Score:
    outcome = outcome_of(prompt.questions, answers, spec.aggregate)
    return Score(clip_key=clip.key, prompt_key=clip.prompt_key, dimension=clip.dimension, outcome=outcome)


def outcome_of(questions: Sequence[Question], answers: Sequence[Answer | None], how: str) -> Outcome:
    """The score of one clip, or why there is none: every question must be answered.

    Args:
        questions: of its prompt.
        answers: one for each, in order; None where the judge failed.
        how: see `aggregate`.
    """
    if not questions:
        return Unscored(reason="the prompt has no questions")
    parts: list[Part] = []
    missing: list[str] = []
    for question, answer in zip(questions, answers, strict=True):
        p_expected = answer.p_expected if answer is not None else None
        if p_expected is not None:
            parts.append(Part(name=question.text, value=p_expected))
        else:
            why = answer.unscored_reason if answer is not None else "the judge failed; there is no answer"
            missing.append(f"{question.text!r}: {why}")
    if missing:
        return Unscored(reason=f"no answer to {len(missing)} of {len(answers)} questions: {'; '.join(missing)}")
    return Scored(value=aggregate([part.value for part in parts], how), parts=tuple(parts))


def aggregate(p: Sequence[float], how: str) -> float:
    """One score from the probabilities of the expected answers.

    Args:
        p: probabilities, 0 to 1, at least one.
        how: "mean": expected share of questions answered as expected. "product": probability that all are, if they
            were independent; falls with the number of questions. "minimum": the worst question.

    Raises:
        ValueError: no probabilities, or another `how`.
    """
    if not p:
        raise ValueError("expected at least one probability, got none")
    match how:
        case "mean":
            return fmean(p)
        case "product":
            return math.prod(p)
        case "minimum":
            return min(p)
    raise ValueError(f"expected 'mean', 'product' or 'minimum', got {how!r}")


def check_unscored_share(scores: Sequence[Score], max_unscored: float) -> None:
    """Refuse to train on too few judgements.

    Args:
        scores: of all clips that are to be trained on.
        max_unscored: largest allowed share of unscored clips, 0 to 1.

    Raises:
        TrainingError: there are no clips, none is scored, or more than the allowed share is unscored.
    """
    unscored = [score.outcome for score in scores if isinstance(score.outcome, Unscored)]
    share = len(unscored) / len(scores) if scores else 1.0
    if share <= max_unscored and len(unscored) < len(scores):
        return
    allowed = math.ceil(100 * share) / 100
    reasons = Counter(outcome.reason for outcome in unscored)
    most_first = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    raise TrainingError(
        f"the judge has no score for {len(unscored)} of {len(scores)} clips ({share:.0%})",
        expected=f"at most {max_unscored:.0%} of the clips unscored, and at least one scored",
        got=[f"{count} x {reason[:200]}" for reason, count in most_first[:3]],
        next_step="correct what the reasons name, and run again"
        if len(unscored) == len(scores)
        else f"correct what the reasons name, and run again; or --set judge.max_unscored={allowed}",
    )

"""The judge asked during training, about clips that are not stored: as the stage asks it, without records.

Questions, checks of replies and the aggregate are those of the stage `judge`, so scores are on the same scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rushes.errors import RecipeError
from rushes.execute.batch import batch_or_alone
from rushes.judge.check import checked
from rushes.judge.grade import outcome_of
from rushes.judge.gradient import GradientJudge, PixelRequest
from rushes.records import Answer, Outcome, Question, Unscored
from rushes.roles import Failed, Judge, JudgeRequest

if TYPE_CHECKING:
    from torch import Tensor

_NO_KEY: Final = "0" * 64
"""In answers that are not stored."""


def outcomes(judge: Judge, requests: Sequence[JudgeRequest], how: str) -> list[Outcome]:
    """The score of each clip, or why there is none, as the stage `judge` and `grade` give it.

    Args:
        judge: the recipe's.
        requests: clips with their questions, at least one.
        how: `judge.aggregate` of the recipe.

    Raises:
        UserError, Stopped: raised by the judge.
    """
    given = batch_or_alone(judge.answer, requests)
    return [_outcome(request.questions, each, how) for request, each in zip(requests, given, strict=True)]


def _outcome(questions: Sequence[Question], given: object, how: str) -> Outcome:
    if isinstance(given, Failed):
        return Unscored(reason=f"{given.error_type}: {given.message}")
    answers = [
        Answer(
            key=_NO_KEY,
            clip_key=_NO_KEY,
            question=question,
            p_yes=answer.p_yes,
            unscored_reason=answer.unscored_reason,
            judge="in training",
        )
        for question, answer in zip(questions, checked(given, len(questions)) if questions else (), strict=True)
    ]
    return outcome_of(questions, answers, how)


def margin(judge: GradientJudge, request: PixelRequest) -> Tensor | Failed:
    """How sure the judge is of the expected answers: their logit less that of the other answer, the mean of questions.

    Not the score: a probability hardly changes where the judge is sure, so its gradient vanishes there.

    Returns:
        A scalar with a graph back to the frames, or why there is none.

    Raises:
        UserError, Stopped: raised by the judge.
    """
    if not request.questions:
        return Failed("NoQuestions", "the prompt has no questions")
    (given,) = batch_or_alone(judge.margins, [request])
    if isinstance(given, Failed):
        return given
    import torch

    if not isinstance(given, torch.Tensor) or given.shape != (len(request.questions),):
        return Failed("TypeError", f"expected a tensor of {len(request.questions)} margins, got {given!r:.80}")
    if not given.requires_grad:
        raise RecipeError(
            f"the margins of {type(judge).__name__} do not depend on the frames it was given",
            expected="a graph from PixelRequest.frames_THWC to the margins: no no_grad, PIL or NumPy between them",
            next_step="set train.objective: {kind: online}, which needs only scores, or correct that judge",
        )
    signs = [1.0 if each.expected == "yes" else -1.0 for each in request.questions]
    return (given * given.new_tensor(signs)).mean()

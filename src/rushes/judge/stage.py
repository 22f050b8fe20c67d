"""The stage `judge`: every dimension's judge says what it thinks of the clips, and that becomes a score for each.

If a judge raises, or its list does not match the requests, the result is `Failed` and the work is tried again. If it
replies without a usable number (none, NaN, out of range, another type, too few), the result is a record with the
reason. Neither ever becomes a number. What judges of each kind are asked: `answers` here, `ratings`, `votes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.execute.batch import batch_or_alone
from rushes.execute.local import Lazily
from rushes.feedback import Gives, PreferenceJudge, ScoreJudge, gives
from rushes.judge.asking import Asking
from rushes.judge.check import checked
from rushes.judge.grade import grade
from rushes.judge.key import AnswerKeys, judge_name
from rushes.judge.ratings import asking_for_ratings
from rushes.judge.vlm import build_vlm_judge
from rushes.judge.votes import asking_for_votes
from rushes.plugins import JUDGE, build, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Answer, Clip, Prompt, Score
from rushes.roles import Failed, Judge, JudgeRequest
from rushes.store.advance import Work, advance
from rushes.store.decoded import Decoded, side_by_side


@dataclass(frozen=True)
class Asked:
    """One question about one clip, with the clip's whole prompt, since all its questions are asked together."""

    clip: Clip
    prompt: Prompt
    index: int
    """Position of the question in `prompt.questions`."""


def judge(context: Context, clips: Sequence[Clip], prefix: str = "") -> tuple[Score, ...]:
    """The frozen judges' scores of clips, in order; what is missing is requested now.

    Args:
        context: the run in progress.
        clips: what to judge.
        prefix: of the tables where replies are stored: `watch_` for `watch_answers`.
    """
    scores: dict[str, Score] = {}
    # A clip of several dimensions has one record in each, with the same frames, which are decoded only once.
    for spec, own in by_judge(side_by_side(clips, lambda clip: clip), context.recipe.judge):
        asking = ASKING[gives(resolved(spec.judge, JUDGE))](own, context.prompts, spec, context.runtime.judge_batch)
        ask_chunk = partial(asking.ask, videos=Decoded(context.blobs), name=judge_name(spec))
        with context.during("judge"):
            replies = advance(
                context.run.table(f"{prefix}{asking.table}", asking.record_type),
                asking.work,
                Lazily(partial(build_judge, spec, context.runtime), ask_chunk),
                chunk_size=asking.chunk_size,
                place=context.workers,
            )
        scores.update((score.clip_key, score) for score in asking.grade(replies))
    return tuple(scores[clip.key] for clip in clips)


def by_judge(clips: Sequence[Clip], spec: JudgeSpec) -> list[tuple[JudgeSpec, list[Clip]]]:
    """The clips of each judge, in order, with the recipe's settings for that judge alone."""
    found: dict[str, tuple[JudgeSpec, list[Clip]]] = {}
    for clip in clips:
        own = spec.of(clip.dimension)
        found.setdefault(own.judge.model_dump_json(), (own, []))[1].append(clip)
    return list(found.values())


def asking_for_answers(
    clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: JudgeSpec, num_clips: int
) -> Asking[Asked, Answer]:
    """What a judge that answers questions is asked; see `Asking`."""
    work = questions(clips, prompts, spec)
    size = chunk_size(work, num_clips)
    return Asking("answers", Answer, work, ask, size, lambda answers: grade(clips, prompts, answers, spec))


ASKING: Final[Mapping[Gives, Callable[..., Asking[Any, Any]]]] = {
    "answers": asking_for_answers,
    "scores": asking_for_ratings,
    "preferences": asking_for_votes,
}
"""What judges of each kind are asked."""


def questions(clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: JudgeSpec) -> list[Work[Asked]]:
    """The questions to ask, those about one clip adjacent.

    Args:
        clips: the clips to judge.
        prompts: by key, at least those of `clips`. A prompt without questions gives no work.
        spec: the judge; how answers are aggregated does not affect the work.
    """
    keys = AnswerKeys(spec)
    return [
        Work(key, Asked(clip, prompt, index))
        for clip in clips
        for prompt in [prompts[clip.prompt_key]]
        for index, key in enumerate(keys.of(clip, prompt))
    ]


def chunk_size(work: Sequence[Work[Asked]], num_clips: int) -> int:
    """Pieces of work per chunk for `advance`, so that about `num_clips` clips are judged at once."""
    return max(1, num_clips) * max((len(piece.payload.prompt.questions) for piece in work), default=1)


AnyJudge = Judge | ScoreJudge | PreferenceJudge
"""A judge of any kind."""


def build_judge(spec: JudgeSpec, runtime: RuntimeSpec) -> AnyJudge:
    """The recipe's judge, ready to be asked; with judges of single dimensions, the one for all others.

    Raises:
        RecipeError: the plug-in cannot be loaded, or is not a judge.
        InputError: its weights are missing or damaged.
    """
    if isinstance(spec.judge, VlmJudgeSpec):
        return build_vlm_judge(spec.judge, runtime)
    judge: AnyJudge = build(spec.judge, JUDGE, runtime, "judge.judge")
    return judge


def build_answerer(spec: JudgeSpec, runtime: RuntimeSpec) -> Judge:
    """The recipe's judge, for work that only a judge with answers can do.

    Raises:
        RecipeError: it gives something else, or see `build_judge`.
    """
    kind = gives(resolved(spec.judge, JUDGE))
    if kind != "answers":
        raise RecipeError(
            f"the judge {judge_name(spec)} gives {kind}, and here questions are to be answered",
            expected="a judge that answers questions, see rushes.roles.Judge",
            got=kind,
            next_step="name a judge in judge.judge that answers questions: {kind: vlm, ...}",
        )
    return cast("Judge", build_judge(spec, runtime))


def ask(judge: Judge, chunk: Sequence[Work[Asked]], *, videos: Decoded, name: str) -> list[Answer | Failed]:
    """Judge the clips of one chunk: an `Answer`, or `Failed`, per piece of work in order.

    Every request contains all questions of its clip, even if a chunk boundary splits them, so that requests do not
    depend on the chunk size.

    Args:
        judge: the judge.
        chunk: the questions.
        videos: decodes a clip of two consecutive chunks only once.
        name: of the judge, for the records.

    Raises:
        BlobCorrupt: a clip's video is damaged.
        UserError, Stopped: raised by the judge.
    """
    asked = list({piece.payload.clip.key: piece.payload for piece in chunk}.values())
    requests = [
        JudgeRequest(video, each.prompt.text, each.prompt.questions, clip_key=each.clip.key)
        for each, video in zip(asked, videos.of([each.clip for each in asked]), strict=True)
    ]
    given = dict(zip([each.clip.key for each in asked], batch_or_alone(judge.answer, requests), strict=True))
    return [_answer(piece, given[piece.payload.clip.key], name) for piece in chunk]


def _answer(piece: Work[Asked], given: object, name: str) -> Answer | Failed:
    if isinstance(given, Failed):
        return given
    all_questions = piece.payload.prompt.questions
    answer = checked(given, len(all_questions))[piece.payload.index]
    return Answer(
        key=piece.key,
        clip_key=piece.payload.clip.key,
        question=all_questions[piece.payload.index],
        p_yes=answer.p_yes,
        unscored_reason=answer.unscored_reason,
        judge=name,
        yes_no_mass=answer.yes_no_mass,
    )

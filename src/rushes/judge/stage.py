"""The stage `judge`: one request per clip with all its questions; replies are checked before they become records.

If a judge raises, or its list does not match the requests, the result is `Failed` and the work is tried again. If it
answers without a usable probability (none, NaN, out of range, another type, too few answers), the result is an `Answer`
with the reason. Neither ever becomes a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rushes.context import Context
from rushes.execute.batch import batch_or_alone
from rushes.execute.local import Lazily
from rushes.judge.check import checked
from rushes.judge.grade import grade
from rushes.judge.key import answer_keys, judge_name
from rushes.judge.vlm import build_vlm_judge
from rushes.plugins import JUDGE, build
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Answer, Clip, Prompt, Score
from rushes.roles import Failed, Judge, JudgeRequest
from rushes.store.advance import Work, advance
from rushes.store.decoded import Decoded, side_by_side
from rushes.store.table import Table


@dataclass(frozen=True)
class Asked:
    """One question about one clip, with the clip's whole prompt, since all its questions are asked together."""

    clip: Clip
    prompt: Prompt
    index: int
    """Position of the question in `prompt.questions`."""


def judge(context: Context, clips: Sequence[Clip], table: Table[Answer] | None = None) -> tuple[Score, ...]:
    """The frozen judge's scores of clips; missing answers are requested now.

    Args:
        context: the run in progress.
        clips: what to judge.
        table: where answers are stored; None for the run's answers.
    """
    spec, runtime = context.recipe.judge, context.runtime
    # A clip of several dimensions has one record in each, with the same frames, which are decoded only once.
    work = questions(side_by_side(clips, lambda clip: clip), context.prompts, spec)
    ask_chunk = partial(ask, videos=Decoded(context.blobs), name=judge_name(spec))
    answers = advance(
        context.run.answers if table is None else table,
        work,
        Lazily(partial(build_judge, spec, runtime), ask_chunk),
        chunk_size=chunk_size(work, runtime.judge_batch),
        place=context.workers,
    )
    return grade(clips, context.prompts, answers, spec)


def questions(clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: JudgeSpec) -> list[Work[Asked]]:
    """The questions to ask, those about one clip adjacent.

    Args:
        clips: the clips to judge.
        prompts: by key, at least those of `clips`. A prompt without questions gives no work.
        spec: the judge; how answers are aggregated does not affect the work.
    """
    return [
        Work(key, Asked(clip, prompt, index))
        for clip in clips
        for prompt in [prompts[clip.prompt_key]]
        for index, key in enumerate(answer_keys(clip, prompt, spec))
    ]


def chunk_size(work: Sequence[Work[Asked]], num_clips: int) -> int:
    """Pieces of work per chunk for `advance`, so that about `num_clips` clips are judged at once."""
    return max(1, num_clips) * max((len(piece.payload.prompt.questions) for piece in work), default=1)


def build_judge(spec: JudgeSpec, runtime: RuntimeSpec) -> Judge:
    """The recipe's judge, ready to answer.

    Raises:
        RecipeError: the plug-in cannot be loaded, or is not a judge.
        InputError: its weights are missing or damaged.
    """
    if isinstance(spec.judge, VlmJudgeSpec):
        return build_vlm_judge(spec.judge, runtime)
    judge: Judge = build(spec.judge, JUDGE, runtime, "judge.judge")
    return judge


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
        JudgeRequest(video=video, text=each.prompt.text, questions=each.prompt.questions)
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

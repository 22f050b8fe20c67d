"""Ask the judge: one request per clip with all its questions; what comes back is checked before it becomes a record.

A judge that raises, or whose list does not fit what it was asked, leaves `Failed`: that work is tried again. A judge
that answers, but without a usable probability (none, NaN, out of range, another type, too few answers), leaves an
`Answer` with the reason. Neither ever becomes a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Final

from rushes.errors import Stopped, UserError
from rushes.execute import Lazily
from rushes.judge.check import checked
from rushes.plugins import check_role
from rushes.recipe.judge import JudgeSpec, SandboxJudgeSpec
from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Answer, Clip, Prompt
from rushes.roles import Failed, Judge, JudgeRequest
from rushes.store.advance import Do, Work
from rushes.store.blobs import Blobs
from rushes.store.decoded import Decoded
from rushes.store.files import sha256_of_file
from rushes.store.identity import work_key

_MAX_ALONE: Final = 3
"""Clips in a row that may fail alone before the rest of a failed batch is not tried alone any more."""


@dataclass(frozen=True)
class Asked:
    """One question about one clip. It travels with the clip's whole prompt: all questions are asked together."""

    clip: Clip
    prompt: Prompt
    index: int
    """Position of the question in `prompt.questions`."""


def questions(clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: JudgeSpec) -> list[Work[Asked]]:
    """The questions to ask, a clip's own ones side by side.

    Args:
        clips: the clips to judge.
        prompts: by key, at least those of `clips`. A prompt without questions gives no work.
        spec: who judges; how answers are aggregated is no part of the work.
    """
    return [
        Work(answer_key(clip, prompt, index, spec), Asked(clip, prompt, index))
        for clip in clips
        for prompt in [prompts[clip.prompt_key]]
        for index in range(len(prompt.questions))
    ]


def answer_key(clip: Clip, prompt: Prompt, index: int, spec: JudgeSpec) -> str:
    """Work key of the answer to question `index` of `prompt` about `clip`.

    All questions of the prompt are part of it: they are asked in one request, and a judge may let one colour the next.
    """
    asked = [question.model_dump(mode="json") for question in prompt.questions]
    identity = {"judge": spec.judge, "weights": weights_of(spec.judge), "text": prompt.text, "questions": asked}
    return work_key("answer", identity, [clip], index)


def weights_of(judge: SandboxJudgeSpec | VlmJudgeSpec | PluginSpec) -> str | None:
    """Hash of what a judge brings from the package, so that another one's answers are never taken for its own.

    The sandbox's judge: its weights. A vision-language model: how it is asked, and how many frames it is shown.
    """
    if isinstance(judge, VlmJudgeSpec):
        from rushes.judge.asked import asked_hash

        return asked_hash(judge)
    return _packaged_weights() if isinstance(judge, SandboxJudgeSpec) else None


@cache
def _packaged_weights() -> str | None:
    file = Path(str(files("rushes_sandbox") / "weights" / "judge" / "model.safetensors"))
    return sha256_of_file(file) if file.exists() else None


def chunk_size(work: Sequence[Work[Asked]], num_clips: int) -> int:
    """Pieces of work per chunk for `advance`, so that about `num_clips` clips are judged at once."""
    return max(1, num_clips) * max((len(piece.payload.prompt.questions) for piece in work), default=1)


def judge_name(spec: JudgeSpec) -> str:
    """What the judge is called in answers and reports."""
    if isinstance(spec.judge, VlmJudgeSpec):
        return spec.judge.model.model
    return spec.judge.use if isinstance(spec.judge, PluginSpec) else f"{spec.judge.kind}-vqa"


def asking(spec: JudgeSpec, runtime: RuntimeSpec, blobs: Blobs) -> Do[Asked, Answer]:
    """What `advance` calls on each chunk; the judge is built when the first chunk needs it."""
    asked = partial(ask, videos=Decoded(blobs), name=judge_name(spec))
    return Lazily(partial(build_judge, spec, runtime), asked)


def build_judge(spec: JudgeSpec, runtime: RuntimeSpec) -> Judge:
    """The recipe's judge, ready to answer.

    Raises:
        RecipeError: a plug-in that cannot be loaded, or that is no judge.
        InputError: the sandbox's judge is missing in the package, or damaged.
    """
    if isinstance(spec.judge, SandboxJudgeSpec):
        from rushes_sandbox.vqa.judge import SandboxJudge

        return SandboxJudge.load(batch_size=runtime.judge_batch)
    judge: Judge = spec.judge.build(runtime)
    check_role(judge, "Judge", "answer(requests)", f"judge.judge: {judge_name(spec)}")
    return judge


def ask(judge: Judge, chunk: Sequence[Work[Asked]], *, videos: Decoded, name: str) -> list[Answer | Failed]:
    """Judge the clips of one chunk: an `Answer`, or `Failed`, per piece of work in order.

    Every request holds all questions of its clip, also where the edge of a chunk cuts a clip's questions in two; so the
    size of a chunk changes no request.

    Args:
        judge: who is asked.
        chunk: the questions.
        videos: reads a clip of two chunks that follow each other once.
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
    given = dict(zip([each.clip.key for each in asked], _given(judge, requests), strict=True))
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


def _given(judge: Judge, requests: Sequence[JudgeRequest]) -> list[object]:
    """What the judge gave for each request. When a batch fails, each clip is tried alone: one must not cost all."""
    together = _one_call(judge, requests)
    if len(requests) == 1 or not all(isinstance(given, Failed) for given in together):
        return together
    results: list[object] = []
    failed_in_a_row = 0
    for request in requests:
        (alone,) = _one_call(judge, [request])
        results.append(alone)
        failed_in_a_row = failed_in_a_row + 1 if isinstance(alone, Failed) else 0
        if failed_in_a_row == _MAX_ALONE:
            return results + [alone] * (len(requests) - len(results))
    return results


def _one_call(judge: Judge, requests: Sequence[JudgeRequest]) -> list[object]:
    """What the judge gave, aligned with `requests`; the same `Failed` for each of them where it raised."""
    try:
        given: object = judge.answer(requests)
        if not isinstance(given, (list, tuple)) or len(given) != len(requests):
            size = f"a list of {len(given)}" if isinstance(given, (list, tuple)) else repr(given)[:80]
            raise TypeError(f"expected a list with one tuple of answers for each of {len(requests)} clips, got {size}")
        return list(given)
    except (UserError, Stopped):
        raise
    except Exception as error:
        return [Failed.of(error)] * len(requests)

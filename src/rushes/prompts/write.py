"""Writing prompts: from orders to records. The `do` of the stage `prompts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rushes.records import Prompt
from rushes.roles import Brief, Draft, Failed, PromptWriter, QuestionRequest, QuestionWriter
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key


@dataclass(frozen=True)
class PromptTools:
    """What writing needs."""

    writer: PromptWriter
    """Makes the texts."""
    blobs: Blobs
    """Where the pixels of real clips are stored."""
    questions: QuestionWriter | None = None
    """Asked for the questions of texts that have none; None leaves them without."""


def write_prompts(tools: PromptTools, chunk: Sequence[Work[Brief]]) -> list[Prompt | Failed]:
    """Write one chunk; use as `Lazily(partial(build_tools, ...), write_prompts)`.

    Args:
        tools: writer, blob store, question writer.
        chunk: orders with the keys that the prompts will have.

    Returns:
        A prompt or `Failed` per order, in order. An empty text and a text whose questions could not be written fail;
        whether a text is any good is for the screen to say.

    Raises:
        TypeError: a writer returned another number of results than it was asked for.
        UserError: raised by a writer: a dimension that it does not know.
    """
    briefs = [work.payload for work in chunk]
    drafts = _aligned("the prompt writer", tools.writer.write(briefs), len(briefs))
    drafts = [_not_empty(draft) for draft in drafts]
    if tools.questions is not None:
        drafts = _asked(tools.questions, chunk, drafts)
    return [_record(work, draft, tools.blobs) for work, draft in zip(chunk, drafts, strict=True)]


def _aligned(who: str, results: list[Draft | Failed], wanted: int) -> list[Draft | Failed]:
    if len(results) != wanted:
        raise TypeError(f"{who} must return one result per brief: expected {wanted}, got {len(results)}")
    return results


def _not_empty(draft: Draft | Failed) -> Draft | Failed:
    if isinstance(draft, Draft) and not draft.text.strip():
        return Failed("EmptyDraft", f"the writer returned {draft.text!r}, which has no words")
    return draft


def _asked(writer: QuestionWriter, chunk: Sequence[Work[Brief]], drafts: list[Draft | Failed]) -> list[Draft | Failed]:
    """The drafts with questions for those that had none."""
    wanting = [i for i, draft in enumerate(drafts) if isinstance(draft, Draft) and not draft.questions]
    requests = [_request(chunk[i], drafts[i]) for i in wanting]
    found = writer.write(requests) if requests else []
    if len(found) != len(requests):
        raise TypeError(
            f"the question writer must return one result per text, {len(requests)} in all, got {len(found)}"
        )
    done = list(drafts)
    for i, questions in zip(wanting, found, strict=True):
        draft = done[i]
        assert isinstance(draft, Draft)
        if isinstance(questions, Failed):
            done[i] = questions
        elif not questions:
            done[i] = Failed("NoQuestions", f"the question writer had none for {draft.text!r}")
        else:
            done[i] = replace(draft, questions=questions)
    return done


def _request(work: Work[Brief], draft: Draft | Failed) -> QuestionRequest:
    assert isinstance(draft, Draft)
    brief = work.payload
    return QuestionRequest(draft.text, brief.dimension, brief.description, seed_from_key(work.key, "questions"))


def _record(work: Work[Brief], draft: Draft | Failed, blobs: Blobs) -> Prompt | Failed:
    if isinstance(draft, Failed):
        return draft
    brief = work.payload
    return Prompt(
        key=work.key,
        text=draft.text,
        base_text=draft.base_text or draft.text,
        dimension=brief.dimension,
        origin=brief.origin,
        index=brief.index,
        questions=draft.questions,
        real_clip=None
        if draft.real_clip is None
        else blobs.put_video(draft.real_clip.frames_THWC, fps=draft.real_clip.fps),
        source=draft.source,
    )

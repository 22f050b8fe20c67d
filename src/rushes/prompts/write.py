"""Writing prompts: from briefs to records, by the recipe's writer and question writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rushes.context import Context
from rushes.execute.batch import batch_or_alone
from rushes.execute.local import Lazily
from rushes.llm.build import chat_model
from rushes.plugins import QUESTION_WRITER, WRITER, build
from rushes.prompts.fixed import FixedWriter
from rushes.prompts.llm_questions import LlmQuestions
from rushes.prompts.llm_writer import LlmWriter
from rushes.recipe.models import LlmQuestionsSpec, LlmWriterSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import FixedWriterSpec, PromptsSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Prompt
from rushes.roles import Brief, Draft, Failed, PromptWriter, QuestionRequest, QuestionWriter
from rushes.store.advance import Work, advance
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key

CHUNK_SIZE: Final = 64
"""Prompts written per chunk."""


@dataclass(frozen=True)
class PromptTools:
    """What writing needs."""

    writer: PromptWriter
    """Writes the texts."""
    blobs: Blobs
    """Where the pixels of real clips are stored."""
    questions: QuestionWriter | None = None
    """Writes questions for texts that have none; None leaves them without."""


def written(context: Context, work: Sequence[Work[Brief]], writer: PromptWriter | None = None) -> tuple[Prompt, ...]:
    """The prompts for these briefs; missing ones are written now.

    Args:
        context: the run's context; it remembers the prompts.
        work: the briefs.
        writer: the writer; None for the recipe's.

    Raises:
        UserError: the writer cannot be built, or does not support a dimension.
    """
    spec = context.recipe.prompts
    if writer is not None and spec.only_real:  # questions are for the judge, who is not asked about captions then
        spec = spec.model_copy(update={"questions": None})
    build_tools = partial(_tools, spec, context.runtime, context.run.blobs, writer)
    with context.during("write"):
        made = advance(
            context.run.prompts, work, Lazily(build_tools, write_prompts), chunk_size=CHUNK_SIZE, place=context.here
        )
    context.prompts.update({prompt.key: prompt for prompt in made})
    return tuple(made)


def _tools(spec: PromptsSpec, runtime: RuntimeSpec, blobs: Blobs, writer: PromptWriter | None) -> PromptTools:
    asked = spec.questions
    questions = None if asked is None else build_question_writer(asked, runtime)
    return PromptTools(writer or build_writer(spec.writer, runtime), blobs, questions)


def build_writer(spec: FixedWriterSpec | LlmWriterSpec | PluginSpec, runtime: RuntimeSpec) -> PromptWriter:
    """The recipe's prompt writer.

    Raises:
        RecipeError: a plug-in or a model that cannot be used.
        InputError: the file of prompts is missing, or a line of it cannot be used.
    """
    if isinstance(spec, FixedWriterSpec):
        return FixedWriter.read(spec)
    if isinstance(spec, LlmWriterSpec):
        return LlmWriter(spec, chat_model(spec.model, runtime))
    writer: PromptWriter = build(spec, WRITER, runtime, "prompts.writer")
    return writer


def build_question_writer(spec: LlmQuestionsSpec | PluginSpec, runtime: RuntimeSpec) -> QuestionWriter:
    """The recipe's question writer.

    Raises:
        RecipeError: a plug-in or a model that cannot be used.
    """
    if isinstance(spec, LlmQuestionsSpec):
        return LlmQuestions(spec, chat_model(spec.model, runtime))
    writer: QuestionWriter = build(spec, QUESTION_WRITER, runtime, "prompts.questions")
    return writer


def write_prompts(tools: PromptTools, chunk: Sequence[Work[Brief]]) -> list[Prompt | Failed]:
    """Write one chunk; use as `Lazily(build_tools, write_prompts)`.

    Args:
        tools: writer, blob store, question writer.
        chunk: briefs with the keys that the prompts will have.

    Returns:
        A prompt or `Failed` per brief, in order. An empty text and a text whose questions could not be written fail;
        the screen decides whether a text is any good.

    Raises:
        UserError: raised by a writer before it gave anything, such as for a dimension that it does not support.
    """
    briefs = [work.payload for work in chunk]
    drafts = [_draft(each) for each in batch_or_alone(tools.writer.write, briefs)]
    if tools.questions is not None:
        drafts = _asked(tools.questions, chunk, drafts)
    return [_record(work, draft, tools.blobs) for work, draft in zip(chunk, drafts, strict=True)]


def _draft(given: object) -> Draft | Failed:
    if isinstance(given, Draft) and not given.text.strip():
        return Failed("EmptyDraft", f"the writer returned {given.text!r}, which has no words", retry="useless")
    return given if isinstance(given, (Draft, Failed)) else _unfit("a Draft or Failed from the prompt writer", given)


def _unfit(expected: str, given: object) -> Failed:
    return Failed("TypeError", f"expected {expected}, got {repr(given)[:80]}")


def _asked(writer: QuestionWriter, chunk: Sequence[Work[Brief]], drafts: list[Draft | Failed]) -> list[Draft | Failed]:
    """The drafts with questions for those that had none."""
    wanting = [i for i, draft in enumerate(drafts) if isinstance(draft, Draft) and not draft.questions]
    requests = [_request(chunk[i], drafts[i]) for i in wanting]
    found = batch_or_alone(writer.write, requests) if requests else []
    done = list(drafts)
    for i, questions in zip(wanting, found, strict=True):
        draft = done[i]
        assert isinstance(draft, Draft)
        if isinstance(questions, Failed):
            done[i] = questions
        elif not isinstance(questions, (tuple, list)):
            done[i] = _unfit("questions or Failed from the question writer", questions)
        elif not questions:
            done[i] = Failed("NoQuestions", f"the question writer had none for {draft.text!r}", retry="useless")
        else:
            done[i] = replace(draft, questions=tuple(questions))
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

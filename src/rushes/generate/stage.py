"""The stage `generate`: clips of a round's prompts and of evaluation prompts, and drafts that pick among prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rushes.context import Context
from rushes.execute.local import Lazily
from rushes.families.models import Model, Models
from rushes.generate.clips import PipelineGenerator, decode_chunk, generate_chunk
from rushes.generate.takes import How, Take, copied, once, takes
from rushes.recipe.recipe import as_draft
from rushes.records import Clip, Prompt
from rushes.roles import Failed
from rushes.store.advance import Work, advance
from rushes.store.table import Table

DRAFT_CLIPS = "draft_clips"
"""Table of draft clips: nothing takes them for clips of the run's shape."""
COPIED_AT_ONCE = 256
"""Clips per chunk that are another one's under another name."""


def generate(context: Context, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
    """The takes of a round's prompts, with latents for training, by the frozen model of the round."""
    spec, shape = context.recipe.generate, context.recipe.shape
    how = How(model.name, spec.sampler, shape, spec.stored_as, spec.decode)
    work = takes(prompts, spec.num_takes, how)
    if spec.decode:
        undecoded = How(model.name, spec.sampler, shape, spec.stored_as, decode=False)
        _decode_kept(context, model, work, takes(prompts, spec.num_takes, undecoded))
    return clips_of(context, model, work, how)


def evaluation_clips(context: Context, model: Model, prompts: Sequence[Prompt], num_takes: int) -> list[Clip]:
    """Clips of probe or held-out prompts, sampled as the comparison wants it."""
    how = How(model.name, context.recipe.measure.sampler, context.recipe.shape, context.recipe.generate.stored_as)
    return clips_of(context, model, takes(prompts, num_takes, how), how)


def draft_clips(context: Context, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
    """Cheap draft takes of a round's prompts, without latents, in a table of their own.

    Raises:
        RecipeError: the model cannot make clips of the drafts' shape.
    """
    draft = as_draft(context.recipe)
    how = How(model.name, draft.generate.sampler, draft.shape, draft.generate.stored_as)
    work = takes(prompts, draft.generate.num_takes, how)
    chunk = partial(generate_chunk, blobs=context.blobs, how=how, latents=False)
    return _advance(context, model, work, chunk, context.run.table(DRAFT_CLIPS, Clip), _texts(work, how))


def clips_of(context: Context, model: Model, work: Sequence[Work[Take]], how: How) -> list[Clip]:
    """The clips of takes in their order: generated where they are missing, and copied where they share an output."""
    run = context.run
    missing = set(run.clips.missing([piece.key for piece in work]))
    first, again = once(work, context.outputs, {piece.key for piece in work} - missing)
    chunk = partial(generate_chunk, blobs=context.blobs, how=how)
    made = _advance(context, model, first, chunk, run.clips, _texts(first, how))
    _remember(context, made, work)
    if again:
        copy = partial(copied, outputs=context.outputs)
        made += advance(run.clips, again, copy, chunk_size=COPIED_AT_ONCE, place=context.here)
        _remember(context, made, work)
    position = {piece.key: number for number, piece in enumerate(work)}
    return sorted(made, key=lambda clip: position[clip.key])


def _decode_kept(context: Context, model: Model, work: Sequence[Work[Take]], undecoded: Sequence[Work[Take]]) -> None:
    """Decode takes that an earlier recipe kept as latents alone; `undecoded` are the same takes, in order."""
    run = context.run
    missing = set(run.clips.missing([piece.key for piece in work]))
    there = run.clips.get_many([piece.key for piece in undecoded])
    found = {
        piece.key: there[same.key]
        for piece, same in zip(work, undecoded, strict=True)
        if piece.key in missing and same.key in there
    }
    if found:
        stored_as = context.recipe.generate.stored_as
        chunk = partial(decode_chunk, undecoded=found, blobs=context.blobs, stored_as=stored_as)
        _advance(context, model, [piece for piece in work if piece.key in found], chunk, run.clips, [])


def _advance(
    context: Context,
    model: Model,
    work: Sequence[Work[Take]],
    chunk: Callable[[PipelineGenerator, Sequence[Work[Take]]], list[Clip | Failed]],
    table: Table[Clip],
    texts: Sequence[str],
) -> list[Clip]:
    """Have clips made by a loaded model, here or on workers."""
    build = partial(_generator, context.models, model, texts)
    size = context.recipe.runtime.generate_batch
    return advance(table, work, Lazily(build, chunk), chunk_size=size, place=context.workers)


def _generator(models: Models, model: Model, texts: Sequence[str]) -> PipelineGenerator:
    return PipelineGenerator(models.with_weights(model, texts))


def _texts(work: Sequence[Work[Take]], how: How) -> list[str]:
    """All that the model has to read."""
    return [how.sampler.negative_prompt, *dict.fromkeys(piece.payload.prompt.text for piece in work)]


def _remember(context: Context, made: Sequence[Clip], work: Sequence[Work[Take]]) -> None:
    """Keep clips at hand by their keys and by their outputs."""
    context.clips.update({clip.key: clip for clip in made})
    outputs: Mapping[str, str] = {piece.key: piece.payload.output for piece in work}
    context.outputs.update({outputs[clip.key]: clip for clip in made})

"""The stage `generate`: clips of a round's prompts and of evaluation prompts, and drafts for choosing prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from rushes.context import Context
from rushes.execute.local import Lazily
from rushes.families.models import Model, Models
from rushes.families.texts import as_negative
from rushes.generate.clips import PipelineGenerator, decode_chunk, generate_chunk
from rushes.generate.overlap import overlapping
from rushes.generate.source import Source, source_of
from rushes.generate.takes import How, Take, copied, once, takes
from rushes.recipe.recipe import as_draft
from rushes.records import Clip, Prompt, SamplerSettings
from rushes.roles import Failed
from rushes.store.advance import Do, Work, advance

DRAFT_CLIPS = "draft_clips"
"""Table of draft clips, kept apart from clips of the run's shape."""
WATCH_CLIPS = "watch_clips"
"""Table of the clips by which training is watched."""
COPIED_AT_ONCE = 256
"""Clips per chunk that only copy the record of another clip."""


def generate(context: Context, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
    """The takes of a round's prompts, with latents for training, by the frozen model of the round or another one."""
    spec, source = context.recipe.generate, source_of(context, model)
    how = How(
        source.model.name,
        spec.sampler,
        context.recipe.shape,
        spec.stored_as,
        spec.decode,
        source.is_trained_on,
        source.made_by,
    )
    with context.during("generate"), _alone(context, source):
        if spec.decode:
            _decode_kept(context, source, prompts, how)
        return clips_of(context, source.model, prompts, spec.num_takes, how, source.models)


def evaluation_how(context: Context, model: Model) -> How:
    """How clips of probe and held-out prompts are generated: with the sampler of the comparison."""
    recipe = context.recipe
    return How(model.name, recipe.measure.sampler, recipe.shape, recipe.generate.stored_as)


@contextmanager
def _alone(context: Context, source: Source) -> Iterator[None]:
    """Another model than the tuned one is loaded without that beside it, and is freed afterwards."""
    if source.models is context.models:
        yield
        return
    context.models.release()
    try:
        yield
    finally:
        source.models.release()


def clips_of(
    context: Context,
    model: Model,
    prompts: Sequence[Prompt],
    num_takes: int,
    how: How,
    models: Models | None = None,
) -> list[Clip]:
    """The takes of prompts, in order: generated if missing, copied if they share an output.

    Args:
        context: the run in progress.
        model: the weights that generate.
        prompts: what to generate.
        num_takes: of each prompt.
        how: everything else that decides a clip.
        models: what the weights belong to; None for the model that is tuned.
    """
    run, work = context.run, takes(prompts, num_takes, how)
    missing = set(run.clips.missing([piece.key for piece in work]))
    first, again = once(work, context.outputs, {piece.key for piece in work} - missing)
    chunk = partial(generate_chunk, blobs=context.blobs, how=how)
    do = _by_model(models or context.models, model, chunk, _texts(first, how))
    size = context.recipe.runtime.generate_batch
    made = advance(run.clips, first, do, chunk_size=size, place=overlapping(context.workers, context.recipe.runtime))
    _remember(context, made, work)
    if again:
        copy = partial(copied, outputs=context.outputs)
        made += advance(run.clips, again, copy, chunk_size=COPIED_AT_ONCE, place=context.here)
        _remember(context, made, work)
    position = {piece.key: number for number, piece in enumerate(work)}
    return sorted(made, key=lambda clip: position[clip.key])


def draft_clips(context: Context, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
    """Cheap draft takes of a round's prompts, without latents, in a separate table.

    Raises:
        RecipeError: the model cannot make clips of the drafts' shape.
    """
    draft, source = as_draft(context.recipe), source_of(context, model)
    how = How(source.model.name, draft.generate.sampler, draft.shape, draft.generate.stored_as, made_by=source.made_by)
    work = takes(prompts, draft.generate.num_takes, how)
    with _alone(context, source):
        return _apart(context, source, work, how, DRAFT_CLIPS, latents=False)


def tuning_clips(context: Context, prompts: Sequence[Prompt], sampler: SamplerSettings, name: str) -> list[Clip]:
    """One clip of each prompt, as the clips to train on are generated but with another sampler, without latents.

    Args:
        context: the run in progress.
        prompts: what to generate.
        sampler: how.
        name: of the table where clips are kept.
    """
    recipe, source = context.recipe, source_of(context, context.base)
    how = How(source.model.name, sampler, recipe.shape, recipe.generate.stored_as, made_by=source.made_by)
    with _alone(context, source):
        return _apart(context, source, takes(prompts, 1, how), how, name, latents=False)


def watch_clips(context: Context, model: Model, work: Sequence[Work[Take]]) -> list[Clip]:
    """Clips by which training is watched, in a separate table: the context does not remember them.

    So training, which also reads clips of the context that it does not learn from, is the same with and without them.

    Args:
        context: the run in progress.
        model: whose clips.
        work: which takes, generated as `evaluation_how` says.
    """
    return _apart(context, Source(context.models, model), work, evaluation_how(context, model), WATCH_CLIPS)


def _apart(
    context: Context, source: Source, work: Sequence[Work[Take]], how: How, name: str, *, latents: bool = True
) -> list[Clip]:
    """Takes generated into a table of their own."""
    chunk = partial(generate_chunk, blobs=context.blobs, how=how, latents=latents)
    do = _by_model(source.models, source.model, chunk, _texts(work, how))
    table, size = context.run.table(name, Clip), context.recipe.runtime.generate_batch
    return advance(table, work, do, chunk_size=size, place=overlapping(context.workers, context.recipe.runtime))


def _decode_kept(context: Context, source: Source, prompts: Sequence[Prompt], how: How) -> None:
    """Decode takes that an earlier recipe stored as latents only."""
    run, num_takes = context.run, context.recipe.generate.num_takes
    work, undecoded = takes(prompts, num_takes, how), takes(prompts, num_takes, replace(how, decode=False))
    missing = set(run.clips.missing([piece.key for piece in work]))
    there = run.clips.get_many([piece.key for piece in undecoded])
    found = {
        piece.key: there[same.key]
        for piece, same in zip(work, undecoded, strict=True)
        if piece.key in missing and same.key in there
    }
    if found:
        chunk = partial(decode_chunk, undecoded=found, blobs=context.blobs, stored_as=how.stored_as)
        do, size = _by_model(source.models, source.model, chunk, []), context.recipe.runtime.generate_batch
        todo = [piece for piece in work if piece.key in found]
        advance(run.clips, todo, do, chunk_size=size, place=context.workers)


def _by_model(
    models: Models,
    model: Model,
    chunk: Callable[[PipelineGenerator, Sequence[Work[Take]]], list[Clip | Failed]],
    texts: Sequence[str],
) -> Do[Take, Clip]:
    """The call of `advance` for each chunk; the model is loaded for the first chunk, in this process or on a worker."""
    return Lazily(partial(_generator, models, model, texts), chunk)


def _generator(models: Models, model: Model, texts: Sequence[str]) -> PipelineGenerator:
    return PipelineGenerator(models.with_weights(model, texts))


def _texts(work: Sequence[Work[Take]], how: How) -> list[str]:
    """All texts that the model needs."""
    return [as_negative(how.sampler.negative_prompt), *dict.fromkeys(piece.payload.prompt.text for piece in work)]


def _remember(context: Context, made: Sequence[Clip], work: Sequence[Work[Take]]) -> None:
    """Add clips to the context by key and by output."""
    context.clips.update({clip.key: clip for clip in made})
    outputs: Mapping[str, str] = {piece.key: piece.payload.output for piece in work}
    context.outputs.update({outputs[clip.key]: clip for clip in made})

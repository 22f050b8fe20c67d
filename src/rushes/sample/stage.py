"""Sampling of texts that somebody asked for: one clip at a time, kept in the run, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from rushes.errors import InputError, StoreError, command
from rushes.execute.progress import OnProgress
from rushes.families.folder import BASE_FINGERPRINT, fingerprint_of, word_level_vocabulary
from rushes.families.models import Model, Models
from rushes.families.tokens import token_counter
from rushes.generate.clips import PipelineGenerator, generate_chunk
from rushes.generate.takes import How, Take
from rushes.prompts.screen import Reads, unreadable
from rushes.recipe.recipe import Recipe
from rushes.records import Prompt, SampledClip, SamplerSettings
from rushes.roles import Failed
from rushes.sample.choose import BASE, Column, column
from rushes.store.advance import Place, Work, advance
from rushes.store.beside import beside
from rushes.store.blobs import Blobs
from rushes.store.identity import work_key
from rushes.store.recipe_copy import read_recipe
from rushes.store.run import Run

TABLE: Final = "sampled_clips"
"""Table of these clips, apart from all that a run makes."""
MAX_TEXTS: Final = 200
MAX_SEEDS: Final = 64
"""Most texts, and most seeds of each, in one request."""
MAY_SET: Final = ("measure.sampler.", "shape.", "runtime.")
"""Beginnings of the settings that may differ from the run's."""


@dataclass(frozen=True)
class Request:
    """What to sample."""

    texts: tuple[str, ...]
    """Prompts, in order."""
    num_seeds: int = 3
    """Clips of each prompt and model."""
    first_seed: int = 0
    """The seeds are this one and the ones that follow."""
    checkpoint: str | None = None
    """See `rushes.sample.choose.column`."""
    beside: str | None = BASE
    """What stands beside it, from the same seeds; None for nothing."""
    strength: float = 1.0
    """Of the checkpoint; what stands beside it is shown as it is."""
    settings: tuple[str, ...] = ()
    """`a.b=value` each: settings of the sampler, the shape or the runtime that differ from the run's."""

    @property
    def seeds(self) -> range:
        """All seeds."""
        return range(self.first_seed, self.first_seed + self.num_seeds)


@dataclass(frozen=True)
class Sampled:
    """The clips of a request."""

    request: Request
    columns: tuple[Column, ...]
    """Whose clips, from left to right."""
    clips: dict[tuple[str, int, str], SampledClip]
    """By text, seed and label of the column."""
    num_new: int
    """Of them, those that were not there before."""


@dataclass(frozen=True)
class _Piece:
    """One clip to sample."""

    text: str
    seed: int
    column: Column


def sample(home: Path, request: Request, on_progress: OnProgress | None = None) -> Sampled:
    """Sample what is not there yet, by the run's base model and device, and return all clips of the request.

    Each clip is sampled alone, so that it is the same whatever else is asked for with it.

    Args:
        home: the run folder.
        request: what to sample.
        on_progress: called after every clip.

    Raises:
        InputError: a text that the model cannot read, or a checkpoint that the run does not have.
        RunLocked: a process works in the run folder.
        StoreError: not a run folder, or a run without a checkpoint.
        Stopped: stopped by the user; the clips so far are stored.
    """
    recipe = _recipe(home, request)
    check_texts(request, recipe)
    with beside(home) as run, run.stop.listening():
        models = Models(recipe.base, recipe.runtime, [recipe.shape], run.blobs)
        columns = columns_of(run, _base(run, recipe, models), request)
        work = _work(request, columns, recipe)
        table = run.table(TABLE, SampledClip)
        keys = [piece.key for piece in work]
        _drop_damaged(run, keys)
        num_new = len(table.missing(keys))
        texts = [_sampler(recipe).negative_prompt, *dict.fromkeys(request.texts)]
        do = partial(_sample_chunk, models=models, texts=texts, recipe=recipe, blobs=run.blobs)
        place = Place(device=recipe.runtime.device, stop=run.stop, on_progress=on_progress, is_counted=False)
        advance(table, work, do, chunk_size=1, place=place, must_finish=True)
        found = table.get_many(keys)
    # Two columns may hold the same weights, such as a checkpoint at strength 0 and the base.
    clips = {
        (text, seed, each.label): found[_key(text, seed, each, recipe)]
        for each in columns
        for text in request.texts
        for seed in request.seeds
    }
    return Sampled(request, columns, clips, num_new)


def columns_of(run: Run, base: Model, request: Request) -> tuple[Column, ...]:
    """Whose clips are asked for: what stands beside it first.

    Raises:
        InputError, StoreError: see `column`.
    """
    asked = column(run, base, request.checkpoint, request.strength)
    if request.beside is None:
        return (asked,)
    other = column(run, base, request.beside)
    return (asked,) if other.label == asked.label else (other, asked)


def check_texts(request: Request, recipe: Recipe) -> None:
    """Check that the model can read every text whole; nothing is loaded.

    Raises:
        InputError: it cannot, or too much is asked for.
    """
    if not (0 < len(request.texts) <= MAX_TEXTS and 0 < request.num_seeds <= MAX_SEEDS and request.first_seed >= 0):
        raise InputError(
            "so many clips cannot be sampled at once",
            expected=f"1 to {MAX_TEXTS} prompts and 1 to {MAX_SEEDS} seeds, the first of them 0 or more",
            got=f"{len(request.texts)} prompts, {request.num_seeds} seeds from {request.first_seed}",
            next_step="split the prompts, or lower --seeds",
        )
    reads = Reads(word_level_vocabulary(recipe.base), recipe.base.max_tokens, token_counter(recipe.base))
    for text in request.texts:
        why = unreadable(text, reads) if text.strip() else "it has no words"
        if why is not None or not text.isprintable():
            raise InputError(
                "the model cannot read this prompt as it stands",
                expected=f"one line of at most {recipe.base.max_tokens} tokens, in words that the model knows",
                got=f"{text[:80]}: {why or 'it has line breaks or control characters'}",
                next_step="shorten it, or use other words; prompts that work are in the run's report",
            )


def _recipe(home: Path, request: Request) -> Recipe:
    wrong = [each for each in request.settings if not each.startswith(MAY_SET)]
    if wrong:
        raise InputError(
            "this setting decides what the run is, and cannot differ in its samples",
            expected=f"a setting that begins with {', '.join(MAY_SET)}",
            got=wrong[0],
            next_step="try --set measure.sampler.num_steps=30",
        )
    with Run.view(home):  # says so where it is no run folder
        return read_recipe(home / "recipe.yaml", list(request.settings))


def _base(run: Run, recipe: Recipe, models: Models) -> Model:
    """The base model, still the one of the run.

    Raises:
        StoreError: its files have changed.
    """
    before, now = run.database.meta(BASE_FINGERPRINT), fingerprint_of(recipe.base)
    if before is not None and now is not None and before != now:
        raise StoreError(
            f"the files of base.model {recipe.base.model!r} have changed since the run in {run.home} began",
            expected=f"files with the fingerprint {before[:12]}",
            got=now[:12],
            next_step=f"restore the old files, or sample in a new run; the run: {command('status', run.home)}",
        )
    return models.base


def _sampler(recipe: Recipe) -> SamplerSettings:
    return recipe.measure.sampler if recipe.is_measured else recipe.generate.sampler


def _how(recipe: Recipe, model: str) -> How:
    return How(model, _sampler(recipe), recipe.shape, recipe.generate.stored_as)


def _key(text: str, seed: int, column: Column, recipe: Recipe) -> str:
    spec = {**_how(recipe, column.model.name).key_part(), "max_tokens": recipe.base.max_tokens}
    return work_key("sampled_clip", spec, [text], seed)


def _work(request: Request, columns: Sequence[Column], recipe: Recipe) -> list[Work[_Piece]]:
    """One piece for each clip, by column, so that weights are changed only once; each key once."""
    found: dict[str, Work[_Piece]] = {}
    for each in columns:
        for text in request.texts:
            for seed in request.seeds:
                key = _key(text, seed, each, recipe)
                found.setdefault(key, Work(key, _Piece(text, seed, each)))
    return list(found.values())


def _drop_damaged(run: Run, keys: Sequence[str]) -> None:
    """Clips whose stored frames are no longer what was written are sampled again."""
    table = run.table(TABLE, SampledClip)
    table.drop([key for key, each in table.get_many(keys).items() if run.blobs.damage(each.video) is not None])


def _sample_chunk(
    chunk: Sequence[Work[_Piece]], *, models: Models, texts: Sequence[str], recipe: Recipe, blobs: Blobs
) -> list[SampledClip | Failed]:
    (work,) = chunk
    piece = work.payload
    how = _how(recipe, piece.column.model.name)
    generator = PipelineGenerator(models.with_weights(piece.column.model, texts))
    take = Take(_prompt(piece.text), 0, piece.seed, work.key)
    (made,) = generate_chunk(
        generator, [Work(work.key, take)], blobs=blobs, how=replace(how, decode=True), latents=False
    )
    if isinstance(made, Failed):
        return [made]
    return [
        SampledClip(
            key=work.key,
            text=piece.text,
            seed=piece.seed,
            model=how.model,
            checkpoint=piece.column.checkpoint,
            step=piece.column.step,
            strength=piece.column.strength,
            sampler=how.sampler,
            height_px=made.height_px,
            width_px=made.width_px,
            num_frames=made.num_frames,
            fps=made.fps,
            seconds=made.seconds,
            video=made.frames,
        )
    ]


def _prompt(text: str) -> Prompt:
    """The text as the generator takes it; it is not stored."""
    key = work_key("sampled_prompt", None, [text])
    return Prompt(key=key, text=text, base_text=text, dimension="typed", origin="held_out", index=0, source="typed")

"""Real clips and their captions: from the user's folder or a plug-in, screened like all other texts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rushes.context import Context
from rushes.errors import command
from rushes.plugins import CLIP_SOURCE, build
from rushes.prompts.briefs import plan_captions
from rushes.prompts.captions import CaptionWriter, read_clip_folder
from rushes.prompts.clip_check import refusals
from rushes.prompts.clip_rows import REAL_CLIPS, ClipFolder, ClipRow, only, repeated, without_refused
from rushes.prompts.evaluation import Evaluation
from rushes.prompts.objections import objections
from rushes.prompts.screen import Screened, reader_of, reads_of, screen
from rushes.prompts.stated import lacking, with_preferences
from rushes.prompts.write import CHUNK_SIZE, written
from rushes.recipe.base import ShapeSpec
from rushes.recipe.prompts import CLIPS_PER_REAL_CLIP
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import check_held_out
from rushes.records import Clip, Prompt, Stated
from rushes.roles import ClipSource, RealClip
from rushes.store.advance import Work, advance
from rushes.store.identity import work_key
from rushes.store.run import Run


@dataclass(frozen=True)
class RealMaterial:
    """The real clips of a run."""

    captions: tuple[Prompt, ...] = ()
    """Their captions as prompts."""
    clips: tuple[Clip, ...] = ()
    """One per caption, in order; latents are not kept, since training encodes them."""


def real_material(context: Context, evaluation: Evaluation) -> RealMaterial:
    """The recipe's real clips whose captions pass the screen.

    Raises:
        InputError: no clip of the user's folder can be used.
        TrainingError: all of them would be kept out of training; checked here, before any clips are generated.
    """
    captions = _captions(context, evaluation)
    work = [Work(_key(prompt), prompt) for prompt in captions]
    with context.during("read"):
        clips = advance(
            context.run.clips,
            work,
            lambda chunk: [_record(piece, _shape_of(piece.payload, context)) for piece in chunk],
            chunk_size=CHUNK_SIZE,
            place=context.here,
        )
    check_held_out(context.recipe.train.num_held_out, len(clips))
    context.forecast.real_clips(len(clips))
    return RealMaterial(captions, tuple(clips))


def _captions(context: Context, evaluation: Evaluation) -> tuple[Prompt, ...]:
    recipe, run = context.recipe, context.run
    spec = recipe.prompts.real
    folder = None if spec.folder is None or not spec.num_wanted else _folder(recipe, run)
    clips = folder.clips if folder is not None else _from_source(context)
    if not clips:
        return ()
    # Left out here, not by the reader: the number of a clip is part of its key.
    same = repeated(clips) if folder is not None else {}
    if recipe.prompts.only_real:
        same |= lacking(clips)
    questions = None if recipe.prompts.only_real else recipe.prompts.questions  # see `written`
    plan = [work for work in plan_captions(clips, questions) if work.payload.index not in same]
    drafts = written(context, plan, CaptionWriter(clips, recipe.real_shapes))
    screened = screen(
        drafts,
        # A critic tells what no video could show. These captions are of videos that are there to be learned from.
        objections={} if recipe.prompts.only_real else objections(context, drafts, "captions"),
        evaluation=evaluation.guarded,
        spec=recipe.prompts.screen,
        reads=reads_of(context),
        # A plug-in draws from more clips than are needed, so that repeats can be left out.
        keep_repeats=folder is not None,
        reader=reader_of(recipe.prompts),
    )
    context.rejections.extend(screened.rejections)
    accepted = screened.accepted[: spec.num_wanted]
    whole = folder or ClipFolder(clips, (), tuple(clip.name for clip in clips))
    if folder is not None:
        whole = replace(whole, rows=_with_refused(run, folder, same, drafts, screened))
    if recipe.prompts.only_real:
        whole = with_preferences(only(whole, [prompt.index for prompt in accepted]))
        context.stated = _by_key(whole, accepted)
    if folder is not None:
        run.write_derived(REAL_CLIPS, whole.rows)
    return accepted


def _by_key(folder: ClipFolder, accepted: Sequence[Prompt]) -> dict[str, Stated]:
    """What is said about each clip, by its key; clips that it is preferred over by their keys."""
    keys = {clip.name: _key(prompt) for clip, prompt in zip(folder.clips, accepted, strict=True)}
    return {
        keys[clip.name]: clip.stated.model_copy(
            update={"preferred_over": tuple(keys[name] for name in clip.stated.preferred_over)}
        )
        for clip in folder.clips
    }


def _key(caption: Prompt) -> str:
    """The key of the clip of a caption."""
    return work_key("clip", "real", [caption])


def _from_source(context: Context) -> tuple[RealClip, ...]:
    """Clips of a plug-in; more than needed are requested, since some captions repeat an evaluation prompt."""
    spec = context.recipe.prompts.real
    if spec.source is None or not spec.num_wanted:
        return ()
    source: ClipSource = build(spec.source, CLIP_SOURCE, context.runtime, "prompts.real.source")
    num = math.ceil(CLIPS_PER_REAL_CLIP * spec.num_wanted)
    return tuple(source.clips(num, context.recipe.seed, context.recipe.shape, None))


def _folder(recipe: Recipe, run: Run) -> ClipFolder:
    """The user's folder; the outcome of each file and row is recorded."""
    spec = recipe.prompts.real
    assert spec.folder is not None
    found = read_clip_folder(
        spec.folder,
        recipe.shape,
        spec.num_clips,
        spec.windows,
        is_trained_on=recipe.prompts.only_real,
        further=recipe.real_shapes,
    )
    run.write_derived(REAL_CLIPS, found.rows)
    if found.warning:
        see = command("data", "check", spec.folder, "--recipe", run.home / "recipe.yaml")
        warnings.warn(f"{found.warning}; see: {see}", stacklevel=2)
    left = sum(row.outcome == "left_over" for row in found.rows)
    if left and recipe.prompts.only_real:
        warnings.warn(
            f"{left} videos of {spec.folder} are not trained on: prompts.real.num_clips is {spec.num_clips}",
            stacklevel=2,
        )
    return found.require_some(spec.folder)


def _with_refused(
    run: Run,
    folder: ClipFolder,
    same: Mapping[int, tuple[str, str]],
    drafts: Sequence[Prompt],
    screened: Screened,
) -> tuple[ClipRow, ...]:
    """The folder's table with the good files that are not used because of their captions."""
    failed = ("failed", f"its caption could not be turned into a prompt: {run.shortfall.reasons('prompts')}")
    written_ones = {prompt.index for prompt in drafts}
    refused = {position: failed for position in range(len(folder.clips)) if position not in written_ones}
    return without_refused(folder, {**refused, **same, **refusals(drafts, screened)})


def _shape_of(caption: Prompt, context: Context) -> ShapeSpec:
    """The shape of a real clip: where there may be several, that of its stored frames."""
    recipe = context.recipe
    if len(recipe.real_shapes) == 1 or caption.real_clip is None:
        return recipe.shape
    num_frames, height_px, width_px = context.blobs.read_video(caption.real_clip).shape[:3]
    sides = {"num_frames": num_frames, "height_px": height_px, "width_px": width_px}
    return recipe.shape.model_copy(update=sides)


def _record(piece: Work[Prompt], shape: ShapeSpec) -> Clip:
    prompt = piece.payload
    assert prompt.real_clip is not None
    return Clip(
        key=piece.key,
        prompt_key=prompt.key,
        dimension=prompt.dimension,
        seed=0,
        seed_index=0,
        model="real",
        origin="real",
        height_px=shape.height_px,
        width_px=shape.width_px,
        num_frames=shape.num_frames,
        fps=shape.fps,
        seconds=0.0,
        video=prompt.real_clip,
    )

"""The stage `compare`: base and tuned model on the same prompts and seeds, the scorecard, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rushes.context import Context
from rushes.families.models import Model
from rushes.judge.stage import judge
from rushes.measure.latents import ClipMoments, LatentMoments, latent_moments
from rushes.measure.pairs import pair_up, prompt_gains
from rushes.records import Clip, Focus, Measurement, Scorecard
from rushes.report.arithmetic import unit_flops
from rushes.report.collect import Result, publish
from rushes.store.heal import reread


def compare(
    context: Context,
    focus: Sequence[Focus],
    tuned: Model,
    real: Sequence[Clip],
    before: Sequence[Measurement],
    after: Sequence[Measurement],
) -> Scorecard:
    """Let the judge score the held-out clips too, compare, write the report, and mark the run as done.

    Args:
        context: the run's context.
        focus: the dimensions that the run aimed at.
        tuned: the last round's model.
        real: the real clips.
        before: measurements of the untouched model on held-out prompts.
        after: those of the tuned model.

    Raises:
        RecordCorrupt, BlobCorrupt: something that was stored is damaged, and has to be made again.
    """
    run, recipe = context.run, context.recipe
    reread(run)
    measured = [context.clips[key] for each in (*before, *after) for key in each.subject]
    single = [clip for clip in measured if clip.dimension not in context.group_dimensions]
    result = Result(
        focus=tuple(focus),
        base=context.base.name,
        tuned=tuned.name,
        before=tuple(before),
        after=tuple(after),
        clips=context.clips,
        real=tuple(real),
        judged=() if recipe.prompts.only_real else judge(context, single),
        real_moments=real_moments(context, real),
        unit_flops=unit_flops(context, single),
    )
    run.write_derived("gains", prompt_gains(pair_up(before, after, measured)))
    scorecard = result.scorecard(recipe, run, context.prompts)
    publish(recipe, run, result, scorecard, context.prompts)
    return run.finish(scorecard)


def _alike(clips: Sequence[Clip], num: int) -> Iterator[list[Clip]]:
    """Clips of one shape, so many at a time: real ones may have several."""
    by_shape: dict[tuple[int, ...], list[Clip]] = {}
    for clip in clips:
        by_shape.setdefault((clip.num_frames, clip.height_px, clip.width_px), []).append(clip)
    return (alike[at : at + num] for alike in by_shape.values() for at in range(0, len(alike), num))


def real_moments(context: Context, real: Sequence[Clip]) -> tuple[LatentMoments, ...]:
    """Moments of the real clips' latents, encoded with the base's autoencoder, since only their pixels are stored.

    Computed once and stored beside the records, so that a report can be written on a machine without weights.
    """
    run, encoder, size = context.run, context.base.name, context.recipe.runtime.generate_batch
    stored = run.read_derived("real-latents", ClipMoments) or []
    known = {each.clip_key: each for each in stored if each.encoder == encoder}
    missing = [clip for clip in real if clip.key not in known]
    for chunk in _alike(missing, size):
        encoded = context.models.family.encode([run.blobs.read_video(clip.frames) for clip in chunk]).cpu().numpy()
        for clip, latents_CTHW in zip(chunk, encoded, strict=True):
            known[clip.key] = ClipMoments(clip_key=clip.key, encoder=encoder, moments=latent_moments(latents_CTHW))
    if missing:
        run.write_derived("real-latents", [known[clip.key] for clip in real])
    return tuple(known[clip.key].moments for clip in real)

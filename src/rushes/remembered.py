"""What the end of a run needs the models for: computed once and kept beside the records, so that a report can be
written again on a machine that has neither weights nor GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rushes.judge.stage import build_judge
from rushes.measure.latents import ClipMoments, LatentMoments, latent_moments
from rushes.plan.arithmetic import UnitFlops, count_answer, count_units, released_units, shape_name
from rushes.plan.chat_models import chat_models
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.records import Clip, Prompt
from rushes.roles import JudgeRequest, Video
from rushes.store.run import Run

if TYPE_CHECKING:
    from rushes.context import Workbench


def real_moments(run: Run, bench: Workbench, real: Sequence[Clip]) -> tuple[LatentMoments, ...]:
    """Where the real clips' latents lie: encoded with the base's autoencoder, since only pixels are kept of them."""
    encoder, size = bench.base.name, bench.recipe.runtime.generate_batch
    stored = run.read_derived("real-latents", ClipMoments) or []
    known = {each.clip_key: each for each in stored if each.encoder == encoder}
    missing = [clip for clip in real if clip.key not in known]
    for at in range(0, len(missing), size):
        chunk = missing[at : at + size]
        encoded = bench.family.encode([run.blobs.read_video(clip.frames) for clip in chunk]).cpu().numpy()
        for clip, latents_CTHW in zip(chunk, encoded, strict=True):
            known[clip.key] = ClipMoments(clip_key=clip.key, encoder=encoder, moments=latent_moments(latents_CTHW))
    if missing:
        run.write_derived("real-latents", [known[clip.key] for clip in real])
    return tuple(known[clip.key].moments for clip in real)


def unit_flops(run: Run, bench: Workbench, clips: Sequence[Clip], prompts: Mapping[str, Prompt]) -> UnitFlops:
    """How much arithmetic the units of this run are: by formula for a released model, else counted on the loaded one.

    Args:
        run: the open run.
        bench: its tools.
        clips: some of its clips; a judge that is a plug-in is counted on the first whose prompt has questions.
        prompts: by key, at least those of `clips`.
    """
    recipe = bench.recipe
    for known in run.read_derived("unit-arithmetic", UnitFlops) or []:
        if (known.model, known.shape) == (bench.base.name, shape_name(recipe.shape)):
            return known
    unit = released_units(recipe)
    if unit is None:
        unit = count_units(bench.base.name, bench.family, recipe.measure.sampler, recipe.shape)
    unit = unit.model_copy(update={"model": bench.base.name, "answer": _answer_flops(run, bench, clips, prompts)})
    run.write_derived("unit-arithmetic", [unit])
    return unit


def _answer_flops(run: Run, bench: Workbench, clips: Sequence[Clip], prompts: Mapping[str, Prompt]) -> int | None:
    """FLOPs of one answer by a judge of the user's own that computes in this process.

    A vision-language model is counted by its size (`rushes.plan.chat_models`); servers and workers are not asked again.
    """
    spec, runtime = bench.recipe.judge, bench.recipe.runtime
    asks_servers = any(isinstance(model, ServerModelSpec) for model in chat_models(spec.judge))
    if isinstance(spec.judge, VlmJudgeSpec) or asks_servers or runtime.executor != "local":
        return None
    for clip in clips:
        prompt = prompts[clip.prompt_key]
        if prompt.questions:
            video = Video(run.blobs.read_video(clip.frames), clip.fps)
            request = JudgeRequest(video=video, text=prompt.text, questions=prompt.questions)
            try:
                return count_answer(build_judge(spec, runtime), request)
            except Exception:  # it has answered before, and an estimate must not keep a run from its end
                return None
    return None

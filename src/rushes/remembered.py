"""What the end of a run needs the models for: computed once, remembered beside the records, so that a report is written
anew on a machine that has neither weights nor GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rushes.judge.stage import build_judge
from rushes.measure.latents import ClipMoments, LatentMoments, latent_moments
from rushes.plan.flops import UnitFlops, count_units, shape_name
from rushes.recipe.judge import SandboxJudgeSpec
from rushes.records import Clip, Prompt
from rushes.roles import JudgeRequest, Video
from rushes.store.run import Run

if TYPE_CHECKING:
    from rushes.context import Workbench
    from rushes.roles import Judge


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
    """How much arithmetic the units of this run are.

    Args:
        run: the open run.
        bench: its tools.
        clips: some of its clips; the judge is counted on the first whose prompt has questions.
        prompts: by key, at least those of `clips`.
    """
    recipe = bench.recipe
    for known in run.read_derived("unit-flops", UnitFlops) or []:
        if (known.model, known.shape) == (bench.base.name, shape_name(recipe.shape)):
            return known
    judging = _judging(run, bench, clips, prompts)
    unit = count_units(bench.base.name, bench.family, recipe.measure.sampler, recipe.shape, judging)
    run.write_derived("unit-flops", [unit])
    return unit


def _judging(
    run: Run, bench: Workbench, clips: Sequence[Clip], prompts: Mapping[str, Prompt]
) -> tuple[Judge, JudgeRequest] | None:
    """The packaged judge with a clip; of other judges (a server, a plug-in) the arithmetic cannot be seen."""
    if not isinstance(bench.recipe.judge.judge, SandboxJudgeSpec):
        return None
    for clip in clips:
        prompt = prompts[clip.prompt_key]
        if prompt.questions:
            video = Video(run.blobs.read_video(clip.frames), clip.fps)
            judge = build_judge(bench.recipe.judge, bench.recipe.runtime)
            return judge, JudgeRequest(video=video, text=prompt.text, questions=prompt.questions)
    return None

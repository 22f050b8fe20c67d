"""How much arithmetic the units of a run are: counted once, kept beside the records."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.context import Context
from rushes.judge.stage import build_judge
from rushes.plan.flops import UnitFlops, count_units, shape_name
from rushes.recipe.plugin import PluginSpec
from rushes.records import Clip
from rushes.roles import Judge, JudgeRequest, Video


def unit_flops(context: Context, clips: Sequence[Clip]) -> UnitFlops:
    """How much arithmetic the units of this run are.

    Args:
        context: the run at work.
        clips: some of its clips; the judge is counted on the first whose prompt has questions.
    """
    recipe, run = context.recipe, context.run
    for known in run.read_derived("unit-flops", UnitFlops) or []:
        if (known.model, known.shape) == (context.base.name, shape_name(recipe.shape)):
            return known
    judging = _judging(context, clips)
    unit = count_units(context.base.name, context.models.family, recipe.measure.sampler, recipe.shape, judging)
    run.write_derived("unit-flops", [unit])
    return unit


def _judging(context: Context, clips: Sequence[Clip]) -> tuple[Judge, JudgeRequest] | None:
    """A judge that computes in this process, with a clip; of a server the arithmetic cannot be seen."""
    recipe, run = context.recipe, context.run
    if not isinstance(recipe.judge.judge, PluginSpec):
        return None
    for clip in clips:
        prompt = context.prompts[clip.prompt_key]
        if prompt.questions:
            video = Video(run.blobs.read_video(clip.frames), clip.fps)
            judge = build_judge(recipe.judge, context.runtime)
            return judge, JudgeRequest(video=video, text=prompt.text, questions=prompt.questions)
    return None

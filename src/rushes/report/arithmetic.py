"""The FLOPs of a run's units of work: determined once and stored beside the records, so a report needs no model."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.context import Context
from rushes.judge.stage import build_answerer
from rushes.plan.arithmetic import UnitFlops, count_answer, count_units, released_units, shape_name
from rushes.plan.chat_models import chat_models
from rushes.plugins import JUDGE
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.records import Clip
from rushes.roles import JudgeRequest, Video


def unit_flops(context: Context, clips: Sequence[Clip]) -> UnitFlops:
    """The FLOPs of this run's units of work: by formula for a released model, otherwise counted on the loaded one.

    Args:
        context: the run's context.
        clips: some of its clips; a judge that is a plug-in is counted on the first clip whose prompt has questions.
    """
    recipe, run = context.recipe, context.run
    for known in run.read_derived("unit-arithmetic", UnitFlops) or []:
        if (known.model, known.shape) == (context.base.name, shape_name(recipe.shape)):
            return known
    unit = released_units(recipe)
    if unit is None:
        unit = count_units(context.base.name, context.models.family, recipe.measure.sampler, recipe.shape)
    unit = unit.model_copy(update={"model": context.base.name, "answer": _answer_flops(context, clips)})
    run.write_derived("unit-arithmetic", [unit])
    return unit


def _answer_flops(context: Context, clips: Sequence[Clip]) -> int | None:
    """FLOPs of one answer by a plug-in judge that computes in this process.

    A vision-language model is counted by its size (`rushes.plan.chat_models`); servers and workers are not called.
    """
    recipe, run = context.recipe, context.run
    if recipe.prompts.only_real:  # which asks no judge
        return None
    judge = recipe.judge.judge
    asks_servers = any(isinstance(model, ServerModelSpec) for model in chat_models(judge, JUDGE))
    if isinstance(judge, VlmJudgeSpec) or asks_servers or recipe.runtime.executor != "local":
        return None
    for clip in clips:
        prompt = context.prompts[clip.prompt_key]
        if prompt.questions:
            video = Video(run.blobs.read_video(clip.frames), clip.fps)
            request = JudgeRequest(video=video, text=prompt.text, questions=prompt.questions)
            try:
                return count_answer(build_answerer(recipe.judge, context.runtime), request)
            except Exception:  # an estimate must not prevent a run from finishing
                return None
    return None

"""The stage `diagnose`: measure probe clips of the untouched model and choose the dimensions to aim at."""

from __future__ import annotations

from rushes.context import Context
from rushes.diagnose.weakest import weakest
from rushes.judge.stage import judge
from rushes.measure.stage import measure
from rushes.prompts.enough import require_prompts
from rushes.prompts.evaluation import Evaluation, compared
from rushes.records import Focus


def diagnose(context: Context, evaluation: Evaluation) -> tuple[Focus, ...]:
    """The dimensions to aim at: the untouched model's weakest on probe prompts, or those that the user names."""
    found = measure(context, context.base, evaluation.probes, "probe")
    spec = context.recipe.diagnose
    clips = [context.clips[key] for each in found for key in each.subject]
    scores = judge(context, clips) if spec.choose == "picked" else ()
    focus = weakest(found, spec, context.recipe.prompts.num_weakness, scores)
    context.run.write_derived("focus", focus)
    held_out = compared(context.recipe, evaluation, focus)
    require_prompts(context, "held-out", held_out, [each.dimension for each in focus], evaluation.refused)
    context.forecast.comparison(held_out, context.group_dimensions)
    return focus

"""The stage `diagnose`: measure probe clips of the untouched model and choose the dimensions to aim at."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.context import Context
from rushes.diagnose.weakest import every, weakest
from rushes.judge.stage import judge
from rushes.measure.stage import measure
from rushes.prompts.enough import require_prompts
from rushes.prompts.evaluation import Evaluation, compared
from rushes.recipe.dimensions import probed
from rushes.records import Focus


def diagnose(context: Context, evaluation: Evaluation) -> tuple[Focus, ...]:
    """The dimensions to aim at: the untouched model's weakest on probe prompts, or those that the user names.

    Where only real clips are trained on, there is nothing to aim: see `_told`.
    """
    spec = context.recipe.diagnose
    with context.during("diagnose"):
        if context.recipe.prompts.only_real:
            return _told(context, evaluation)
        found = measure(context, context.base, evaluation.probes, "probe")
        clips = [context.clips[key] for each in found for key in each.subject]
        scores = judge(context, clips) if spec.choose == "picked" else ()
    focus = weakest(found, spec, context.recipe.prompts.num_weakness, scores)
    _note(context, evaluation, focus)
    return focus


def _told(context: Context, evaluation: Evaluation) -> tuple[Focus, ...]:
    """The dimensions in which real clips alone shall make the model better: those that the user names, or all.

    They come with the untouched model's scores on the held-out prompts, which are needed anyway: probes would cost more
    and decide nothing. None where nothing is measured.
    """
    recipe = context.recipe
    if not recipe.is_measured:
        return ()
    names = recipe.diagnose.focus or tuple(each.name for each in probed(recipe.diagnose))
    found = measure(context, context.base, compared(recipe, evaluation, names), "held_out")
    focus = every(found, recipe.diagnose.model_copy(update={"choose": "gap"}))
    _note(context, evaluation, focus)
    return focus


def _note(context: Context, evaluation: Evaluation, focus: Sequence[Focus]) -> None:
    """Record the focus, and the number of clips that comparing it takes.

    Raises:
        UserError: no held-out prompt is left in one of its dimensions.
    """
    names = [each.dimension for each in focus]
    context.run.write_derived("focus", focus)
    held_out = compared(context.recipe, evaluation, names)
    require_prompts(context, "held-out", held_out, names, evaluation.refused)
    context.forecast.comparison(held_out, context.group_dimensions)

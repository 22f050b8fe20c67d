"""The stage `prompts`: a round's weakness prompts, written by the recipe's writer and screened."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.context import Context
from rushes.plugins import WRITER, resolved
from rushes.prompts.briefs import Aim, plan_briefs
from rushes.prompts.enough import require_prompts
from rushes.prompts.evaluation import Evaluation
from rushes.prompts.objections import objections
from rushes.prompts.screen import distinct, reader_of, reads_of, screen
from rushes.prompts.write import written
from rushes.recipe.dimensions import known
from rushes.records import Focus, Prompt


def write(
    context: Context, focus: Sequence[Focus], evaluation: Evaluation, captions: Sequence[Prompt], number: int
) -> tuple[Prompt, ...]:
    """The weakness prompts of a round that pass the screen, and captions of real clips to generate clips of, if any.

    None where only real clips are trained on; no writer is then built.

    Args:
        context: the run's context.
        focus: dimensions with their numbers of prompts.
        evaluation: prompts that must not be trained on.
        captions: of the real clips; the recipe sets how many of them are used.
        number: of the round, from 0.
    """
    recipe = context.recipe
    spec = recipe.prompts
    if spec.only_real:
        context.run.write_derived("rejections", context.rejections)
        context.forecast.round(number, (), len(context.prompts) + len(context.run.prompts.failures()))
        return ()
    dimensions = {each.name: each for each in known(recipe.diagnose)}
    aims = [Aim(dimensions[each.dimension], each.num_prompts) for each in focus]
    orders = plan_briefs(
        aims,
        origin="weakness",
        writer=resolved(spec.writer, WRITER),
        seed=recipe.seed,
        round_index=number,
        oversample=spec.oversample,
        questions=spec.questions,
    )
    drafts = written(context, orders)
    screened = screen(
        drafts,
        objections=objections(context, drafts, f"round-{number}"),
        evaluation=evaluation.guarded,
        spec=spec.screen,
        reads=reads_of(context),
        wanted={aim.dimension.name: aim.num_prompts for aim in aims},
        reader=reader_of(spec),
    )
    context.rejections.extend(screened.rejections)
    context.run.write_derived("rejections", context.rejections)
    prompts = (*screened.accepted, *distinct(captions, spec.screen)[: spec.num_caption])
    if not prompts:
        names = [each.dimension for each in focus if each.num_prompts]
        require_prompts(context, "training", prompts, names, screened.rejections)
    context.forecast.round(number, prompts, len(context.prompts) + len(context.run.prompts.failures()))
    return prompts

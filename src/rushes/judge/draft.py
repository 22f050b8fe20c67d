"""Draft takes of a round's prompts: generate and judge them, and pick the prompts that are worth full-length takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rushes.context import Context
from rushes.families.models import Model
from rushes.generate.draft import outcomes
from rushes.generate.stage import draft_clips
from rushes.judge.stage import judge
from rushes.records import Prompt

DRAFT_PREFIX: Final = "draft_"
"""Of the tables of what the judge says about draft clips."""


def pick(context: Context, model: Model, prompts: Sequence[Prompt], number: int) -> tuple[Prompt, ...]:
    """The prompts that are worth full-length takes, in order; all of them if the recipe has no drafts.

    Args:
        context: the run in progress.
        model: the model that generates.
        prompts: of the round.
        number: of the round, from 0; the outcomes are written to `derived/drafts-<number>.json`.

    Raises:
        RecipeError: the model cannot make clips of the drafts' shape.
    """
    spec, run = context.recipe.generate.draft, context.run
    if spec is None or not prompts:
        return tuple(prompts)
    scores = judge(context, draft_clips(context, model, prompts), DRAFT_PREFIX)
    found = outcomes(prompts, scores, spec)
    run.write_derived(f"drafts-{number}", found)
    kept = {each.prompt_key for each in found if each.is_kept}
    run.log.write("drafts_judged", round=number, num_prompts=len(prompts), num_kept=len(kept))
    picked = tuple(prompt for prompt in prompts if prompt.key in kept)
    context.forecast.drafted(number, picked)
    return picked

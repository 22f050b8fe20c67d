"""Best of N without training: of several takes of the base model the judge's favourite is shown, and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from rushes.context import Context
from rushes.diagnose.stage import diagnose
from rushes.judge.stage import judge
from rushes.measure.stage import measure
from rushes.prompts.evaluation import compared, evaluation
from rushes.records import Clip, Focus, Measurement, PromptGain, Score, Scored


def best_of(context: Context, num: int, first: int) -> tuple[tuple[Focus, ...], list[PromptGain]]:
    """The focus, and what every held-out prompt of it gains if the judge chooses.

    Args:
        context: of a recipe with `measure.only_focus`, whose `measure.num_takes` is at least `first + num`.
        num: takes that the judge chooses among.
        first: number of the first of them, so that seeds can have takes of their own.
    """
    prompts = evaluation(context)
    focus = diagnose(context, prompts)
    held_out = compared(context.recipe, prompts, [each.dimension for each in focus])
    found = {each.subject[0]: each for each in measure(context, context.base, held_out, "held_out")}
    clips = [context.clips[key] for key in found]
    clips = [clip for clip in clips if first <= clip.seed_index < first + num]
    return focus, favourites(clips, judge(context, clips), found)


def favourites(clips: Sequence[Clip], scores: Sequence[Score], measured: Mapping[str, Measurement]) -> list[PromptGain]:
    """The measurer's score of the judge's favourite, against the mean of all takes. Pure.

    Of equal scores the earlier take counts. Prompts without a scored and measured take are left out.

    Args:
        clips: the takes of all prompts.
        scores: the judge's, one for each.
        measured: key of a clip -> its measurement.
    """
    said = {each.clip_key: each.outcome.value for each in scores if isinstance(each.outcome, Scored)}
    takes: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for clip in clips:
        outcome = measured[clip.key].outcome
        if clip.key in said and isinstance(outcome, Scored):
            takes.setdefault((clip.dimension, clip.prompt_key), []).append((said[clip.key], outcome.value))
    return [
        PromptGain(
            dimension=dimension,
            prompt_key=prompt,
            before=fmean(value for _, value in own),
            after=max(own, key=lambda each: each[0])[1],
            num_pairs=len(own),
        )
        for (dimension, prompt), own in takes.items()
    ]

"""The stage `weigh`: clips and scores become training samples, and a summary of the weights is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.context import Context
from rushes.judge.grade import check_unscored_share
from rushes.judge.reward import rewards
from rushes.records import Clip, Sample, Score
from rushes.weights.brought import brought
from rushes.weights.report import report_weights
from rushes.weights.weigh import unjudged, weighed


def weigh(
    context: Context, clips: Sequence[Clip], real: Sequence[Clip], scores: Sequence[Score], number: int
) -> tuple[Sample, ...]:
    """The samples of a round.

    Args:
        context: the run's context.
        clips: the model's own.
        real: real ones, which need no score; where the recipe trains on them alone, what is said about them counts.
        scores: of the model's own clips.
        number: of the round, from 0; samples, scores and weights are written to `derived/` under it.

    Raises:
        TrainingError: too many clips are unscored, or nothing is left to train on.
    """
    recipe, run = context.recipe, context.run
    everything = [*clips, *real]
    context.clips.update({clip.key: clip for clip in everything})
    if recipe.prompts.only_real:
        samples, scores = brought(real, context.stated, context.prompts, recipe.weights)
        reports = [report_weights(samples, scores or None, recipe.weights)]
    elif recipe.is_judged:
        check_unscored_share(scores, recipe.judge.max_unscored)
        found = rewards(scores, recipe.judge)
        samples = weighed(everything, found, recipe.weights)
        reports = [report_weights(samples, found, recipe.weights)]
    else:
        samples, reports = unjudged(everything), []
    run.write_derived(f"weights-{number}", reports)
    run.write_derived(f"samples-{number}", samples)
    run.write_derived(f"scores-{number}", scores)
    return samples

"""Sampler settings compared on a handful of prompts: the recipe's judge on their clips, and how long they take.

All settings start from the same noise. Clips and answers are kept in a run folder of their own, so that a comparison
goes on where it ended, and further settings are added to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.execute.progress import OnProgress
from rushes.families.folder import FamilyName
from rushes.families.limits import refused_settings
from rushes.feedback import gives
from rushes.generate.stage import tuning_clips
from rushes.judge.stage import judge
from rushes.plugins import JUDGE, resolved
from rushes.prompts.evaluation import evaluation
from rushes.recipe.dimensions import probed
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, SamplerSettings, Score, Scored
from rushes.records.caches import FirstBlockCache, PyramidCache, SeaCache, TaylorSeerCache
from rushes.statistics.bootstrap import score_interval
from rushes.statistics.comparison import compare_gains, paired_gains
from rushes.statistics.resampling import Estimate
from rushes.store.run import Run

PREFIX: Final = "tuning_"
"""Of the tables of clips and of what the judge says about them."""
_FEWEST_STEPS: Final = 8
"""Below this number of steps no cache is tried."""


@dataclass(frozen=True)
class Trial:
    """What one setting gives."""

    sampler: SamplerSettings
    seconds: float
    """Seconds a clip, in the median."""
    num_scored: int
    """Clips with a score."""
    score: Estimate | None
    """Mean score over prompts, 0 to 1; None if fewer than two prompts have a score."""
    difference: Estimate | None
    """Mean difference of scores from the first setting's, same prompts and noise; None for the first, or as above."""


def usual_trials(sampler: SamplerSettings, family: FamilyName | None) -> tuple[SamplerSettings, ...]:
    """The recipe's own setting, half its steps, and the caches that the family can use."""
    changes: list[dict[str, Any]] = [{}, {"num_steps": max(1, sampler.num_steps // 2)}]
    if sampler.num_steps >= _FEWEST_STEPS and sampler.cache is None:
        caches = (
            TaylorSeerCache(interval=2),
            TaylorSeerCache(interval=3),
            FirstBlockCache(threshold=0.05),
            FirstBlockCache(threshold=0.15),
            SeaCache(),
            PyramidCache(),
        )
        changes += [{"cache": each} for each in caches]
    tried = dict.fromkeys(sampler.model_copy(update=each) for each in changes)
    return tuple(each for each in tried if family is None or not any(refused_settings(family, each)))


def small(recipe: Recipe, num_prompts: int) -> Recipe:
    """The recipe with only that many probe prompts, at least one of each dimension that it aims at."""
    names = recipe.diagnose.focus or tuple(each.name for each in probed(recipe.diagnose))
    each = math.ceil(num_prompts / len(names))
    changes = {
        "num_rounds": 1,
        "watch": None,
        "diagnose": recipe.diagnose.model_copy(update={"dimensions": names, "num_prompts": each}),
        "measure": recipe.measure.model_copy(
            update={"num_prompts": 1, "num_extra_focus_prompts": 0, "num_diversity_prompts": 0}
        ),
    }
    return recipe.model_copy(update=changes)


def compare_samplers(
    recipe: Recipe,
    home: Path,
    settings: Sequence[SamplerSettings],
    num_prompts: int,
    on_progress: OnProgress | None = None,
) -> Iterator[Trial]:
    """Generate and judge clips of the same prompts with each setting; what is there is not made again.

    Args:
        recipe: names model, judge and prompts.
        home: a folder for this comparison alone.
        settings: what to compare; the first is what the others are compared with.
        num_prompts: how many probe prompts, about.
        on_progress: called after every finished chunk.

    Yields:
        One trial per setting, in order, as soon as it is known.

    Raises:
        RecipeError: the recipe's judge gives no scores that clips of two settings could be compared by.
    """
    others = {gives(resolved(each, JUDGE)) for each in recipe.judge.named.values()} - {"answers"}
    if not recipe.is_judged or others:
        # Values on scales and preferences are only comparable among the takes of one setting.
        raise RecipeError(
            "settings are compared by a judge's answers to questions, and this recipe has none",
            expected="judges that answer questions, generate.decode: true, and clips that are generated",
            got=" and ".join(sorted(others)) or "nothing judged",
            next_step="name a judge in judge.judge that answers questions: {kind: vlm, ...}",
        )
    tried = small(recipe, num_prompts)
    with Run.open(home, tried) as run, run.stop.listening():
        run.on_progress = on_progress
        context = Context(tried, run)
        prompts = evaluation(context).probes
        first: dict[tuple[str, int], float] = {}
        for number, sampler in enumerate(settings):
            clips = tuning_clips(context, prompts, sampler, f"{PREFIX}clips")
            values = _values(clips, judge(context, clips, PREFIX))
            first = first or values
            yield _trial(sampler, clips, values, first if number else None)


def _values(clips: Sequence[Clip], scores: Sequence[Score]) -> dict[tuple[str, int], float]:
    """Scores by prompt and take."""
    return {
        (clip.prompt_key, clip.seed_index): score.outcome.value
        for clip, score in zip(clips, scores, strict=True)
        if isinstance(score.outcome, Scored)
    }


def _trial(
    sampler: SamplerSettings,
    clips: Sequence[Clip],
    values: dict[tuple[str, int], float],
    first: dict[tuple[str, int], float] | None,
) -> Trial:
    difference = None
    both = [] if first is None else [each for each in values if each in first]
    if first is not None and len({prompt for prompt, _ in both}) > 1:
        gains = paired_gains(
            [first[each] for each in both], [values[each] for each in both], [each[0] for each in both]
        )
        difference = compare_gains({"all": gains}).gain
    clusters = [prompt for prompt, _ in values]
    score = score_interval(list(values.values()), clusters) if len(set(clusters)) > 1 else None
    return Trial(sampler, median(clip.seconds for clip in clips), len(values), score, difference)

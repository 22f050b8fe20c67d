"""A summary of a set of weights, before training: how many clips really count, which ones, and warnings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Annotated, Final

from pydantic import Field

from rushes.judge.reward import num_skipped
from rushes.recipe.weights import WeightsSpec
from rushes.records import Record, Sample, Score, Scored
from rushes.records.base import Count, Share, Text

DOMINANT_TENTH: Final = 0.5
"""Share of the weight at or above which the heaviest tenth of the clips dominates."""
MANY_SKIPPED: Final = 0.25
"""Share of the prompts without a difference between takes from which a warning says so."""
FLAT: Final = 0.1
"""Coefficient of variation below which weighting is nearly plain fine-tuning."""


class DimensionShare(Record):
    """One dimension's share of the weight.

    Example:
        DimensionShare(dimension="Composition", num_clips=96, num_weighted=60, weight_share=0.4)
    """

    dimension: Text
    """Quality dimension."""
    num_clips: Count
    """Its clips, unscored ones included."""
    num_weighted: Count
    """Those with a weight above 0."""
    weight_share: Share
    """Their share of all weight."""


class WeightReport(Record):
    """Summary of the weights of a round's own clips.

    Example:
        WeightReport(num_clips=192, num_scored=190, num_weighted=150, effective_size=80.5, effective_share=0.42,
                     entropy=4.6, even_entropy=5.2, largest_share=0.03, heaviest_tenth=0.35, variation=1.17,
                     within_prompt=0.4, num_prompts=48, num_prompts_contrast=30, dimensions=(), warnings=())
    """

    num_clips: Count
    """Own clips."""
    num_scored: Count
    """Those that the judge scored."""
    num_weighted: Count
    """Those with a weight above 0."""
    effective_size: Annotated[float, Field(ge=0.0)]
    """Kish's effective sample size (sum w)^2 / sum w^2: 1 if one clip has all weight, `num_scored` if all are equal."""
    effective_share: Share
    """`effective_size` / `num_scored`."""
    entropy: Annotated[float, Field(ge=0.0)]
    """-sum p ln p with p = w / sum w, nats; its exponential is another effective number of clips."""
    even_entropy: Annotated[float, Field(ge=0.0)]
    """ln `num_scored`, nats: the entropy of equal weights."""
    largest_share: Share
    """Share of all weight that the heaviest clip has."""
    heaviest_tenth: Share
    """Share of all weight that the heaviest tenth of the scored clips has (at least one clip)."""
    variation: Annotated[float, Field(ge=0.0)]
    """Coefficient of variation over the scored clips: standard deviation / mean."""
    within_prompt: Share | None
    """Share of the weights' variance that is between takes of one prompt: 0 if only prompts differ, 1 if only takes do.
    None if all weights are equal."""
    num_prompts: Count
    """Prompts with at least one scored take."""
    num_prompts_contrast: Count
    """Prompts whose scored takes differ in weight: only there is one clip of a prompt preferred to another."""
    num_prompts_skipped: Count = 0
    """Prompts whose takes differ by no more than the judge's repeat error, so that nothing is learned from them; only
    known of judges that give scores or preferences."""
    dimensions: tuple[DimensionShare, ...]
    """Shares per dimension, by name."""
    warnings: tuple[Text, ...]
    """What a user should know before training, in words; empty if there is nothing to report."""


def report_weights(samples: Sequence[Sample], scores: Sequence[Score], spec: WeightsSpec) -> WeightReport:
    """A summary of the weights of the model's own clips; real clips are ignored.

    Args:
        samples: from `weigh`.
        scores: of the own clips among them, in any order: rewards, see `rushes.judge.reward`.
        spec: how they were weighed.

    Raises:
        ValueError: no own clip has a score and a weight.
    """
    scored_keys = {score.clip_key for score in scores if isinstance(score.outcome, Scored)}
    own = [sample for sample in samples if sample.source == "own"]
    scored = [sample for sample in own if sample.clip_key in scored_keys]
    w = [sample.weight for sample in scored]
    if not any(w):
        raise ValueError(f"expected a scored clip with a weight, got {len(own)} own, {len(scored)} of them scored")
    by_prompt: dict[str, list[float]] = {}
    for sample in scored:
        by_prompt.setdefault(sample.prompt_key, []).append(sample.weight)
    size = effective_size(w)
    total, mean = math.fsum(w), fmean(w)
    facts = WeightReport(
        num_clips=len(own),
        num_scored=len(scored),
        num_weighted=sum(weight > 0 for weight in w),
        effective_size=size,
        effective_share=min(1.0, size / len(w)),
        entropy=entropy(w),
        even_entropy=math.log(len(w)),
        largest_share=max(w) / total,
        heaviest_tenth=min(1.0, math.fsum(sorted(w)[-math.ceil(len(w) / 10) :]) / total),
        variation=math.sqrt(fmean((weight - mean) ** 2 for weight in w)) / mean,
        within_prompt=within_share(list(by_prompt.values())),
        num_prompts=len(by_prompt),
        num_prompts_contrast=sum(len(set(takes)) > 1 for takes in by_prompt.values()),
        num_prompts_skipped=num_skipped(scores),
        dimensions=_shares(own, total),
        warnings=(),
    )
    return facts.model_copy(update={"warnings": _warnings(facts, spec)})


def effective_size(w: Sequence[float]) -> float:
    """Kish's effective sample size (sum w)^2 / sum w^2 of weights >= 0, not all 0."""
    largest = max(w)
    relative = [weight / largest for weight in w]
    return math.fsum(relative) ** 2 / math.fsum(weight**2 for weight in relative)


def entropy(w: Sequence[float]) -> float:
    """-sum p ln p with p = w / sum w, nats, of weights >= 0, not all 0."""
    total = math.fsum(w)
    return max(0.0, -math.fsum(p * math.log(p) for weight in w if (p := weight / total) > 0))


def within_share(groups: Sequence[Sequence[float]]) -> float | None:
    """Share of the total sum of squares that is within groups (1 - eta squared); None if all values are equal.

    Args:
        groups: values, group by group, each with at least one.
    """
    values = [value for group in groups for value in group]
    if len(set(values)) == 1:
        return None
    mean = fmean(values)
    total = math.fsum((value - mean) ** 2 for value in values)
    if total == 0.0:  # differences too small to square
        return None
    within = math.fsum((value - fmean(group)) ** 2 for group in groups for value in group if len(set(group)) > 1)
    return min(1.0, within / total)


def _shares(own: Sequence[Sample], total: float) -> tuple[DimensionShare, ...]:
    num_clips = Counter(sample.dimension for sample in own)
    num_weighted = Counter(sample.dimension for sample in own if sample.weight > 0)
    return tuple(
        DimensionShare(
            dimension=name,
            num_clips=num_clips[name],
            num_weighted=num_weighted[name],
            weight_share=min(1.0, math.fsum(s.weight for s in own if s.dimension == name) / total),
        )
        for name in sorted(num_clips)
    )


def _warnings(facts: WeightReport, spec: WeightsSpec) -> tuple[str, ...]:
    found: list[str] = []
    if facts.effective_share < spec.min_effective:
        found.append(
            f"the weights of {facts.num_scored} scored clips count like {facts.effective_size:.1f} equal ones "
            f"({facts.effective_share:.0%}, below weights.min_effective {spec.min_effective:.0%}): training will "
            "repeat few clips; generate more, or use a softer weighting"
        )
    num_prompts = facts.num_prompts + facts.num_prompts_skipped
    if facts.num_prompts_skipped >= MANY_SKIPPED * num_prompts > 0:
        found.append(
            f"the takes of {facts.num_prompts_skipped} of {num_prompts} prompts differ by no more than the judge's "
            "repeat error, so nothing is learned from them; generate more takes per prompt, or name another judge"
        )
    if facts.heaviest_tenth >= DOMINANT_TENTH:
        found.append(
            f"the heaviest tenth of the clips has {facts.heaviest_tenth:.0%} of the weight, the heaviest clip alone "
            f"{facts.largest_share:.1%}"
        )
    if spec.kind != "uniform" and facts.variation < FLAT:
        found.append(
            f"the weights hardly differ (standard deviation {facts.variation:.1%} of their mean): this is nearly plain "
            "fine-tuning; a sharper weighting (filter, exponential, rank, centred) would use the scores"
        )
    for each in facts.dimensions:
        if each.num_weighted == 0:
            found.append(
                f"{each.dimension}: none of its {each.num_clips} clips has a weight, so nothing is learned from it"
            )
    return tuple(found)

"""What the probes found: a mean score with a confidence interval per dimension. Pure functions of measurements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Annotated

from pydantic import Field

from rushes.records import Measurement, Record, Score, Scored, UnmeasuredDimension, Unscored
from rushes.records.base import Count, Share, Size, Text
from rushes.statistics.bootstrap import cluster_means, mean_of, score_interval


class Baseline(Record):
    """How good the untouched model is in one dimension.

    Example:
        Baseline(dimension="Composition", mean=0.42, low=0.25, high=0.61, num_prompts=24, num_measured=24,
                 num_unscored=0, group=False, headroom=0.21)
    """

    dimension: Text
    """Quality dimension."""
    mean: Share
    """Mean over prompts of the mean score of their takes."""
    low: Share
    """Lower end of the 95 % interval (`rushes.statistics`); 0 if there is only one prompt."""
    high: Share
    """Upper end of the 95 % interval; 1 if there is only one prompt."""
    num_prompts: Size
    """Prompts with at least one score."""
    num_measured: Size
    """Scores that enter the mean."""
    num_unscored: Count
    """Measurements without a score, left out."""
    group: bool
    """True when several takes were measured together."""
    headroom: Share | None = None
    """How far a prompt's best take scores above the mean of its takes, averaged over prompts with two takes or more;
    None if no prompt has two. It is what picking the best of the model's own takes would gain, and it grows with the
    number of takes."""
    headroom_error: Share | None = None
    """Standard error of `headroom` over prompts; None if fewer than two prompts have two takes."""
    picked: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None
    """How far the take that the judge likes best scores above that mean: what this judge's choice would gain. None if
    the judge had no takes to choose from."""
    picked_error: Share | None = None
    """Standard error of `picked` over prompts; None if the judge could choose in fewer than two."""


class Diagnosis(Record):
    """All baselines of a run, and the dimensions that have none.

    Example:
        Diagnosis(measured=(Baseline(dimension="Composition", mean=0.42, low=0.25, high=0.61, num_prompts=24,
                                     num_measured=24, num_unscored=0, group=False),), unmeasured=())
    """

    measured: tuple[Baseline, ...]
    """Dimensions with a baseline, sorted by name."""
    unmeasured: tuple[UnmeasuredDimension, ...] = ()
    """Dimensions without one, and why, sorted by name; never counted as 0."""


def baseline(
    measurements: Iterable[Measurement], dimensions: Sequence[str] = (), scores: Iterable[Score] = ()
) -> Diagnosis:
    """The mean score of each dimension with a 95 % interval; independent of the order of `measurements`.

    Args:
        measurements: of the untouched model, on probe prompts.
        dimensions: names that were to be measured; those without any measurement are reported as unmeasured.
        scores: the judge's scores of the same clips, for `Baseline.picked`; empty if it did not score them.
    """
    liked = {score.clip_key: score.outcome.value for score in scores if isinstance(score.outcome, Scored)}
    found: dict[str, list[Measurement]] = {name: [] for name in dimensions}
    for measurement in measurements:
        found.setdefault(measurement.dimension, []).append(measurement)
    results = [_of_dimension(name, found[name], liked) for name in sorted(found)]
    return Diagnosis(
        measured=tuple(each for each in results if isinstance(each, Baseline)),
        unmeasured=tuple(each for each in results if isinstance(each, UnmeasuredDimension)),
    )


def _of_dimension(
    name: str, measurements: Sequence[Measurement], liked: Mapping[str, float]
) -> Baseline | UnmeasuredDimension:
    values: list[float] = []
    prompts: list[str] = []
    likes: list[float | None] = []
    reasons: Counter[str] = Counter()
    for measurement in measurements:
        match measurement.outcome:
            case Scored(value=value):
                values.append(value)
                prompts.append(measurement.prompt_key)
                likes.append(liked.get(measurement.subject[0]))
            case Unscored(reason=reason):
                reasons[reason] += 1
    if not values:
        reason = "; ".join(f"{count} x {each}" for each, count in sorted(reasons.items())) or "no clip was measured"
        return UnmeasuredDimension(dimension=name, reason=reason)
    mean, low, high = _mean_with_interval(values, prompts)
    return Baseline(
        dimension=name,
        mean=mean,
        low=low,
        high=high,
        num_prompts=len(set(prompts)),
        num_measured=len(values),
        num_unscored=reasons.total(),
        group=any(len(measurement.subject) > 1 for measurement in measurements),
        headroom=_mean(best := headroom(values, prompts)),
        headroom_error=standard_error(best),
        picked=_mean(liked_best := picked(values, prompts, likes)),
        picked_error=standard_error(liked_best),
    )


def headroom(values: Sequence[float], prompts: Sequence[str]) -> list[float]:
    """Per prompt max_k m_k - mean_k m_k, m_k the score of take k; prompts with one take are left out.

    Args:
        values: scores, 0 to 1.
        prompts: the prompt of each.

    Returns:
        0 to 1 each.
    """
    takes: dict[str, list[float]] = {}
    for value, prompt in zip(values, prompts, strict=True):
        takes.setdefault(prompt, []).append(value)
    return [max(0.0, max(each) - fmean(each)) for each in takes.values() if len(each) > 1]


def picked(values: Sequence[float], prompts: Sequence[str], likes: Sequence[float | None]) -> list[float]:
    """Per prompt m_j - mean_k m_k, j the take that the judge likes best, m_k the score of take k; prompts with
    fewer than two takes that the judge scored are left out.

    Args:
        values: the measurer's scores, 0 to 1.
        prompts: the prompt of each.
        likes: the judge's score of each; a take without one (None) is left out. If several takes share the judge's
            highest score, their mean counts.

    Returns:
        -1 to 1 each, below 0 where the judge prefers the worse takes.
    """
    takes: dict[str, list[tuple[float, float]]] = {}
    for value, prompt, like in zip(values, prompts, likes, strict=True):
        if like is not None:
            takes.setdefault(prompt, []).append((like, value))
    gains: list[float] = []
    for each in takes.values():
        most = max(like for like, _ in each)
        if len(each) > 1:
            gains.append(fmean(value for like, value in each if like == most) - fmean(value for _, value in each))
    return gains


def standard_error(gains: Sequence[float]) -> float | None:
    """s / sqrt(n), s the sample standard deviation of n gains; None if n < 2."""
    return stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else None


def _mean(gains: Sequence[float]) -> float | None:
    return fmean(gains) if gains else None


def _mean_with_interval(values: Sequence[float], prompts: Sequence[str]) -> tuple[float, float, float]:
    if len(set(prompts)) == 1:  # one prompt says nothing about others
        return mean_of(cluster_means(values, prompts)), 0.0, 1.0
    found = score_interval(values, prompts)
    return found.value, found.low, found.high

"""What judges said on scales of their own about the held-out clips, and how it agrees with the measurer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from rushes.judge.votes import pairs
from rushes.records import Clip, Measurement, Score, Scored, Vote


@dataclass(frozen=True)
class ScaleRow:
    """One scale of a judge in one dimension.

    Example: `ScaleRow("Camera_Motion", "VQ", "points of 10", before=6.1, after=6.8, num_before=80, num_after=80)`.
    """

    dimension: str
    """Quality dimension of the prompts."""
    scale: str
    """Name of the scale."""
    unit: str
    """Its unit, in words."""
    before: float
    """Mean over the base model's clips."""
    after: float
    """Mean over the tuned model's clips."""
    num_before: int
    """The base model's clips with a value."""
    num_after: int
    """The tuned model's clips with one."""


def scale_rows(scores: Iterable[Score], clips: Mapping[str, Clip], base: str, tuned: str) -> tuple[ScaleRow, ...]:
    """Every scale of every dimension, sorted; scores from 0 to 1 have none.

    Args:
        scores: of held-out clips of both models.
        clips: by key, at least those.
        base: name of the untouched weights.
        tuned: of the tuned ones.
    """
    found: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for score in scores:
        if isinstance(score.outcome, Scored) and score.outcome.unit is not None:
            parts = [(part.name, part.unit, part.value) for part in score.outcome.parts]
            for name, unit, value in parts or [("score", score.outcome.unit, score.outcome.value)]:
                of_model = found.setdefault((score.dimension, name, unit or ""), {})
                of_model.setdefault(clips[score.clip_key].model, []).append(value)
    return tuple(
        ScaleRow(*place, fmean(own[base]), fmean(own[tuned]), len(own[base]), len(own[tuned]))
        for place, own in sorted(found.items())
        if own.get(base) and own.get(tuned)
    )


@dataclass(frozen=True)
class SameOrder:
    """How often judge and measurer put two takes of a prompt in the same order.

    Example: `SameOrder("Camera_Motion", num_same=31, num_pairs=40)`.
    """

    dimension: str
    """Quality dimension."""
    num_same: int
    """Pairs that both put in the same order."""
    num_pairs: int
    """Pairs that neither calls equal: the base's and the tuned model's take of one seed."""


def same_order(
    scores: Iterable[Score], measurements: Iterable[Measurement], clips: Mapping[str, Clip]
) -> tuple[SameOrder, ...]:
    """By dimension, sorted; those whose judge scores from 0 to 1 are compared by their answers instead."""
    judged = {
        each.clip_key: each.outcome.value
        for each in scores
        if isinstance(each.outcome, Scored) and each.outcome.unit is not None
    }
    measured = {
        each.subject[0]: each.outcome.value
        for each in measurements
        if len(each.subject) == 1 and isinstance(each.outcome, Scored)
    }
    counts: dict[str, list[bool]] = {}
    for one, other in pairs([clips[key] for key in judged if key in measured], both=False):
        by_judge = judged[one.key] - judged[other.key]
        by_measurer = measured[one.key] - measured[other.key]
        if by_judge and by_measurer:
            counts.setdefault(one.dimension, []).append((by_judge > 0) == (by_measurer > 0))
    return tuple(SameOrder(name, sum(same), len(same)) for name, same in sorted(counts.items()))


@dataclass(frozen=True)
class Places:
    """How much the place in which a take is shown decides a preference.

    Example: `Places(num_pairs=120, num_contradicted=18, first_wins=0.56)`.
    """

    num_pairs: int
    """Pairs that were asked in both orders and answered in both."""
    num_contradicted: int
    """Those of which another take is preferred in the other order."""
    first_wins: float
    """Mean probability that the take that is shown first is preferred, 0 to 1; 1/2 without a bias."""


def places(votes: Iterable[Vote]) -> Places | None:
    """What votes say about places; None if no pair was asked in both orders."""
    there = {(vote.clip_key, vote.other_key): vote.p_first for vote in votes if vote.p_first is not None}
    both = [(p, there[two, one]) for (one, two), p in there.items() if one < two and (two, one) in there]
    if not both:
        return None
    contradicted = sum((p - 0.5) * (q - 0.5) > 0 for p, q in both)
    return Places(len(both), contradicted, fmean(value for pair in both for value in pair))

"""Two models on VBench-1: the gain of each stated score, and what the paired clips say about it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rushes.records import Change, Record
from rushes.records.base import Share, Size, Text
from rushes.statistics.bootstrap import DEFAULT
from rushes.statistics.comparison import Comparison, compare_gains, decide, paired_gains
from rushes.statistics.resampling import Resampling
from rushes_vbench.vbench1.facts import facts
from rushes_vbench.vbench1.results import DimensionScore, Results


class Paired(Record):
    """The gain of one dimension over clips that both models have.

    Example:
        Paired(dimension="color", gain=0.05, low=0.01, high=0.09, p_holm=0.03, num_prompts=85, num_pairs=425,
               verdict="better")
    """

    dimension: Text
    """Exact identifier of VBench-1."""
    gain: float
    """Mean over prompts of tuned minus base, each clip beside that of the same prompt and number."""
    low: float
    """Lower end of its 95 % interval, for this dimension alone; prompts are resampled."""
    high: float
    """Upper end of it."""
    p_holm: Share
    """Sign-flip test over prompts, two-sided, corrected for all dimensions compared (Holm)."""
    num_prompts: Size
    """Prompts compared."""
    num_pairs: Size
    """Pairs of clips compared."""
    verdict: Change
    """By the rule of every scorecard, `rushes.statistics.comparison.decide`."""


def compare(base: Results, tuned: Results, how: Resampling = DEFAULT) -> tuple[Paired, ...]:
    """What the clips of both models say, for each dimension in which two prompts or more have clips of both.

    Args:
        base: the untouched model.
        tuned: the tuned model, on the same prompts and seeds.
        how: resamples, seed, confidence.
    """
    sides = [{each.dimension: each for each in side.dimensions} for side in (base, tuned)]
    pairs = {name: _pairs(sides[0][name], sides[1][name]) for name in facts() if all(name in side for side in sides)}
    gains = {name: _gains(found) for name, found in pairs.items()}
    compared = {name: _compared(name, means, how) for name, means in gains.items() if len(means) > 1}
    return tuple(
        Paired(
            dimension=name,
            gain=compared[name].gain.value,
            low=compared[name].gain.low,
            high=compared[name].gain.high,
            p_holm=decision.p_holm,
            num_prompts=len(gains[name]),
            num_pairs=len(pairs[name]),
            verdict=decision.verdict,
        )
        for name, decision in decide(compared).items()
    )


def _pairs(base: DimensionScore, tuned: DimensionScore) -> list[tuple[str, float, float]]:
    """Prompt, value before and value after, of each clip that both have; a repeated clip counts by its mean."""
    sides = [_by_clip(base), _by_clip(tuned)]
    return [(clip[0], sides[0][clip], sides[1][clip]) for clip in sorted(sides[0].keys() & sides[1].keys())]


def _by_clip(found: DimensionScore) -> dict[tuple[str, int], float]:
    values: dict[tuple[str, int], list[float]] = {}
    for row in found.rows:
        values.setdefault((row.prompt, row.sample), []).append(row.value)
    return {clip: math.fsum(several) / len(several) for clip, several in values.items()}


def _gains(pairs: list[tuple[str, float, float]]) -> dict[str, float]:
    before, after = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    return paired_gains(before, after, [pair[0] for pair in pairs]) if pairs else {}


def _compared(name: str, gains: Mapping[str, float], how: Resampling) -> Comparison:
    most = 1.0 - facts()[name].lowest
    return compare_gains({name: gains}, how, bounds=(-most, most))

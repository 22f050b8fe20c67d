"""Two models on the benchmark, dimension by dimension, paired by prompt and sample; categories and total. Pure.

A pair counts when both models have a value. What leaves the mean is seen in the coverage, and in the covered mean, in
which a clip without a value counts as 0: a model that obeys its prompts less often cannot gain there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from rushes.records import Record, UnmeasuredDimension
from rushes.records.base import Share, Size, Text
from rushes.records.derived import Gain
from rushes.statistics.bootstrap import F64, SCORE_BOUNDS, Interval, Resampling, gain_interval, prompt_means
from rushes.statistics.comparison import (
    DEFAULT,
    Spread,
    benjamini_hochberg,
    combined_interval,
    detectable,
    holm,
    sign_flip_p,
    spread_of,
)
from rushes_vbench.catalogue import by_category, facts, share_of_total
from rushes_vbench.values import ClipValue, DimensionValues, ModelValues

ALPHA: Final = 0.05
"""Level at which a gain is called clear, after Holm's correction."""
COVERAGE_DROP: Final = 0.05
"""A fall of coverage by more than this gets a warning: the mean is then over other clips than before."""


class VBenchRow(Record):
    """One dimension before and after.

    Example:
        VBenchRow(dimension="Material", base=0.5, tuned=0.6, gain=0.1, gain_low=0.02, gain_high=0.18, p_value=0.01,
                  p_holm=0.04, q_value=0.03, num_prompts=50, num_pairs=150, base_coverage=1.0, tuned_coverage=1.0,
                  base_covered=0.5, tuned_covered=0.6, detectable=0.11, verdict="better")
    """

    dimension: Text
    """Exact identifier."""
    base: Share
    """Mean over prompts of the untouched model, over the pairs that both models have a value for."""
    tuned: Share
    """The same of the tuned model."""
    gain: Gain
    """`tuned` - `base`."""
    gain_low: Gain
    """Lower end of the gain's 95 % interval, for this dimension alone."""
    gain_high: Gain
    """Upper end of it."""
    p_value: Share
    """Sign-flip test over prompts, two-sided, for this dimension alone."""
    p_holm: Share
    """The same, corrected for all dimensions compared (Holm)."""
    q_value: Share
    """False discovery rate at which it would be reported (Benjamini-Hochberg)."""
    num_prompts: Size
    """Prompts compared."""
    num_pairs: Size
    """Pairs of clips compared."""
    base_coverage: Share
    """Share of the untouched model's clips that have a value."""
    tuned_coverage: Share
    """Share of the tuned model's clips that have a value."""
    base_covered: Share
    """Mean of the untouched model with clips without a value counted as 0."""
    tuned_covered: Share
    """The same of the tuned model."""
    detectable: Annotated[float, Field(ge=0.0)] | None = None
    """Smallest true gain found with probability 0.8 at level 0.05 by so many prompts and clips, with the spread seen
    here; None where nothing varies."""
    verdict: Literal["better", "worse", "no clear change"]
    """By the corrected p-value at level 0.05 and the sign of the gain."""


class VBenchSum(Record):
    """A category, the total, or the plain mean of what was measured.

    Example:
        VBenchSum(name="Physics", base=0.5, tuned=0.55, gain=0.05, gain_low=0.01, gain_high=0.09, num_dimensions=4)
    """

    name: Text
    """Category; "Total"; "Mean"; or "Mean without Diversity"."""
    base: Share
    """Of the untouched model."""
    tuned: Share
    """Of the tuned model."""
    gain: Gain
    """`tuned` - `base`."""
    gain_low: Gain
    """Lower end of the gain's 95 % interval."""
    gain_high: Gain
    """Upper end of it."""
    num_dimensions: Size
    """Dimensions that it is the mean of."""


class VBenchScorecard(Record):
    """Two models on the benchmark.

    Example:
        VBenchScorecard(base_model="base", tuned_model="tuned", measurer="official", rows=(), sums=())
    """

    base_model: Text
    """Name of the untouched model."""
    tuned_model: Text
    """Name of the tuned model."""
    measurer: Text
    """Who scored."""
    rows: tuple[VBenchRow, ...]
    """Dimensions, in the catalogue's order."""
    sums: tuple[VBenchSum, ...]
    """Complete categories; the total when all are complete; the plain mean of what was measured, also without
    Diversity."""
    unmeasured: tuple[UnmeasuredDimension, ...] = ()
    """Dimensions that could not be compared, and why."""
    notes: tuple[str, ...] = ()
    """Warnings a reader must see."""


def compare_models(
    base: ModelValues, tuned: ModelValues, *, measurer: str, how: Resampling = DEFAULT, notes: Sequence[str] = ()
) -> VBenchScorecard:
    """Compare two models on what both were measured on.

    Args:
        base: values of the untouched model.
        tuned: values of the tuned model, on the same prompts and seeds.
        measurer: who scored both.
        how: resamples, seed, confidence.
        notes: shown first.
    """
    rows, unmeasured, gains, scores = list[VBenchRow](), list[UnmeasuredDimension](), dict[str, _Means](), {}
    for name in facts():
        found = _compared(name, base.dimensions.get(name), tuned.dimensions.get(name), how)
        if isinstance(found, UnmeasuredDimension):
            unmeasured.append(found)
            continue
        row, gains[name] = found
        rows.append(row)
        scores[name] = (row.base, row.tuned)
    rows = _corrected(rows)
    warnings = [text for row in rows for text in _warnings(row)]
    return VBenchScorecard(
        base_model=base.model,
        tuned_model=tuned.model,
        measurer=measurer,
        rows=tuple(rows),
        sums=tuple(_sums(gains, scores, how)),
        unmeasured=tuple(unmeasured),
        notes=(*notes, *warnings),
    )


_Means = Mapping[str, float]
"""Prompt -> mean gain of its pairs."""
_Pair = tuple[str, float, float]
"""Prompt, value before, value after."""


def _compared(
    name: str, base: DimensionValues | None, tuned: DimensionValues | None, how: Resampling
) -> tuple[VBenchRow, _Means] | UnmeasuredDimension:
    if base is None or tuned is None:
        lacking = " and ".join(which for which, side in (("base", base), ("tuned", tuned)) if side is None)
        return UnmeasuredDimension(dimension=name, reason=f"no values of the {lacking} model")
    pairs = _pairs(base.values, tuned.values)
    prompts = [prompt for prompt, _, _ in pairs]
    if len(set(prompts)) < 2:
        return UnmeasuredDimension(
            dimension=name, reason=f"{len(set(prompts))} prompts have a value of both models; an interval needs two"
        )
    before, after = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    gains_N = prompt_means([b - a for _, a, b in pairs], prompts)
    gain = gain_interval(before, after, prompts, how, name=name)
    p_value = sign_flip_p(gains_N, how, name=name)
    row = VBenchRow(
        dimension=name,
        base=float(prompt_means(before, prompts).mean()),
        tuned=float(prompt_means(after, prompts).mean()),
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        p_value=p_value,
        p_holm=p_value,
        q_value=p_value,
        num_prompts=len(gains_N),
        num_pairs=len(pairs),
        base_coverage=base.coverage,
        tuned_coverage=tuned.coverage,
        base_covered=base.covered_mean,
        tuned_covered=tuned.covered_mean,
        detectable=_detectable(pairs, gains_N),
        verdict="no clear change",
    )
    return row, dict(zip(sorted(set(prompts)), map(float, gains_N), strict=True))


def _pairs(before: Iterable[ClipValue], after: Iterable[ClipValue]) -> list[_Pair]:
    """Values of the same prompt and sample, where both models have one."""
    sides: list[dict[tuple[str, int], list[float]]] = [{}, {}]
    for side, values in zip(sides, (before, after), strict=True):
        for each in values:
            if each.value is not None:
                side.setdefault((each.prompt, each.sample), []).append(each.value)
    return [
        (place[0], math.fsum(sides[0][place]) / len(sides[0][place]), math.fsum(sides[1][place]) / len(sides[1][place]))
        for place in sorted(sides[0].keys() & sides[1].keys())
    ]


def _detectable(pairs: Sequence[_Pair], gains_N: F64) -> float | None:
    by_prompt: dict[str, list[float]] = {}
    for prompt, before, after in pairs:
        by_prompt.setdefault(prompt, []).append(after - before)
    num_clips = max(1, round(len(pairs) / len(by_prompt)))
    if num_clips > 1:
        spread = spread_of(list(by_prompt.values()))
    else:
        spread = Spread(between=float(gains_N.var(ddof=1)), within=0.0)
    return detectable(spread, len(gains_N), num_clips) if spread.of_prompt(num_clips) > 0 else None


def _corrected(rows: Sequence[VBenchRow]) -> list[VBenchRow]:
    """Rows with their p-values corrected for all of them, and the verdict that follows."""
    p_values = [row.p_value for row in rows]
    found: list[VBenchRow] = []
    for row, p_holm, q_value in zip(rows, holm(p_values), benjamini_hochberg(p_values), strict=True):
        clear = "better" if row.gain > 0 else "worse"
        verdict = clear if p_holm < ALPHA else "no clear change"
        found.append(row.model_copy(update={"p_holm": p_holm, "q_value": q_value, "verdict": verdict}))
    return found


def _warnings(row: VBenchRow) -> Iterable[str]:
    if row.base_coverage - row.tuned_coverage > COVERAGE_DROP:
        yield (
            f"{row.dimension}: coverage fell from {row.base_coverage:.0%} to {row.tuned_coverage:.0%}, so fewer clips "
            f"count; with the others as 0 it went from {100 * row.base_covered:.1f} to {100 * row.tuned_covered:.1f}."
        )


def _sums(gains: Mapping[str, _Means], scores: Mapping[str, tuple[float, float]], how: Resampling) -> list[VBenchSum]:
    shares = _shares(gains)
    if gains:
        shares["Mean"] = dict.fromkeys(gains, 1.0 / len(gains))
    if "Diversity" in gains and len(gains) > 1:
        # The paper's mean: it leaves Diversity out.
        shares["Mean without Diversity"] = {name: 1.0 / (len(gains) - 1) for name in gains if name != "Diversity"}
    return [_sum(name, weights, gains, scores, how) for name, weights in shares.items()]


def _sum(
    name: str,
    weights: Mapping[str, float],
    gains: Mapping[str, _Means],
    scores: Mapping[str, tuple[float, float]],
    how: Resampling,
) -> VBenchSum:
    interval = combined_interval({each: gains[each] for each in weights}, weights, how)
    base, tuned = (
        min(1.0, math.fsum(weight * scores[each][side] for each, weight in weights.items())) for side in (0, 1)
    )
    return VBenchSum(
        name=name,
        base=base,
        tuned=tuned,
        gain=interval.mean,
        gain_low=interval.low,
        gain_high=interval.high,
        num_dimensions=len(weights),
    )


# ---------------------------------------------------------------------------------------------- one model


def official_totals(means: Mapping[str, float]) -> dict[str, float]:
    """Category scores and the total as the official script computes them: a dimension that is missing counts as 0.

    Args:
        means: per exact identifier, the score, 0 to 1.

    Returns:
        The five categories in the benchmark's order, then "Total".
    """
    found = {
        category: math.fsum(means.get(name, 0.0) for name in names) / len(names)
        for category, names in by_category().items()
    }
    return {**found, "Total": math.fsum(found.values()) / len(found)}


def sum_intervals(values: ModelValues, how: Resampling = DEFAULT) -> dict[str, Interval]:
    """One model's categories and total with their intervals, of those whose dimensions all have two prompts or more.

    Means are over prompts, and the dimension's clips without a value are left out, so they can differ a little from the
    official ones, which are over clips.

    Args:
        values: of one model.
        how: resamples, seed, confidence.
    """
    means: dict[str, _Means] = {}
    for name, found in values.dimensions.items():
        scored = [(each.prompt, each.value) for each in found.values if each.value is not None]
        prompts = [prompt for prompt, _ in scored]
        if len(set(prompts)) > 1:
            of_prompt = prompt_means([value for _, value in scored], prompts)
            means[name] = dict(zip(sorted(set(prompts)), map(float, of_prompt), strict=True))
    return {
        name: combined_interval({each: means[each] for each in weights}, weights, how, bounds=SCORE_BOUNDS)
        for name, weights in _shares(means).items()
    }


def _shares(measured: Iterable[str]) -> dict[str, dict[str, float]]:
    """Weights of the dimensions in every category, and in the total, whose dimensions are all there."""
    measured = set(measured)
    shares = {
        category: dict.fromkeys(names, 1.0 / len(names))
        for category, names in by_category().items()
        if measured.issuperset(names)
    }
    if measured.issuperset(facts()):
        shares["Total"] = {name: share_of_total(name) for name in facts()}
    return shares

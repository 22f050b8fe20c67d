"""Two models on the benchmark, dimension by dimension; categories and total. Pure.

Each model has its own score by the official rule: the mean over its clips that have a value. The gain is another thing:
it is paired by prompt and sample, over what both models have a value for, so it need not be the difference of the two
scores. What leaves a mean is seen in the coverage, and in the covered mean, in which a clip without a value counts as
0: a model that obeys its prompts less often cannot gain there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, model_validator

from rushes.measure.coverage import Coverage, coverage_note, few_prompts
from rushes.measure.pairs import DIVERSITY
from rushes.records import Change, Record
from rushes.records.base import Share, Size, Text
from rushes.records.derived import Gain, check_verdict
from rushes.statistics.bootstrap import DEFAULT, Means, cluster_means, mean_interval, mean_of
from rushes.statistics.comparison import Comparison, Decision, compare_gains, decide, paired_gains
from rushes.statistics.corrections import benjamini_hochberg
from rushes.statistics.power import smallest_gain_seen
from rushes.statistics.resampling import Resampling
from rushes_vbench.catalogue import facts
from rushes_vbench.totals import shares_of
from rushes_vbench.values import ClipValue, DimensionValues, ModelValues


class VBenchRow(Record):
    """One dimension before and after.

    Example:
        VBenchRow(dimension="Material", base=0.52, tuned=0.6, paired_base=0.5, paired_tuned=0.6, gain=0.1,
                  gain_low=0.02, gain_high=0.18, p_value=0.01, p_holm=0.04, q_value=0.03, num_prompts=50, num_pairs=150,
                  base_coverage=1.0, tuned_coverage=1.0, base_covered=0.5, tuned_covered=0.6, detectable=0.11,
                  verdict="better")
    """

    dimension: Text
    """Exact identifier."""
    base: Share
    """Score of the untouched model by the official rule: mean over its own clips that have a value."""
    tuned: Share
    """The same of the tuned model."""
    paired_base: Share
    """Mean over prompts of the untouched model, over the pairs that both models have a value for."""
    paired_tuned: Share
    """The same of the tuned model."""
    gain: Gain
    """`paired_tuned` - `paired_base`."""
    gain_low: Gain
    """Lower end of the gain's 95 % interval, for this dimension alone."""
    gain_high: Gain
    """Upper end of it."""
    p_value: Share
    """Sign-flip test over prompts, two-sided, for this dimension alone."""
    p_holm: Share
    """The same, corrected for all dimensions compared (Holm)."""
    q_value: Share
    """False discovery rate at which it would be reported (Benjamini-Hochberg); it decides nothing."""
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
    """Smallest true gain found with probability about 0.8 at level 0.05 by so many prompts, with the spread of their
    gains, at most 1; None where nothing varies, or such prompts could show no possible gain."""
    verdict: Change
    """Better or worse where `p_holm` is below 0.05 and the interval lies on that side of 0, as in every scorecard."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_verdict(self.verdict, self.gain_low, self.gain_high)
        return self


class VBenchSum(Record):
    """A category, the total, or the plain mean of what was measured.

    Example:
        VBenchSum(name="Physics", base=0.5, tuned=0.56, gain=0.05, gain_low=0.01, gain_high=0.09, num_dimensions=4)
    """

    name: Text
    """Category; "Total"; "Mean"; or "Mean without Diversity"."""
    base: Share
    """Of the untouched model's own scores, by the official rule."""
    tuned: Share
    """The same of the tuned model."""
    gain: Gain
    """The same mean of the dimensions' paired gains."""
    gain_low: Gain
    """Lower end of the gain's 95 % interval."""
    gain_high: Gain
    """Upper end of it."""
    num_dimensions: Size
    """Dimensions that it is the mean of."""


class VBenchAlone(Record):
    """A dimension in which the two models cannot be compared, with what each has.

    Example:
        VBenchAlone(dimension="Thermotics", base=0.5, tuned=None, reason="no values of the tuned model")
    """

    dimension: Text
    """Exact identifier."""
    base: Share | None = None
    """Score of the untouched model by the official rule; None if it has none."""
    tuned: Share | None = None
    """The same of the tuned model."""
    reason: Text
    """Why there is no comparison."""


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
    alone: tuple[VBenchAlone, ...] = ()
    """Dimensions that could not be compared, and why."""
    notes: tuple[str, ...] = ()
    """Warnings a reader must see."""


def compare_models(
    base: ModelValues,
    tuned: ModelValues,
    *,
    measurer: str,
    how: Resampling = DEFAULT,
    notes: Sequence[str] = (),
    apart: Mapping[str, str] = MappingProxyType({}),
) -> VBenchScorecard:
    """Each model's own scores, and their comparison on what both have, by the rule of `rushes.statistics.comparison`.

    A prompt that serves several dimensions is one cluster in all of them.

    Args:
        base: values of the untouched model.
        tuned: values of the tuned model, on the same prompts and seeds.
        measurer: who scored both.
        how: resamples, seed, confidence.
        notes: shown first.
        apart: dimensions that are not to be compared, and why.
    """
    found = {name: _compared(name, base, tuned, apart.get(name, ""), how) for name in facts()}
    compared = {name: each for name, each in found.items() if isinstance(each, _Compared)}
    decisions = decide({name: each.comparison for name, each in compared.items()})
    q_values = benjamini_hochberg([each.comparison.p_value for each in compared.values()])
    rows = tuple(
        _row(name, each, decisions[name], q_value)
        for (name, each), q_value in zip(compared.items(), q_values, strict=True)
    )
    return VBenchScorecard(
        base_model=base.model,
        tuned_model=tuned.model,
        measurer=measurer,
        rows=rows,
        sums=tuple(_sums(compared, how)),
        alone=tuple(each for each in found.values() if isinstance(each, VBenchAlone)),
        notes=(*notes, *_notes(rows)),
    )


_Pair = tuple[str, float, float]
"""Prompt, value before, value after."""


@dataclass(frozen=True)
class _Compared:
    """One dimension, before anything is decided."""

    num_pairs: int
    before: float
    after: float
    gains: Means
    comparison: Comparison
    base: DimensionValues
    tuned: DimensionValues


def _compared(
    name: str, base_model: ModelValues, tuned_model: ModelValues, apart: str, how: Resampling
) -> _Compared | VBenchAlone:
    base, tuned = base_model.dimensions.get(name), tuned_model.dimensions.get(name)
    own = partial(
        VBenchAlone,
        dimension=name,
        base=None if base is None else base.mean,
        tuned=None if tuned is None else tuned.mean,
    )
    if base is None or tuned is None:
        lacking = [model.model for model in (base_model, tuned_model) if name not in model.dimensions]
        return own(reason=f"no values of {' and '.join(lacking)}")
    if apart:
        return own(reason=apart)
    pairs = _pairs(base.values, tuned.values)
    prompts = [prompt for prompt, _, _ in pairs]
    if (num := len(set(prompts))) < 2:
        said = "1 prompt has" if num else "no prompt has"
        return own(reason=f"{said} a value of both models; an interval needs two")
    before, after = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    gains = paired_gains(before, after, prompts)
    return _Compared(
        num_pairs=len(pairs),
        before=mean_of(cluster_means(before, prompts)),
        after=mean_of(cluster_means(after, prompts)),
        gains=gains,
        comparison=compare_gains({name: gains}, how),
        base=base,
        tuned=tuned,
    )


def paired_gain(base: DimensionValues, tuned: DimensionValues) -> float | None:
    """Mean over prompts of tuned minus base, over the pairs that both have a value for; None without such a pair."""
    pairs = _pairs(base.values, tuned.values)
    if not pairs:
        return None
    return mean_of(paired_gains([pair[1] for pair in pairs], [pair[2] for pair in pairs], [pair[0] for pair in pairs]))


def _row(name: str, found: _Compared, decision: Decision, q_value: float) -> VBenchRow:
    gain = found.comparison.gain
    return VBenchRow(
        dimension=name,
        base=_own(found.base),
        tuned=_own(found.tuned),
        paired_base=found.before,
        paired_tuned=found.after,
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        p_value=found.comparison.p_value,
        p_holm=decision.p_holm,
        q_value=q_value,
        num_prompts=len(found.gains),
        num_pairs=found.num_pairs,
        base_coverage=found.base.coverage,
        tuned_coverage=found.tuned.coverage,
        base_covered=found.base.covered_mean,
        tuned_covered=found.tuned.covered_mean,
        detectable=smallest_gain_seen(list(found.gains.values())),
        verdict=decision.verdict,
    )


def _own(values: DimensionValues) -> float:
    """A score by the official rule, of a model that has some value."""
    assert values.mean is not None
    return values.mean


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


def _notes(rows: Sequence[VBenchRow]) -> Iterable[str]:
    for row in rows:
        base = Coverage(row.base_coverage, row.base_covered)
        tuned = Coverage(row.tuned_coverage, row.tuned_covered)
        coverage = coverage_note(row.dimension, base, tuned)
        if coverage is not None:
            yield coverage
    few = few_prompts({row.dimension: row.num_prompts for row in rows})
    if few is not None:
        yield few.text


def _sums(compared: Mapping[str, _Compared], how: Resampling) -> list[VBenchSum]:
    shares = shares_of(compared)
    if compared:
        shares["Mean"] = dict.fromkeys(compared, 1.0 / len(compared))
    if DIVERSITY in compared and len(compared) > 1:
        # The paper's mean: it leaves Diversity out.
        shares["Mean without Diversity"] = {name: 1.0 / (len(compared) - 1) for name in compared if name != DIVERSITY}
    return [_sum(name, weights, compared, how) for name, weights in shares.items()]


def _sum(name: str, shares: Mapping[str, float], compared: Mapping[str, _Compared], how: Resampling) -> VBenchSum:
    gain = mean_interval({each: compared[each].gains for each in shares}, how, shares=shares)
    return VBenchSum(
        name=name,
        base=min(1.0, math.fsum(share * _own(compared[each].base) for each, share in shares.items())),
        tuned=min(1.0, math.fsum(share * _own(compared[each].tuned) for each, share in shares.items())),
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        num_dimensions=len(shares),
    )

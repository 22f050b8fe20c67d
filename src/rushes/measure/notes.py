"""What a reader of the scorecard must see beside its numbers. Pure.

Warnings are not verdicts: each goes by one dimension alone, uncorrected (docs/design/007-one-decision-rule.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.display.words import figure, points
from rushes.measure.coverage import Coverage, coverage_note, few_prompts
from rushes.measure.leniency import MAX_RISE, became_lenient
from rushes.measure.pairs import DIVERSITY
from rushes.records import DimensionRow
from rushes.records.derived import FEWEST_PROMPTS
from rushes.statistics.resampling import Estimate

MAX_DIVERSITY_LOSS: Final = 0.05
"""Share of its value that Diversity may lose before the scorecard warns."""
HACKING_SHARE: Final = 0.5
"""The judge's gain is called suspicious when the measurer sees less than this share of it, and no clear gain."""
HACKING_LEAST: Final = 0.02
"""A smaller gain of the judge's is not worth a warning, however clear it is."""
HACKING_SPREAD: Final = 0.2
"""The same for a judge on another scale than 0 to 1, as a share of its spread over the base model's clips."""


@dataclass(frozen=True)
class Behind:
    """What stands behind a row and is not in it."""

    judge_gain: Estimate | None
    """Gain that the training judge sees; None where it was not asked."""
    judge_unit: str | None
    """Unit of that gain, in words; None for shares of 1."""
    judge_spread: float
    """Standard deviation of its scores over the base model's clips."""
    base: Coverage
    """How many of the base model's clips have a score."""
    tuned: Coverage
    """How many of the tuned model's clips have one."""
    num_unpaired: int
    """Clips of one model that lack their counterpart."""


def notes_of(row: DimensionRow, behind: Behind, num_compared: int) -> Iterator[str]:
    """The warnings of one dimension.

    Args:
        row: its comparison.
        behind: what stands behind it.
        num_compared: dimensions decided together.
    """
    interval = f"{points(row.gain)} points, 95 % interval {points(row.gain_low)} to {points(row.gain_high)}"
    if row.verdict == "worse":
        yield f"{row.dimension} got worse: {interval}."
    elif row.may_be_worse:
        yield (
            f"{row.dimension} may have got worse: {interval}; not enough for a verdict among {num_compared} "
            f"dimension{'s' if num_compared > 1 else ''} (p {row.p_holm:.2f}, corrected)."
        )
    yield from _diversity_note(row)
    yield from _leniency_note(row)
    if behind.judge_gain is not None and _is_suspicious(row, behind, behind.judge_gain):
        seen, unit = behind.judge_gain.value, behind.judge_unit
        yield (
            f"{row.dimension}: the judge sees {f'{points(seen)} points' if unit is None else f'+{figure(seen)} {unit}'}"
            f", the measurer does not ({interval}). The model may have learned to please the judge."
        )
    coverage = coverage_note(row.dimension, behind.base, behind.tuned)
    if coverage is not None:
        yield coverage
    if behind.num_unpaired:
        yield f"{row.dimension}: {behind.num_unpaired} clips of one model lack their counterpart and are left out."


def missing_focus(names: Sequence[str]) -> Iterator[str]:
    """The note on focus dimensions that could not be compared: a mean of the others would be another quantity."""
    if names:
        were = "was" if len(names) == 1 else "were"
        yield (
            f"{', '.join(names)} {were} aimed at and could not be compared, so there is no mean of the focus "
            "and no verdict on it."
        )


def too_few_prompts(rows: Sequence[DimensionRow]) -> Iterator[str]:
    """The note of `few_prompts`, with the settings to raise."""
    few = few_prompts({row.dimension: row.num_prompts for row in rows})
    if few is not None:
        settings = dict.fromkeys(
            "measure.num_diversity_prompts" if name == DIVERSITY else "measure.num_prompts" for name in few.names
        )
        yield f"{few.text} Raise {' and '.join(settings)}."


def diversity_loss(row: DimensionRow) -> float | None:
    """Share of its value that Diversity lost, where that is more than `MAX_DIVERSITY_LOSS`; None for all other rows.

    By what was measured, whatever its interval: with few prompts even a large loss would lie within the noise.
    """
    lost = row.before - row.after
    if row.dimension != DIVERSITY or lost <= MAX_DIVERSITY_LOSS * row.before:
        return None
    return lost / row.before


def _diversity_note(row: DimensionRow) -> Iterator[str]:
    lost = diversity_loss(row)
    if lost is not None:
        chance = " It may be chance: the gain's interval reaches above 0." if row.gain_high > 0 else ""
        yield (
            f"Diversity fell by {100 * lost:.1f} % of its value ({row.before:.3f} to {row.after:.3f}); "
            f"more than {100 * MAX_DIVERSITY_LOSS:.0f} % is too much.{chance}"
        )


def _leniency_note(row: DimensionRow) -> Iterator[str]:
    found = row.leniency
    if found is not None and became_lenient(found):
        chance = "" if found.rise_low > 0 else " It may be chance: the interval of the rise reaches 0."
        yield (
            f"{row.dimension}: the judge became more lenient than the measurer: of the questions, it alone says "
            f"{100 * found.before:.0f} % are right before and {100 * found.after:.0f} % after; a rise of "
            f"{100 * MAX_RISE:.0f} points or more is too much.{chance}"
        )


def _is_suspicious(row: DimensionRow, behind: Behind, judge_gain: Estimate) -> bool:
    """A warning, not a verdict: both gains are taken by their own intervals, uncorrected."""
    is_share = behind.judge_unit is None
    least = HACKING_LEAST if is_share else HACKING_SPREAD * behind.judge_spread
    if row.num_prompts < FEWEST_PROMPTS or judge_gain.low <= 0 or judge_gain.value < least or row.gain_low > 0:
        return False
    return row.gain < (HACKING_SHARE * judge_gain.value if is_share else HACKING_LEAST)

"""How many clips and prompts a comparison rests on, and what every scorecard says where they are too few. Pure.

A pair counts only when both clips have a score. A model whose worst clips cannot be scored is therefore compared on the
others alone, and seems better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.statistics.comparison import ALPHA
from rushes.statistics.power import fewest_prompts
from rushes.statistics.resampling import FEW_CLUSTERS

MAX_DIFFERENCE: Final = 0.05
"""A coverage that differs by more than this between the two models gets a warning."""


@dataclass(frozen=True)
class Coverage:
    """One model in one dimension.

    Example: `Coverage(share=0.9, covered_mean=0.45)`.
    """

    share: float
    """Share of the clips that have a score, 0 to 1."""
    covered_mean: float
    """Mean over all clips, those without a score counted as 0: what cannot be raised by clips without a score."""


def coverage_of(values: Sequence[float | None]) -> Coverage:
    """From the score of each clip, at least one; None where it has none."""
    scored = [value for value in values if value is not None]
    return Coverage(len(scored) / len(values), math.fsum(scored) / len(values))


def coverage_note(dimension: str, base: Coverage, tuned: Coverage) -> str | None:
    """The warning of a coverage that fell or rose by more than `MAX_DIFFERENCE`; None where it did not."""
    if abs(tuned.share - base.share) <= MAX_DIFFERENCE:
        return None
    word = "fell" if tuned.share < base.share else "rose"
    before, after = 100 * base.covered_mean, 100 * tuned.covered_mean
    return (
        f"{dimension}: coverage {word} from {base.share:.0%} to {tuned.share:.0%}, and only clips that both models "
        f"have a score for are compared. With clips without a score as 0, the mean went from {before:.1f} to "
        f"{after:.1f}."
    )


@dataclass(frozen=True)
class Few:
    """Dimensions with few prompts.

    Example: `Few(names=("A",), text="Few prompts: A (5); with fewer than 8 an interval is rough.")`.
    """

    names: tuple[str, ...]
    """The dimensions."""
    text: str
    """The note that names them."""


def few_prompts(num_prompts: Mapping[str, int]) -> Few | None:
    """Dimensions with so few prompts that no verdict is possible or their interval is rough; None where there are none.

    Args:
        num_prompts: per dimension, of all dimensions that are decided together: the strictest step of Holm's correction
            among them must be possible.
    """
    fewest = fewest_prompts(ALPHA / max(1, len(num_prompts)))
    few = {name: num for name, num in num_prompts.items() if num < max(fewest, FEW_CLUSTERS)}
    if not few:
        return None
    reasons = list[str]()
    if min(few.values()) < FEW_CLUSTERS:
        reasons.append(f"with fewer than {FEW_CLUSTERS} an interval is rough")
    if min(few.values()) < fewest:
        among = f" among {len(num_prompts)} dimensions" if len(num_prompts) > 1 else ""
        reasons.append(f"a verdict{among} takes at least {fewest}")
    named = ", ".join(f"{name} ({num})" for name, num in few.items())
    return Few(tuple(few), f"Few prompts: {named}; {', and '.join(reasons)}.")

"""From outcomes per clip to one score per dimension, with coverage and an interval clustered by prompt. Pure.

The official mean leaves out clips that are not applicable, so a model that rarely does what is asked may win. The
covered score is reported as well, in which such clips count as 0. Clips that a tool could not score are left out of
both, and counted separately.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rushes.records import Outcome, Scored, Unscored
from rushes.statistics.bootstrap import SCORE_BOUNDS
from rushes.statistics.ratios import estimate, mean, mean_terms
from rushes.statistics.resampling import Resampling
from rushes_vbench.metrics.core import Profile, is_not_applicable

DROPPED_AT: Final = 0.9
"""Motion_Order_Understanding is officially 0 when more than this share of the clips is not applicable."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval.

    Example: `Estimate(value=0.62, low=0.55, high=0.69)`.
    """

    value: float
    """Mean over clips, 0 to 1."""
    low: float | None
    """Lower end of the interval; None with fewer than two prompts, which say nothing about others."""
    high: float | None
    """Upper end of the interval."""


@dataclass(frozen=True)
class DimensionScore:
    """One dimension of one model."""

    dimension: str
    """Exact identifier."""
    profile: Profile
    """Whose rules gave the outcomes."""
    score: Estimate | None
    """Mean over clips that have a value; None if none has."""
    covered: Estimate | None
    """The same with clips that are not applicable counted as 0; None if every clip failed."""
    num_clips: int
    """Clips (Diversity: prompts) to score."""
    num_scored: int
    """Those with a value."""
    num_not_applicable: int
    """Those in which the dimension has nothing to measure."""
    num_prompts: int
    """Prompts with at least one value."""
    reasons: Mapping[str, int]
    """Why clips have no value, and how often, most frequent first."""

    @property
    def coverage(self) -> float:
        """Share of the clips that have a value, 0 to 1."""
        return self.num_scored / self.num_clips if self.num_clips else 0.0

    @property
    def num_failed(self) -> int:
        """Clips that a tool could not score; neither score counts them."""
        return self.num_clips - self.num_scored - self.num_not_applicable


def dimension_score(
    dimension: str,
    outcomes: Sequence[Outcome],
    prompts: Sequence[str],
    profile: Profile,
    how: Resampling | None = None,
) -> DimensionScore:
    """One dimension from its clips.

    Args:
        dimension: exact identifier.
        outcomes: one per clip, or per prompt in Diversity.
        prompts: the prompt of each, aligned.
        profile: `compat` applies the official rule for too few valid Motion_Order_Understanding clips.
        how: resamples, seed, confidence; None for 2,000 resamples and 95 %.

    Raises:
        ValueError: the lists are not aligned.
    """
    if len(outcomes) != len(prompts):
        raise ValueError(f"expected one prompt per outcome, got {len(prompts)} and {len(outcomes)}")
    how = how or Resampling()
    rows = list(zip(outcomes, prompts, strict=True))
    scored = [(outcome.value, prompt) for outcome, prompt in rows if isinstance(outcome, Scored)]
    skipped = [prompt for outcome, prompt in rows if is_not_applicable(outcome)]
    score = _estimate(scored, how)
    dropped = dimension == "Motion_Order_Understanding" and len(skipped) > DROPPED_AT * len(rows)
    if profile == "compat" and dropped and score is not None:
        score = Estimate(0.0, 0.0, 0.0)
    reasons = Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Unscored))
    return DimensionScore(
        dimension=dimension,
        profile=profile,
        score=score,
        covered=_estimate([*scored, *((0.0, prompt) for prompt in skipped)], how),
        num_clips=len(rows),
        num_scored=len(scored),
        num_not_applicable=len(skipped),
        num_prompts=len({prompt for _, prompt in scored}),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _estimate(rows: Sequence[tuple[float, str]], how: Resampling) -> Estimate | None:
    """Mean over clips and its interval: whole prompts are resampled, and the ratio of sums is taken each time.

    With equally many clips for every prompt this equals `rushes.statistics.bootstrap.score_interval`, draw for draw.
    """
    if not rows:
        return None
    # Sorted, so that the order of the clips does not change a bit of the sums.
    terms_NS = mean_terms(np.array([value for value, _ in sorted(rows, key=lambda row: (row[1], row[0]))]))
    found = estimate(terms_NS, sorted(prompt for _, prompt in rows), mean, how, SCORE_BOUNDS)
    if found is None:
        return Estimate(float(mean(terms_NS.sum(0))), None, None)
    return Estimate(found.value, found.low, found.high)

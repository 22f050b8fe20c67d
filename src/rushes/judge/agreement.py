"""How far the judge can be believed: its scores beside the measurer's, on the same clips. Pure functions.

`rushes.measure.agreement` compares single answers; this compares the scores that training sees.
The measurer is not the judge and never gives rewards, so where the two part, the judge is being flattered or is wrong.
Legend: N clips, K prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rushes.records import Measurement, Record, Score, Scored
from rushes.records.base import Count, Share, Size, Text
from rushes.records.derived import Gain

Floats = npt.NDArray[np.float64]

GOOD: Final = 0.5
"""Score from which a clip counts as good, for judge and measurer alike."""


class Estimate(Record):
    """A statistic with its 95 % interval (bootstrap, clustered by prompt).

    Example:
        Estimate(value=0.9, low=0.85, high=0.94)
    """

    value: Gain
    """The statistic on all clips."""
    low: Gain
    """Lower end of the interval."""
    high: Gain
    """Upper end of the interval."""


class ScoreAgreement(Record):
    """Judge and measurer on the same clips of one dimension.

    Example:
        ScoreAgreement(dimension="Composition", num_clips=96, num_prompts=24, num_left_out=0, judge_mean=0.7,
                       measurer_mean=0.6, accuracy=Estimate(value=0.9, low=0.85, high=0.94), auc=None,
                       rank_correlation=None)
    """

    dimension: Text | None
    """Quality dimension; None for the clips of all dimensions together."""
    num_clips: Size
    """Clips that both scored."""
    num_prompts: Size
    """Their prompts."""
    num_left_out: Count
    """Clips that both looked at and at least one of them left unscored."""
    judge_mean: Share
    """Mean score of the judge; above `measurer_mean` where the judge is too kind."""
    measurer_mean: Share
    """Mean score of the measurer."""
    accuracy: Estimate
    """Share of clips on which both say good (score >= 0.5) or both say bad."""
    auc: Estimate | None
    """Probability that the judge puts a clip that the measurer calls good above one that it calls bad, ties counted
    half; 0.5 is chance. None when the measurer calls all clips good, or all bad."""
    rank_correlation: Estimate | None
    """Spearman's rho of the two scores, -1 to 1; None when either gives all clips the same score."""


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The two scores of the clips that both scored."""

    judge_N: Floats
    measurer_N: Floats
    prompt_N: npt.NDArray[np.intp]
    """Number of the prompt, 0 to K - 1."""

    @property
    def num_prompts(self) -> int:
        return int(self.prompt_N.max()) + 1


def score_agreement(
    scores: Sequence[Score], measurements: Iterable[Measurement], *, num_bootstrap: int = 1000, seed: int = 0
) -> tuple[ScoreAgreement, ...]:
    """How well the judge agrees with the measurer: one row per dimension by name, then one over all (dimension None).

    A clip is compared in the dimension of its prompt. Measurements of groups and of other dimensions are not looked at;
    a dimension in which no clip has both scores has no row.

    Args:
        scores: the judge's.
        measurements: the measurer's.
        num_bootstrap: resamples of the prompts for the intervals, at least 1.
        seed: of the resampling.
    """
    measured = {(each.subject[0], each.dimension): each.outcome for each in measurements if len(each.subject) == 1}
    both = sorted(
        ((score, measured[key]) for score in scores if (key := (score.clip_key, score.dimension)) in measured),
        key=lambda pair: pair[0].clip_key,
    )
    rows: list[ScoreAgreement] = []
    for dimension in [*sorted({score.dimension for score, _ in both}), None]:
        here = [(score, outcome) for score, outcome in both if dimension in (score.dimension, None)]
        full = [
            (score.outcome.value, outcome.value, score.prompt_key)
            for score, outcome in here
            if isinstance(score.outcome, Scored) and isinstance(outcome, Scored)
        ]
        if full:
            rows.append(_row(dimension, full, len(here) - len(full), num_bootstrap, seed))
    return tuple(rows)


def _row(
    dimension: str | None, full: Sequence[tuple[float, float, str]], num_left_out: int, num_bootstrap: int, seed: int
) -> ScoreAgreement:
    numbers = {key: number for number, key in enumerate(sorted({key for _, _, key in full}))}
    pairs = _Pairs(
        judge_N=np.array([judge for judge, _, _ in full]),
        measurer_N=np.array([measurer for _, measurer, _ in full]),
        prompt_N=np.array([numbers[key] for _, _, key in full]),
    )
    return ScoreAgreement(
        dimension=dimension,
        num_clips=len(full),
        num_prompts=pairs.num_prompts,
        num_left_out=num_left_out,
        judge_mean=float(pairs.judge_N.mean()),
        measurer_mean=float(pairs.measurer_N.mean()),
        accuracy=_must(_estimate(accuracy, pairs, num_bootstrap, seed)),
        auc=_estimate(auc, pairs, num_bootstrap, seed),
        rank_correlation=_estimate(rank_correlation, pairs, num_bootstrap, seed),
    )


# ---------------------------------------------------------------------------------------------- the statistics


def accuracy(judge_N: Floats, measurer_N: Floats) -> float:
    """Share of clips on which judge and measurer are on the same side of `GOOD`."""
    return float(np.mean((judge_N >= GOOD) == (measurer_N >= GOOD)))


def auc(judge_N: Floats, measurer_N: Floats) -> float | None:
    """Area under the ROC curve of the judge's score for "the measurer calls it good" (Mann-Whitney U / pairs)."""
    good_N = measurer_N >= GOOD
    num_good, num_bad = int(good_N.sum()), int((~good_N).sum())
    if num_good == 0 or num_bad == 0:
        return None
    rank_sum = float(average_ranks(judge_N)[good_N].sum())
    return (rank_sum - num_good * (num_good + 1) / 2) / (num_good * num_bad)


def rank_correlation(judge_N: Floats, measurer_N: Floats) -> float | None:
    """Spearman's rho: the correlation of average ranks."""
    a_N, b_N = average_ranks(judge_N), average_ranks(measurer_N)
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    scale = float(np.sqrt((a_N**2).sum() * (b_N**2).sum()))
    return None if scale == 0.0 else float(np.clip((a_N * b_N).sum() / scale, -1.0, 1.0))


def average_ranks(values_N: Floats) -> Floats:
    """Ranks 1 to N, smallest first; equal values share the mean of their ranks."""
    _, inverse_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[inverse_N]
    return ranks


# ---------------------------------------------------------------------------------------------- the intervals


def _estimate(
    statistic: Callable[[Floats, Floats], float | None], pairs: _Pairs, num_bootstrap: int, seed: int
) -> Estimate | None:
    """The statistic with its percentile interval over resampled prompts; undefined resamples do not count."""
    value = statistic(pairs.judge_N, pairs.measurer_N)
    if value is None:
        return None
    rows_of = [np.flatnonzero(pairs.prompt_N == number) for number in range(pairs.num_prompts)]
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(num_bootstrap):
        rows = np.concatenate([rows_of[number] for number in rng.integers(len(rows_of), size=len(rows_of))])
        drawn = statistic(pairs.judge_N[rows], pairs.measurer_N[rows])
        if drawn is not None:
            resampled.append(drawn)
    low, high = np.quantile(resampled, [0.025, 0.975]) if resampled else (value, value)
    return Estimate(value=value, low=float(low), high=float(high))


def _must(estimate: Estimate | None) -> Estimate:
    assert estimate is not None, "accuracy is defined for every clip"
    return estimate

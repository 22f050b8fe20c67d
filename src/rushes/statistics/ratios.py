"""The audit's statistics with intervals that resample prompts, as pure functions of arrays.

Intervals follow `rushes.statistics.bootstrap`: percentiles over resampled prompts, n - 1 of n drawn each time, read
at the levels of Student's t; where all prompts agree, the spread is that of a sample with half a prompt added at each bound.
Everything here is a ratio of sums over clips or over pairs of clips, so a resample is a vector of counts per prompt.

Legend: N questions or clips of one kind, M of another, K prompts, R resamples, S sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rushes.judge.agreement import Estimate
from rushes.statistics.bootstrap import Resampling, resampled_means

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Sums over clips, shape (..., S), to the value of the statistic, shape (...); NaN where it is not defined."""

EVEN = 0.5
"""Probability from which an answer counts as yes."""


# ---------------------------------------------------------------------------------------------- separation


def auc(original_N: Floats, control_M: Floats) -> float:
    """Probability that a score of the originals lies above one of the controls, ties counted half; 0.5 is chance.

    The area under the ROC curve of the score, which is the Mann-Whitney U statistic divided by the number of pairs.

    Args:
        original_N: scores of the originals, at least one.
        control_M: scores of the controls, at least one.

    Raises:
        ValueError: one side is empty.
    """
    if not len(original_N) or not len(control_M):
        raise ValueError(f"expected scores on both sides, got {len(original_N)} and {len(control_M)}")
    return float(_wins(original_N, control_M).mean())


def _wins(original_N: Floats, control_M: Floats) -> Floats:
    difference_NM = original_N[:, None] - control_M
    wins_NM: Floats = (difference_NM > 0) + 0.5 * (difference_NM == 0)
    return wins_NM


def auc_estimate(
    original: Sequence[float], control: Sequence[float], prompts: Sequence[str], how: Resampling, name: str = ""
) -> Estimate | None:
    """AUC of the originals over their controls, with its interval; None with fewer than two prompts.

    Args:
        original: score of each clip as it is.
        control: score of the same clip under the control.
        prompts: prompt of each clip; a resample draws prompts, with all clips of both sides.
        how: resamples, seed, confidence.
        name: picks the random stream.
    """
    number_N, num_prompts = _numbered(prompts)
    if num_prompts < 2:
        return None
    wins_NN = _wins(np.asarray(original, float), np.asarray(control, float))
    member_NK = np.eye(num_prompts)[number_N]
    wins_KK, pairs_KK = member_NK.T @ wins_NN @ member_NK, np.outer(member_NK.sum(0), member_NK.sum(0))
    count_RK = _draws(num_prompts, how, name)
    resampled_R = ((count_RK @ wins_KK) * count_RK).sum(1) / ((count_RK @ pairs_KK) * count_RK).sum(1)
    return _with_interval(float(wins_NN.mean()), resampled_R, num_prompts, (0.0, 1.0), how, name)


# ---------------------------------------------------------------------------------------------- ratios of sums


def estimate(
    terms_NS: Floats,
    prompts: Sequence[str],
    statistic: Statistic,
    how: Resampling,
    bounds: tuple[float, float] = (-1.0, 1.0),
    name: str = "",
) -> Estimate | None:
    """A statistic of sums with its interval; None with fewer than two prompts, or where it is not defined.

    Resamples in which it is not defined do not count.

    Args:
        terms_NS: what is summed, one row per question or clip.
        prompts: prompt of each row.
        statistic: of the sums.
        how: resamples, seed, confidence.
        bounds: range of the statistic.
        name: picks the random stream.
    """
    number_N, num_prompts = _numbered(prompts)
    if num_prompts < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(terms_NS.sum(0)))
        if np.isnan(value):
            return None
        sums_KS = np.eye(num_prompts)[number_N].T @ terms_NS
        resampled_R = statistic(_draws(num_prompts, how, name) @ sums_KS)
    return _with_interval(value, resampled_R[~np.isnan(resampled_R)], num_prompts, bounds, how, name)


def pair_terms(a_N: Floats, b_N: Floats) -> Floats:
    """What `accuracy`, `kappa` and `correlation` sum: 1, a, b, ab, aa, bb."""
    return np.stack([np.ones_like(a_N), a_N, b_N, a_N * b_N, a_N**2, b_N**2], axis=1)


def accuracy(sums_S: Floats) -> Floats:
    """Share of pairs of 0s and 1s that are equal, from `pair_terms`."""
    n, a, b, ab = (sums_S[..., i] for i in range(4))
    agreed: Floats = (n - a - b + 2 * ab) / n
    return agreed


def kappa(sums_S: Floats) -> Floats:
    """Cohen's kappa of pairs of 0s and 1s, from `pair_terms`: agreement beyond chance, 1 is perfect, 0 is chance.

    Cohen 1960, "A coefficient of agreement for nominal scales": (p_o - p_e) / (1 - p_e). NaN where both sides always
    say the same one thing.
    """
    n, a, b = (sums_S[..., i] for i in range(3))
    chance = (a / n) * (b / n) + (1 - a / n) * (1 - b / n)
    return np.where(chance < 1 - 1e-12, (accuracy(sums_S) - chance) / (1 - chance), np.nan)


def correlation(sums_S: Floats) -> Floats:
    """Pearson's correlation from `pair_terms`; NaN where one side is constant."""
    n, a, b, ab, aa, bb = (sums_S[..., i] for i in range(6))
    spread = (n * aa - a * a) * (n * bb - b * b)
    is_defined = spread > 1e-12 * np.maximum(n, 1.0) ** 4
    return np.where(is_defined, (n * ab - a * b) / np.sqrt(np.where(is_defined, spread, 1.0)), np.nan)


def bias_terms(p_yes_N: Floats, expects_yes_N: npt.NDArray[np.bool_]) -> Floats:
    """What `yes_bias` sums: P(yes) and 1 over the questions that expect yes, then over those that expect no."""
    yes_N = expects_yes_N.astype(float)
    return np.stack([p_yes_N * yes_N, yes_N, p_yes_N * (1 - yes_N), 1 - yes_N], axis=1)


def yes_bias(sums_S: Floats) -> Floats:
    """Mean P(yes), both expected answers counted alike, minus one half: 0 is fair, 0.5 always yes, -0.5 always no.

    NaN where only one of the two answers is expected: then bias and being right cannot be told apart.
    """
    fair: Floats = (sums_S[..., 0] / sums_S[..., 1] + sums_S[..., 2] / sums_S[..., 3]) / 2 - 0.5
    return fair


# ---------------------------------------------------------------------------------------------- resampling


def _numbered(prompts: Sequence[str]) -> tuple[npt.NDArray[np.intp], int]:
    """The number of each row's prompt, by name, so that the order of rows changes nothing; and how many there are."""
    numbers = {prompt: number for number, prompt in enumerate(sorted(set(prompts)))}
    return np.array([numbers[prompt] for prompt in prompts], np.intp), len(numbers)


def _draws(num_prompts: int, how: Resampling, name: str) -> Floats:
    """How often each prompt is drawn, shape R, K."""
    shares_K = np.full(num_prompts, 1.0 / num_prompts)
    return how.rng(name).multinomial(num_prompts - 1, shares_K, size=how.num_resamples).astype(float)


def _with_interval(
    value: float, resampled_R: Floats, num_prompts: int, bounds: tuple[float, float], how: Resampling, name: str
) -> Estimate | None:
    from scipy.special import ndtr, stdtrit

    if not len(resampled_R):
        return None
    value = min(max(value, bounds[0]), bounds[1])  # rounding must not push it over the edge
    if np.ptp(resampled_R) <= 1e-12:  # all prompts agree: resampling them would claim certainty
        same_K = np.full(num_prompts, value)
        resampled_R = resampled_means(same_K, bounds, how.num_resamples, how.rng(name))
    level = float(ndtr(stdtrit(num_prompts - 1, (1.0 - how.confidence) / 2.0)))
    low, high = (float(end) for end in np.quantile(resampled_R, [level, 1.0 - level]))
    return Estimate(value=value, low=max(bounds[0], min(low, value)), high=min(bounds[1], max(high, value)))

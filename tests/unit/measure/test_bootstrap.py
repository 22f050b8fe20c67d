"""The intervals against analytic cases, against scipy, and against the truth in simulated runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rushes.statistics.bootstrap import (
    Resampling,
    gain_interval,
    mean_gain_interval,
    prompt_means,
    resampled_means,
    score_interval,
)

RNG = np.random.default_rng(5)


def keys(num: int) -> list[str]:
    return [f"{i:064x}" for i in range(num)]


def test_values_are_averaged_within_their_prompt_first() -> None:
    found = prompt_means([1.0, 0.0, 1.0, 0.25], ["b", "a", "b", "a"])
    np.testing.assert_array_equal(found, [0.125, 1.0])


def test_takes_of_one_prompt_do_not_make_the_interval_narrower() -> None:
    gains = RNG.uniform(-0.2, 0.4, 20)
    once = gain_interval([0.5] * 20, list(0.5 + gains), keys(20))
    repeated = gain_interval([0.5] * 100, list(0.5 + np.tile(gains, 5)), keys(20) * 5)
    assert (repeated.mean, repeated.low, repeated.high) == pytest.approx((once.mean, once.low, once.high))
    # Pretending that the 100 clips are independent would have given less than half of the width.
    naive = gain_interval([0.5] * 100, list(0.5 + np.tile(gains, 5)), keys(100))
    assert naive.high - naive.low < 0.6 * (repeated.high - repeated.low)


def test_the_spread_of_the_resampled_means_is_the_unbiased_standard_error() -> None:
    values = RNG.uniform(0, 1, 9)
    found = resampled_means(values, (0.0, 1.0), 200_000, np.random.default_rng(1))
    assert found.std() == pytest.approx(values.std(ddof=1) / np.sqrt(9), rel=0.01)
    assert found.mean() == pytest.approx(values.mean(), abs=0.002)


def test_agrees_with_scipy_where_there_are_many_prompts() -> None:
    values = RNG.beta(2, 3, 400)
    ours = score_interval(list(values), keys(400), Resampling(num_resamples=8000))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=8000, method="percentile", rng=3).confidence_interval
    width = theirs.high - theirs.low
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_agrees_with_student_t_for_normal_gains_of_few_prompts() -> None:
    gains = np.clip(RNG.normal(0.1, 0.15, 24), -1, 1)
    ours = gain_interval([0.5] * 24, list(0.5 + gains), keys(24), Resampling(num_resamples=20_000))
    low, high = stats.t.interval(0.95, 23, loc=gains.mean(), scale=stats.sem(gains))
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.06 * (high - low))


def test_a_mean_over_dimensions_has_the_analytic_standard_error_and_equal_shares() -> None:
    few, many = RNG.uniform(-0.5, 0.5, 10), RNG.uniform(0, 1, 200)
    found = mean_gain_interval({"few": few, "many": many}, Resampling(num_resamples=20_000))
    error = np.hypot(stats.sem(few), stats.sem(many)) / 2
    assert found.mean == pytest.approx((few.mean() + many.mean()) / 2)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)


@pytest.mark.parametrize(("num_prompts", "at_least"), [(12, 0.90), (32, 0.925)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(num_prompts: int, at_least: float) -> None:
    """Yes/no scores, two takes a prompt, takes of one prompt alike: the case that the pipeline has."""
    rng, how, names = np.random.default_rng(7), Resampling(num_resamples=300), keys(num_prompts) * 2
    hits, plain_hits, num_runs = 0, 0, 250
    for _ in range(num_runs):
        ability = rng.beta(1.2, 1.8, num_prompts)
        before = rng.random((2, num_prompts)) < ability
        after = rng.random((2, num_prompts)) < np.minimum(ability + 0.15 * (1 - ability), 1.0)
        truth = 0.15 * (1 - 1.2 / 3.0)
        found = gain_interval(list(before.ravel() * 1.0), list(after.ravel() * 1.0), names, how)
        hits += found.low <= truth <= found.high
        gains = (after * 1.0 - before).mean(0)
        plain = gains[rng.integers(num_prompts, size=(300, num_prompts))].mean(1)
        low, high = np.quantile(plain, [0.025, 0.975])
        plain_hits += low <= truth <= high
    assert at_least <= hits / num_runs <= 0.99
    assert hits >= plain_hits


def test_prompts_that_all_agree_do_not_make_a_certainty() -> None:
    nothing_changed = gain_interval([1.0] * 32, [1.0] * 32, keys(32))
    assert nothing_changed.mean == 0.0
    assert nothing_changed.low < 0.0 < nothing_changed.high
    assert nothing_changed.high - nothing_changed.low < 0.15
    always_right = score_interval([1.0] * 32, keys(32))
    assert (always_right.mean, always_right.high) == (1.0, 1.0)
    assert 0.85 < always_right.low < 1.0
    many = score_interval([1.0] * 320, keys(320))
    assert many.low > always_right.low


def test_everything_improved_is_better_and_within_bounds() -> None:
    found = gain_interval([0.0] * 16, [1.0] * 16, keys(16))
    assert (found.mean, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 1.0


def test_same_seed_same_interval_whatever_the_order_and_the_other_dimensions() -> None:
    before, after = list(RNG.uniform(0, 1, 30)), list(RNG.uniform(0, 1, 30))
    names = keys(15) * 2
    found = gain_interval(before, after, names, name="A")
    order = RNG.permutation(30)
    shuffled = gain_interval([before[i] for i in order], [after[i] for i in order], [names[i] for i in order], name="A")
    assert shuffled == found
    assert gain_interval(before, after, names, Resampling(seed=1), name="A") != found
    assert gain_interval(before, after, names, name="B") != found


@pytest.mark.parametrize(
    ("values", "prompts", "said"),
    [
        ([], [], "at least one"),
        ([0.5], ["a", "b"], "as many values"),
        ([0.5, float("nan")], ["a", "b"], "finite"),
        ([0.5, 1.5], ["a", "b"], "in \\(0.0, 1.0\\)"),
        ([0.5, 0.6], ["a", "a"], "at least 2 prompts"),
    ],
)
def test_what_has_no_interval_is_refused(values: list[float], prompts: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        score_interval(values, prompts)


def test_unpaired_scores_and_an_empty_focus_are_refused() -> None:
    with pytest.raises(ValueError, match="one score after"):
        gain_interval([0.5], [0.5, 0.6], ["a"])
    with pytest.raises(ValueError, match="at least one dimension"):
        mean_gain_interval({})
    with pytest.raises(ValueError, match="confidence"):
        Resampling(confidence=95.0)

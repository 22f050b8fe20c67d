"""The intervals against analytic cases, against scipy, and against the truth in simulated runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rushes.statistics.bootstrap import SCORE_BOUNDS, cluster_means, degrees_of, mean_interval, score_interval
from rushes.statistics.comparison import paired_gains
from rushes.statistics.resampling import FEW_CLUSTERS, NEAR, Estimate, Resampling, draw_counts, padding, t_level

F64 = np.typing.NDArray[np.float64]
RNG = np.random.default_rng(5)


def keys(num: int) -> list[str]:
    return [f"{i:064x}" for i in range(num)]


def gain_interval(
    before: list[float], after: list[float], prompts: list[str], how: Resampling | None = None
) -> Estimate:
    return mean_interval({"A": paired_gains(before, after, prompts)}, how or Resampling())


def by_key(values: F64) -> dict[str, float]:
    return dict(zip(keys(len(values)), map(float, values), strict=True))


def test_values_are_averaged_within_their_prompt_first() -> None:
    found = cluster_means([1.0, 0.0, 1.0, 0.25], ["b", "a", "b", "a"])
    assert list(found.items()) == [("a", 0.125), ("b", 1.0)]


def test_takes_of_one_prompt_do_not_make_the_interval_narrower() -> None:
    gains = RNG.uniform(-0.2, 0.4, 20)
    once = gain_interval([0.5] * 20, list(0.5 + gains), keys(20))
    repeated = gain_interval([0.5] * 100, list(0.5 + np.tile(gains, 5)), keys(20) * 5)
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx((once.value, once.low, once.high))
    # Pretending that the 100 clips are independent would have given less than half of the width.
    naive = gain_interval([0.5] * 100, list(0.5 + np.tile(gains, 5)), keys(100))
    assert naive.high - naive.low < 0.6 * (repeated.high - repeated.low)


def test_the_spread_of_the_resampled_means_is_the_unbiased_standard_error() -> None:
    values = RNG.uniform(0, 1, 9)
    found = draw_counts(9, Resampling(num_resamples=200_000, seed=1)) @ values / 8
    assert found.std() == pytest.approx(values.std(ddof=1) / np.sqrt(9), rel=0.01)
    assert found.mean() == pytest.approx(values.mean(), abs=0.002)


def test_agrees_with_scipy_where_there_are_many_prompts() -> None:
    values = RNG.beta(2, 3, 400)
    ours = score_interval(list(values), keys(400), Resampling(num_resamples=8000))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=8000, method="percentile", rng=3).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_agrees_with_student_t_for_normal_gains_of_few_prompts() -> None:
    gains = np.clip(RNG.normal(0.1, 0.15, 24), -1, 1)
    ours = gain_interval([0.5] * 24, list(0.5 + gains), keys(24), Resampling(num_resamples=20_000))
    low, high = stats.t.interval(0.95, 23, loc=gains.mean(), scale=stats.sem(gains))
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.06 * (high - low))


def test_a_mean_over_dimensions_has_the_analytic_standard_error_and_equal_shares() -> None:
    few, many = RNG.uniform(-0.5, 0.5, 10), RNG.uniform(0, 1, 200)
    groups = {"few": {f"f{i}": float(x) for i, x in enumerate(few)}, "many": by_key(many)}
    found = mean_interval(groups, Resampling(num_resamples=20_000))
    few_var, many_var = (stats.sem(each) ** 2 / 4 for each in (few, many))
    degrees = (few_var + many_var) ** 2 / (few_var**2 / 9 + many_var**2 / 199)
    assert found.value == pytest.approx((few.mean() + many.mean()) / 2)
    assert found.high - found.low == pytest.approx(
        2 * stats.t.ppf(0.975, degrees) * np.sqrt(few_var + many_var), rel=0.06
    )


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
    assert nothing_changed.value == 0.0
    assert nothing_changed.low < 0.0 < nothing_changed.high
    assert nothing_changed.high - nothing_changed.low < 0.15
    always_right = score_interval([1.0] * 32, keys(32))
    assert (always_right.value, always_right.high) == (1.0, 1.0)
    assert 0.85 < always_right.low < 1.0
    many = score_interval([1.0] * 320, keys(320))
    assert many.low > always_right.low


def test_agreeing_prompts_have_the_spread_of_the_padded_sample() -> None:
    """Nine prompts at 0.2 with half a one at 0, half at 1, and one at 0.5: Agresti and Min's interval by hand."""
    sample = np.array([0.2] * 18 + [0.0, 1.0, 0.5, 0.5])  # every prompt twice, so that halves are whole
    shift, noise = padding(0.2, 0.0, 9, SCORE_BOUNDS)
    assert 0.2 + shift == pytest.approx(sample.mean())
    assert noise == pytest.approx(sample.std() / np.sqrt(11))
    ends = mean_interval({"A": dict.fromkeys(keys(9), 0.2)}, Resampling(num_resamples=100_000), bounds=SCORE_BOUNDS)
    reach = stats.t.ppf(0.975, 8) * noise
    assert ends.high == pytest.approx(sample.mean() + reach, abs=0.01)
    assert ends.low == pytest.approx(max(0.0, sample.mean() - reach), abs=0.01)


@pytest.mark.parametrize("num_prompts", [4, 16])
def test_prompts_that_nearly_agree_have_nearly_the_interval_of_those_that_agree(num_prompts: int) -> None:
    ramp = np.linspace(-1.0, 1.0, num_prompts)
    steps = np.arange(0.0, 1.3, 0.02) * NEAR / ramp.std(ddof=1)
    found = [mean_interval({"A": by_key(0.1 + step * ramp)}) for step in steps]
    widths = np.array([each.high - each.low for each in found])
    # From the padded interval to that of the draws without a jump: no step of 2 % takes more than a twentieth.
    assert widths[0] > 0.2 and widths[-1] < 0.06
    assert np.abs(np.diff(widths)).max() < widths[0] / 20
    assert found[1].low < 0.0 < found[1].high
    # Beyond, nothing is added.
    assert padding(0.1, NEAR, 16, (-1.0, 1.0)) == padding(0.1, 0.4, 16, (-1.0, 1.0)) == (0.0, 0.0)


@pytest.mark.parametrize(("num_prompts", "at_least"), [(2, 0.93), (3, 0.93), (5, 0.92), (7, 0.92)])
def test_intervals_of_few_prompts_are_student_s(num_prompts: int, at_least: float) -> None:
    """Draws cannot leave the range of what was seen, which holds the truth of two prompts every second time."""
    assert num_prompts < FEW_CLUSTERS
    rng, how, hits, num_runs = np.random.default_rng(num_prompts), Resampling(num_resamples=300), 0, 300
    for _ in range(num_runs):
        found = mean_interval({"A": by_key(np.clip(rng.normal(0.05, 0.1, num_prompts), -1, 1))}, how)
        hits += found.low <= 0.05 <= found.high
    assert hits / num_runs >= at_least


def test_two_prompts_tell_next_to_nothing() -> None:
    found = mean_interval({"A": {"a": -0.1, "b": -0.3}})
    assert (found.value, found.low, found.high) == (pytest.approx(-0.2), -1.0, 1.0)
    close = mean_interval({"A": {"a": -0.16, "b": -0.18}}, Resampling(num_resamples=20_000))
    assert (close.low, close.high) == pytest.approx(
        stats.t.interval(0.95, 1, loc=-0.17, scale=stats.sem([-0.16, -0.18])), abs=0.01
    )


def test_everything_improved_is_better_and_within_bounds() -> None:
    found = gain_interval([0.0] * 16, [1.0] * 16, keys(16))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 1.0


def test_same_seed_same_interval_whatever_the_order_and_the_other_dimensions() -> None:
    before, after = list(RNG.uniform(0, 1, 30)), list(RNG.uniform(0, 1, 30))
    names = keys(15) * 2
    found = gain_interval(before, after, names)
    order = RNG.permutation(30)
    shuffled = gain_interval([before[i] for i in order], [after[i] for i in order], [names[i] for i in order])
    assert shuffled == found
    assert gain_interval(before, after, names, Resampling(seed=1)) != found
    # What a dimension is called changes nothing.
    assert mean_interval({"B": paired_gains(before, after, names)}) == found


@pytest.mark.parametrize(
    ("values", "prompts", "said"),
    [
        ([], [], "at least one"),
        ([0.5], ["a", "b"], "as many values"),
        ([0.5, float("nan")], ["a", "b"], "finite"),
        ([0.5, 1.5], ["a", "b"], "in \\(0.0, 1.0\\)"),
        ([0.5, 0.6], ["a", "a"], "at least 2 clusters"),
    ],
)
def test_what_has_no_interval_is_refused(values: list[float], prompts: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        score_interval(values, prompts)


def test_unpaired_scores_and_an_empty_focus_are_refused() -> None:
    with pytest.raises(ValueError, match="one score after"):
        gain_interval([0.5], [0.5, 0.6], ["a"])
    with pytest.raises(ValueError, match="at least one dimension"):
        mean_interval({})
    with pytest.raises(ValueError, match="confidence"):
        Resampling(confidence=95.0)


# ---------------------------------------------------------------------------------------------- the level of the ends


@pytest.mark.parametrize(("confidence", "degrees"), [(0.95, 3), (0.95, 11), (0.9, 7), (0.95, 4.7), (0.95, 87)])
def test_the_level_is_that_of_student_t_in_units_of_the_normal(confidence: float, degrees: float) -> None:
    expected = stats.norm.cdf(stats.t.ppf((1 - confidence) / 2, degrees))
    assert t_level(confidence, degrees) == pytest.approx(expected, rel=1e-9)


def test_the_ends_are_the_draws_written_out_at_the_level_of_n_minus_1_degrees() -> None:
    """Draw by draw; the normal level, or n degrees in place of n - 1, would be another number of a resample."""
    values, how = RNG.uniform(-0.5, 0.6, 8), Resampling(num_resamples=4000, seed=2)
    means = [values[rows].mean() for rows in how.rng("draws").integers(8, size=(4000, 7))]
    found = mean_interval({"A": by_key(values)}, how)
    level = stats.norm.cdf(stats.t.ppf(0.025, 7))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [level, 1 - level])), abs=1e-12)
    for wrong in (0.025, stats.norm.cdf(stats.t.ppf(0.025, 8))):
        assert abs(found.low - np.quantile(means, wrong)) > 1e-3


def test_degrees_of_freedom_of_several_dimensions() -> None:
    x, y, z = (RNG.normal(0, spread, num) for spread, num in ((0.1, 8), (0.2, 30), (0.05, 8)))
    values = {"x": by_key(x), "y": {f"y{i}": float(v) for i, v in enumerate(y)}, "z": by_key(z)}

    def degrees(*names: str) -> float:
        carried: dict[str, float] = {}
        for name in names:
            mean = np.mean(list(values[name].values()))
            scale = 1 / np.sqrt(len(values[name]) * (len(values[name]) - 1))
            for cluster, value in values[name].items():
                carried[cluster] = carried.get(cluster, 0.0) + scale * (value - mean)
        served = [[name for name in names if cluster in values[name]] for cluster in carried]
        return degrees_of(np.array(list(carried.values())), served, values)

    assert degrees("x") == pytest.approx(7) and degrees("y") == pytest.approx(29)
    assert degrees("x", "z") == pytest.approx(7)  # the same clusters: no more independent values than one has
    parts = [(x.var(ddof=1) / 8, 7), (y.var(ddof=1) / 30, 29)]
    welch = sum(v for v, _ in parts) ** 2 / sum(v**2 / d for v, d in parts)
    assert degrees("x", "y") == pytest.approx(welch)


# ---------------------------------------------------------------------------------------------- several dimensions


@pytest.mark.parametrize(("shared", "low", "high"), [(True, 0.92, 0.99), (False, 0.6, 0.85)])
def test_dimensions_on_the_same_prompts_need_their_clusters_resampled_together(
    shared: bool, low: float, high: float
) -> None:
    """Three dimensions of the same 20 prompts whose gains correlate by 0.8. Clusters named apart, as if nothing were
    shared, give intervals that hold the truth far too seldom."""
    rng, how, hits, num_runs = np.random.default_rng(11), Resampling(num_resamples=300), 0, 250
    for _ in range(num_runs):
        common = rng.normal(size=20)
        groups = {
            name: {f"{'' if shared else name}{i}": float(v) for i, v in enumerate(np.clip(gains, -1, 1))}
            for name in "abc"
            for gains in [0.05 + 0.2 * (np.sqrt(0.8) * common + np.sqrt(0.2) * rng.normal(size=20))]
        }
        found = mean_interval(groups, how)
        hits += found.low <= 0.05 <= found.high
    assert low <= hits / num_runs <= high


def test_a_dimension_of_few_prompts_among_many_shared_ones_is_covered_too() -> None:
    """Ten prompts of one dimension are among the fifty of another, and a third has fifty of its own."""
    rng, how, hits, num_runs = np.random.default_rng(12), Resampling(num_resamples=300), 0, 250
    for _ in range(num_runs):
        common = 0.2 * rng.normal(size=50)
        groups = {
            "a": {f"s{i}": float(np.clip(0.05 + v, -1, 1)) for i, v in enumerate(common)},
            "b": {f"s{i}": float(np.clip(0.05 + v, -1, 1)) for i, v in enumerate(common[:10])},
            "c": {f"c{i}": float(np.clip(0.05 + 0.2 * v, -1, 1)) for i, v in enumerate(rng.normal(size=50))},
        }
        found = mean_interval(groups, how)
        hits += found.low <= 0.05 <= found.high
    assert 0.91 <= hits / num_runs <= 0.985


def test_the_other_dimensions_do_not_change_the_interval_of_one() -> None:
    one, other = by_key(RNG.uniform(0, 1, 9)), by_key(RNG.uniform(0, 1, 9))
    alone = mean_interval({"A": one}, bounds=SCORE_BOUNDS)
    assert mean_interval({"A": one, "B": other}, shares={"A": 1.0, "B": 0.0}).value == pytest.approx(alone.value)
    assert mean_interval({"A": one}, shares={"A": 0.5}).value == pytest.approx(alone.value / 2)


def test_agreeing_dimensions_on_the_same_prompts_are_no_surer_than_one() -> None:
    same = dict.fromkeys(keys(16), 0.0)
    one, three = mean_interval({"A": same}), mean_interval({name: same for name in "ABC"})
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.1)


def test_agreeing_dimensions_move_together_by_the_clusters_that_they_share() -> None:
    """Two dimensions of 16 prompts: the more they share, the wider; which of the prompts are shared does not matter."""

    def width(first: int) -> float:
        other = {f"{i:03}": 0.0 for i in range(first, first + 16)}
        found = mean_interval({"A": {f"{i:03}": 0.0 for i in range(16)}, "B": other})
        return found.high - found.low

    all_, most, half, none = (width(first) for first in (0, 1, 8, 16))
    ratio = [math.sqrt((1 + shared / 16) / 2) for shared in (15, 8, 0)]
    assert [most / all_, half / all_, none / all_] == pytest.approx(ratio, rel=0.06)


def test_an_agreeing_dimension_of_few_prompts_takes_degrees_of_freedom_from_a_sum() -> None:
    """Eight prompts that agree and 200 that do not: nearly all of the error is that of the eight (Welch)."""
    many = RNG.uniform(-0.3, 0.3, 200)
    groups = {"A": dict.fromkeys(keys(8), 0.0), "B": {f"b{i}": float(v) for i, v in enumerate(many)}}
    found = mean_interval(groups, Resampling(num_resamples=20_000))
    parts = [(padding(0.0, 0.0, 8, (-1.0, 1.0))[1] ** 2 / 4, 7), (many.var(ddof=1) / 200 / 4, 199)]
    degrees = sum(v for v, _ in parts) ** 2 / sum(v**2 / d for v, d in parts)
    reach = stats.t.ppf(0.975, degrees) * math.sqrt(sum(v for v, _ in parts))
    assert degrees < 10
    assert found.high - found.low == pytest.approx(2 * reach, rel=0.05)


def test_an_end_at_zero_is_zero_and_not_a_rounding_error_above_it() -> None:
    """Two prompts of twelve gain: many resamples miss both, so that the lower end is 0 to the bit."""
    found = mean_interval({"A": by_key(np.array([0.3, 0.3] + [0.0] * 10))})
    assert found.low == 0.0


def values(rng: np.random.Generator, prompts: list[str]) -> dict[str, float]:
    return {prompt: float(rng.choice([-1 / 3, 0.0, 1 / 3, 2 / 3])) for prompt in prompts}


def test_combined_interval_is_the_clustered_one_of_a_closed_formula() -> None:
    rng = np.random.default_rng(7)
    shared = [f"s{i}" for i in range(60)]
    one = values(rng, shared)
    groups = {"a": one, "b": dict(one), "c": values(rng, [f"c{i}" for i in range(40)])}
    weights = {"a": 0.4, "b": 0.2, "c": 0.4}
    found = mean_interval(groups, Resampling(num_resamples=20_000), shares=weights)
    x, y = np.array(list(one.values())), np.array(list(groups["c"].values()))
    mean = 0.6 * x.mean() + 0.4 * y.mean()
    error = math.sqrt(0.36 * x.var(ddof=1) / 60 + 0.16 * y.var(ddof=1) / 40)
    assert found.value == pytest.approx(mean)
    assert (found.high - found.low) / 2 == pytest.approx(1.99 * error, rel=0.05)


def test_prompts_that_dimensions_share_widen_the_interval() -> None:
    rng = np.random.default_rng(8)
    one = values(rng, [f"p{i}" for i in range(50)])
    alone = {f"q{key}": value for key, value in one.items()}
    how, weights = Resampling(num_resamples=4000), {"a": 0.5, "b": 0.5}
    together = mean_interval({"a": one, "b": one}, how, shares=weights)
    apart = mean_interval({"a": one, "b": alone}, how, shares=weights)
    ratio = (together.high - together.low) / (apart.high - apart.low)
    assert ratio == pytest.approx(math.sqrt(2), rel=0.06)


def test_agreeing_prompts_are_no_certainty() -> None:
    same = {f"p{i}": 0.2 for i in range(12)}
    found = mean_interval({"a": same, "b": dict(same)}, shares={"a": 0.5, "b": 0.5})
    assert found.value == pytest.approx(0.2) and found.low < 0.2 < found.high


def test_combined_interval_refuses_what_it_cannot_weigh() -> None:
    two = {"p": 0.1, "q": 0.2}
    for groups, weights, said in (
        ({}, {}, "at least one dimension"),
        ({"a": two}, {"b": 1.0}, "a share for each dimension"),
        ({"a": {"p": 0.1}}, {"a": 1.0}, "at least 2 clusters"),
    ):
        with pytest.raises(ValueError, match=f"expected {said}"):
            mean_interval(groups, shares=weights)

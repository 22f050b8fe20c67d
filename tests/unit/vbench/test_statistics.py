"""The statistics against independent computations: enumeration, textbook examples, simulation, closed formulas."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from rushes.statistics.bootstrap import Resampling
from rushes.statistics.comparison import (
    Spread,
    benjamini_hochberg,
    binary_spread,
    combined_interval,
    detectable,
    holm,
    sign_flip_p,
    spread_of,
)

BoolArray = np.typing.NDArray[np.bool_]


def enumerated_p(gains: list[float]) -> float:
    observed = abs(sum(gains))
    sums = [
        abs(sum(s * g for s, g in zip(signs, gains, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(gains))
    ]
    return sum(each >= observed - 1e-9 for each in sums) / len(sums)


@pytest.mark.parametrize("gains", [[0.5, 0.2, -0.1], [1 / 3, 1 / 3, -1 / 3, 2 / 3, 0.0, 0.0], [0.1] * 8, [-0.4, 0.4]])
def test_sign_flip_is_the_enumeration_of_all_signs(gains: list[float]) -> None:
    assert sign_flip_p(np.array(gains)) == pytest.approx(enumerated_p(gains))


def test_sign_flip_of_many_prompts_is_the_binomial_test_of_equal_gains() -> None:
    # 30 prompts gain, 14 lose, by the same amount: twice the binomial tail.
    gains = np.array([0.25] * 30 + [-0.25] * 14 + [0.0] * 20)
    exact = 2 * sum(math.comb(44, k) for k in range(30, 45)) / 2**44
    assert sign_flip_p(gains) == pytest.approx(exact, abs=0.003)
    assert sign_flip_p(gains) == sign_flip_p(gains[::-1]) or abs(sign_flip_p(gains) - sign_flip_p(gains[::-1])) < 0.005


def test_sign_flip_never_claims_certainty() -> None:
    assert sign_flip_p(np.zeros(9)) == 1.0
    assert sign_flip_p(np.full(200, 0.3)) == pytest.approx(1 / 20_001)
    assert sign_flip_p(np.array([0.9])) == 1.0


def test_sign_flip_is_false_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    p_values = [sign_flip_p(rng.choice([-1 / 3, 0, 1 / 3, 1, -1], size=10)) for _ in range(400)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.075
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.1)


def test_corrections_of_a_worked_example() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p_values) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_benjamini_hochberg_rejects_what_its_step_up_rule_rejects() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        p_values, q = list(rng.uniform(size=18) ** 2), float(rng.uniform(0.01, 0.5))
        ordered = sorted(p_values)
        passing = [rank for rank in range(1, 19) if ordered[rank - 1] <= q * rank / 18]
        limit = ordered[passing[-1] - 1] if passing else -1.0
        assert [each <= q for each in benjamini_hochberg(p_values)] == [p <= limit for p in p_values]


def test_corrections_keep_order_and_bounds() -> None:
    p_values = [0.9, 0.001, 0.9, 0.02, 1.0]
    for adjusted in (holm(p_values), benjamini_hochberg(p_values)):
        assert all(p <= a <= 1.0 for p, a in zip(p_values, adjusted, strict=True))
        assert sorted(range(5), key=lambda i: (adjusted[i], i)) == sorted(range(5), key=lambda i: (p_values[i], i))
    assert holm([]) == benjamini_hochberg([]) == []
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, 1.5])


def test_holm_holds_the_error_rate_over_all_dimensions() -> None:
    rng = np.random.default_rng(3)
    errors = [min(holm(list(rng.uniform(size=18)))) <= 0.05 for _ in range(2000)]
    assert np.mean(errors) == pytest.approx(0.05, abs=0.015)


def test_spread_finds_what_was_put_in() -> None:
    rng = np.random.default_rng(2)
    gains = [rng.normal(rng.normal(0.1, 0.2), 0.5, size=m) for m in [3, 2, 4] * 800]
    spread = spread_of([list(group) for group in gains])
    assert spread.within == pytest.approx(0.25, rel=0.05) and spread.between == pytest.approx(0.04, rel=0.2)
    assert spread.of_prompt(3) == pytest.approx(spread.between + spread.within / 3)


def test_spread_needs_two_prompts_and_one_repeat() -> None:
    for groups in ([[0.1, 0.2]], [[0.1], [0.2], [0.3]], []):
        with pytest.raises(ValueError, match="at least 2 prompts"):
            spread_of(groups)
    assert spread_of([[0.5, 0.5], [0.5, 0.5]]) == Spread(0.0, 0.0)


def test_binary_spread_is_that_of_simulated_clips() -> None:
    rng = np.random.default_rng(4)
    chances = rng.choice([0.1, 0.5, 0.9], size=20_000)
    likeness = np.var(chances) / (0.5 * 0.5)
    gains = (rng.uniform(size=20_000) < chances).astype(float) - (rng.uniform(size=20_000) < chances)
    assert binary_spread(0.5, float(likeness), same_seed=0.0).within == pytest.approx(gains.var(), rel=0.03)
    assert binary_spread(0.0).within == 0.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        binary_spread(1.2)
    with pytest.raises(ValueError, match="same_seed"):
        binary_spread(0.5, same_seed=-0.1)


def verdicts(gain: float, seed: int, same_seed: float = 0.5) -> tuple[BoolArray, BoolArray]:
    """Clips right or wrong before and after, 3,000 comparisons of 50 prompts x 3: a hidden quality that prompt, seed
    and chance add up to, right where it is low enough. For thresholds at the middle, a correlation r of the hidden
    qualities is one of 2/pi asin(r) of the verdicts (Sheppard 1899); that of two clips of a prompt is 0.5."""
    of_prompt, of_pair = (math.sin(math.pi / 2 * each) for each in (0.5, 0.5 + 0.5 * same_seed))
    rng = np.random.default_rng(seed)
    shared = math.sqrt(of_prompt) * rng.standard_normal((3000, 50, 1))
    shared = shared + math.sqrt(of_pair - of_prompt) * rng.standard_normal((3000, 50, 3))
    before, after = (shared + math.sqrt(1 - of_pair) * rng.standard_normal((3000, 50, 3)) for _ in range(2))
    normal = NormalDist()
    return before < normal.inv_cdf(0.5 - gain / 2), after < normal.inv_cdf(0.5 + gain / 2)


def share_found(before: BoolArray, after: BoolArray) -> float:
    gains = (after.astype(float) - before).mean(axis=2)
    t_values = gains.mean(axis=1) / (gains.std(axis=1, ddof=1) / math.sqrt(50))
    return float(np.mean(np.abs(t_values) > 2.00958))  # Student's t, 49 degrees of freedom, 97.5 %


def test_spread_of_pairs_of_the_same_prompt_and_seed() -> None:
    before, after = verdicts(0.0, seed=1)
    assert np.corrcoef(before[:, :, 0].ravel(), before[:, :, 1].ravel())[0, 1] == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] == pytest.approx(0.75, abs=0.01)
    gains = after.astype(float) - before
    assert binary_spread(0.5).within == pytest.approx(float(gains.var()), rel=0.02)
    assert binary_spread(0.5).of_prompt(3) == pytest.approx(float(gains.mean(axis=2).var()), rel=0.02)


@pytest.mark.parametrize(("same_seed", "points"), [(0.0, 11.7), (0.5, 8.3), (0.8, 5.2)])
def test_detectable_gain_of_simulated_verdicts(same_seed: float, points: float) -> None:
    gain = detectable(binary_spread(0.5, same_seed=same_seed), 50, 3)
    assert 100 * gain == pytest.approx(points, abs=0.1)
    # Prompts near the middle gain more than others here, which the formula takes to gain alike: a little is missed.
    assert 0.7 < share_found(*verdicts(gain, 2, same_seed)) < 0.83


def test_without_the_seed_the_formula_would_be_too_pessimistic() -> None:
    gain = detectable(binary_spread(0.5, same_seed=0.0), 50, 3)
    assert share_found(*verdicts(gain, seed=3)) > 0.93


@pytest.mark.parametrize(("num_prompts", "num_clips"), [(50, 3), (10, 1)])
def test_detectable_gain_is_found_in_four_of_five_simulated_comparisons(num_prompts: int, num_clips: int) -> None:
    from scipy.special import stdtrit

    spread = Spread(between=0.01, within=0.3)
    gain = detectable(spread, num_prompts, num_clips)
    rng = np.random.default_rng(6)
    prompts = rng.normal(gain, math.sqrt(spread.between), size=(4000, num_prompts, 1))
    clips = prompts + rng.normal(0, math.sqrt(spread.within), size=(4000, num_prompts, num_clips))
    means = clips.mean(axis=2)
    t_values = means.mean(axis=1) / (means.std(axis=1, ddof=1) / math.sqrt(num_prompts))
    found = np.abs(t_values) > stdtrit(num_prompts - 1, 0.975)
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


def test_more_prompts_and_clips_show_more_and_many_tests_less() -> None:
    spread = binary_spread(0.5)
    assert detectable(spread, 200, 3) < detectable(spread, 50, 3) < detectable(spread, 50, 1)
    assert detectable(spread, 50, 3, alpha=0.05 / 18) > detectable(spread, 50, 3)
    # Clips of a prompt cannot make up for prompts, where prompts differ in how much they gain.
    assert detectable(Spread(0.1, 0.1), 10, 1000) > detectable(Spread(0.1, 0.1), 30, 1)
    with pytest.raises(ValueError, match="2 prompts or more"):
        detectable(spread, 1, 3)


def values(rng: np.random.Generator, prompts: list[str]) -> dict[str, float]:
    return {prompt: float(rng.choice([-1 / 3, 0.0, 1 / 3, 2 / 3])) for prompt in prompts}


def test_combined_interval_is_the_clustered_one_of_a_closed_formula() -> None:
    rng = np.random.default_rng(7)
    shared = [f"s{i}" for i in range(60)]
    one = values(rng, shared)
    groups = {"a": one, "b": dict(one), "c": values(rng, [f"c{i}" for i in range(40)])}
    weights = {"a": 0.4, "b": 0.2, "c": 0.4}
    found = combined_interval(groups, weights, Resampling(num_resamples=20_000))
    x, y = np.array(list(one.values())), np.array(list(groups["c"].values()))
    mean = 0.6 * x.mean() + 0.4 * y.mean()
    error = math.sqrt(0.36 * x.var(ddof=1) / 60 + 0.16 * y.var(ddof=1) / 40)
    assert found.mean == pytest.approx(mean)
    assert (found.high - found.low) / 2 == pytest.approx(1.99 * error, rel=0.05)


def test_prompts_that_dimensions_share_widen_the_interval() -> None:
    rng = np.random.default_rng(8)
    one = values(rng, [f"p{i}" for i in range(50)])
    alone = {f"q{key}": value for key, value in one.items()}
    how, weights = Resampling(num_resamples=4000), {"a": 0.5, "b": 0.5}
    together = combined_interval({"a": one, "b": one}, weights, how)
    apart = combined_interval({"a": one, "b": alone}, weights, how)
    ratio = (together.high - together.low) / (apart.high - apart.low)
    assert ratio == pytest.approx(math.sqrt(2), rel=0.06)


def test_agreeing_prompts_are_no_certainty() -> None:
    same = {f"p{i}": 0.2 for i in range(12)}
    found = combined_interval({"a": same, "b": dict(same)}, {"a": 0.5, "b": 0.5})
    assert found.mean == pytest.approx(0.2) and found.low < 0.2 < found.high


def test_combined_interval_refuses_what_it_cannot_weigh() -> None:
    two = {"p": 0.1, "q": 0.2}
    for groups, weights in (({}, {}), ({"a": two}, {"b": 1.0}), ({"a": {"p": 0.1}}, {"a": 1.0})):
        with pytest.raises(ValueError, match="expected at least one dimension"):
            combined_interval(groups, weights)

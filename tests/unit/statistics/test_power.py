"""What a number of prompts can show, against simulation and closed formulas."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from rushes.statistics.corrections import sign_flip_p
from rushes.statistics.power import (
    Spread,
    binary_spread,
    detectable,
    fewest_prompts,
    smallest_gain,
    smallest_gain_seen,
    spread_of,
)
from rushes.statistics.resampling import Resampling

BoolArray = np.typing.NDArray[np.bool_]


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


def test_so_few_prompts_that_their_test_cannot_come_out_clear_find_no_gain() -> None:
    for alpha in (0.05, 0.05 / 9, 0.05 / 18):
        fewest = fewest_prompts(alpha)
        assert (
            sign_flip_p(np.full(fewest, 0.1), Resampling())
            < alpha
            <= sign_flip_p(np.full(fewest - 1, 0.1), Resampling())
        )
        assert detectable(Spread(0.01, 0.0), fewest - 1, 3, alpha=alpha) == math.inf
        assert detectable(Spread(0.01, 0.0), fewest, 3, alpha=alpha) < 1.0
    assert [fewest_prompts(0.05 / num) for num in (1, 9, 18)] == [6, 9, 10]


def test_the_smallest_gain_of_a_recipe_is_that_of_binary_clips_among_all_dimensions() -> None:
    alone, among = (smallest_gain(50, 3, likeness=0.6, num_compared=num) for num in (1, 18))
    assert alone == detectable(binary_spread(0.5, 0.6), 50, 3)
    assert among == detectable(binary_spread(0.5, 0.6), 50, 3, alpha=0.05 / 18)
    assert smallest_gain(50, 3, score=0.1) == detectable(binary_spread(0.1), 50, 3)
    assert smallest_gain(50, 3, same_seed=0.9) == detectable(binary_spread(0.5, same_seed=0.9), 50, 3)


def test_the_smallest_gain_that_clips_could_show_is_by_their_own_spread() -> None:
    rng = np.random.default_rng(9)
    gains = [list(rng.normal(rng.normal(0, 0.1), 0.4, size=3)) for _ in range(40)]
    assert smallest_gain_seen(gains) == detectable(spread_of(gains), 40, 3)
    singles = [each[:1] for each in gains]
    between = float(np.var([each for (each,) in singles], ddof=1))
    assert smallest_gain_seen(singles) == pytest.approx(detectable(Spread(between, 0.0), 40, 1))
    assert smallest_gain_seen([[0.2, 0.2]] * 9) is None
    assert smallest_gain_seen(singles[:5]) is None

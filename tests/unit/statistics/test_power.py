"""What a number of prompts can show, against simulations of the decision rule and closed formulas."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import stdtrit

from rushes.statistics.comparison import ALPHA, compare_gains
from rushes.statistics.corrections import sign_flip_p
from rushes.statistics.power import changed_share, fewest_prompts, noncentrality, smallest_gain, smallest_gain_seen
from rushes.statistics.resampling import Resampling

BoolArray = np.typing.NDArray[np.bool_]
HOW = Resampling(num_resamples=500)


def test_the_share_that_changes_is_that_of_simulated_clips() -> None:
    rng = np.random.default_rng(4)
    chances = rng.choice([0.1, 0.5, 0.9], size=20_000)
    likeness = np.var(chances) / (0.5 * 0.5)
    changed = (rng.uniform(size=20_000) < chances) != (rng.uniform(size=20_000) < chances)
    assert changed_share(0.5, float(likeness), same_seed=0.0) == pytest.approx(changed.mean(), rel=0.03)
    assert changed_share(0.0) == 0.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        changed_share(1.2)
    with pytest.raises(ValueError, match="same_seed"):
        changed_share(0.5, same_seed=-0.1)


def verdicts(gain: float, shape: tuple[int, int, int], same_seed: float = 0.5) -> tuple[BoolArray, BoolArray]:
    """Clips right or wrong before and after; comparisons x prompts x clips: a hidden quality that prompt, seed and
    chance add up to, right where it is low enough. For thresholds at the middle, a correlation r of the hidden
    qualities is one of 2/pi asin(r) of the verdicts (Sheppard 1899); that of two clips of a prompt is 0.5."""
    of_prompt, of_pair = (math.sin(math.pi / 2 * each) for each in (0.5, 0.5 + 0.5 * same_seed))
    rng = np.random.default_rng(1)
    shared = math.sqrt(of_prompt) * rng.standard_normal((*shape[:2], 1))
    shared = shared + math.sqrt(of_pair - of_prompt) * rng.standard_normal(shape)
    before, after = (shared + math.sqrt(1 - of_pair) * rng.standard_normal(shape) for _ in range(2))
    normal = NormalDist()
    return before < normal.inv_cdf(0.5 - gain / 2), after < normal.inv_cdf(0.5 + gain / 2)


def test_what_changes_in_pairs_of_the_same_prompt_and_seed() -> None:
    before, after = verdicts(0.0, (3000, 50, 3))
    assert np.corrcoef(before[:, :, 0].ravel(), before[:, :, 1].ravel())[0, 1] == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] == pytest.approx(0.75, abs=0.01)
    assert changed_share(0.5) == pytest.approx(float((before != after).mean()), rel=0.02)
    for gain in (0.05, 0.14, 0.3):
        before, after = verdicts(gain, (1000, 50, 3))
        assert 0.88 < float((before != after).mean()) / math.hypot(changed_share(0.5), gain) < 1.0


def share_found(gains: np.typing.NDArray[np.float64], alpha: float) -> float:
    """How often the rule says better; gains of comparisons x prompts."""
    compared = [compare_gains({"A": {str(i): float(v) for i, v in enumerate(row)}}, HOW) for row in gains]
    return float(np.mean([each.p_value < alpha and each.gain.low > 0 for each in compared]))


@pytest.mark.parametrize(
    ("num_prompts", "num_clips", "num_compared", "least", "most"),
    [(50, 1, 1, 0.68, 0.86), (50, 3, 1, 0.68, 0.86), (100, 1, 9, 0.7, 0.9), (32, 1, 1, 0.63, 0.83)],
)
def test_the_rule_finds_the_smallest_gain_about_four_times_in_five(
    num_prompts: int, num_clips: int, num_compared: int, least: float, most: float
) -> None:
    """Clips as in `verdicts`, and clips that change as often as the formula takes them to, all prompts alike."""
    gain = smallest_gain(num_prompts, num_clips, num_compared=num_compared)
    shape = (250, num_prompts, num_clips)
    before, after = verdicts(gain, shape)
    assert least < share_found((after.astype(float) - before).mean(axis=2), ALPHA / num_compared) < most
    changed = math.hypot(changed_share(0.5), gain)
    chances = [(changed - gain) / 2, 1 - changed, (changed + gain) / 2]
    alike = np.random.default_rng(2).choice([-1.0, 0.0, 1.0], p=chances, size=shape)
    assert least < share_found(alike.mean(axis=2), ALPHA / num_compared) < most


@pytest.mark.parametrize(("num_prompts", "num_clips", "score", "same_seed"), [(50, 3, 0.5, 0.5), (32, 1, 0.1, 0.8)])
def test_the_smallest_gain_solves_its_equation(
    num_prompts: int, num_clips: int, score: float, same_seed: float
) -> None:
    changed, needed = changed_share(score, 0.5, same_seed), noncentrality(num_prompts, ALPHA / 9)

    def short(gain: float) -> float:
        return gain - needed * math.sqrt((math.hypot(changed, gain) - gain**2) / (num_prompts * num_clips))

    found = smallest_gain(num_prompts, num_clips, score=score, same_seed=same_seed, num_compared=9)
    assert found == pytest.approx(brentq(short, 1e-6, 1.0))


def test_a_gain_needs_changes_even_where_nothing_changes_by_chance() -> None:
    """Six prompts must change for a test below 0.05: of 50, about 6 or 7 in every 50."""
    assert smallest_gain(50, 1, score=0.0) == pytest.approx(noncentrality(50, 0.05) ** 2 / (50 + 8.2), rel=0.01)
    assert smallest_gain(50, 1, same_seed=1.0) > 6 / 50


def test_noncentrality_is_found_in_four_of_five_simulated_t_tests() -> None:
    for num_prompts in (10, 50):
        rng = np.random.default_rng(6)
        gains = rng.normal(noncentrality(num_prompts, 0.05) / math.sqrt(num_prompts), 1.0, size=(4000, num_prompts))
        t_values = gains.mean(axis=1) / (gains.std(axis=1, ddof=1) / math.sqrt(num_prompts))
        assert np.mean(np.abs(t_values) > stdtrit(num_prompts - 1, 0.975)) == pytest.approx(0.8, abs=0.02)


def test_more_prompts_and_clips_show_more_and_many_tests_less() -> None:
    assert smallest_gain(200, 3) < smallest_gain(50, 3) < smallest_gain(50, 1) <= 1.0
    assert smallest_gain(50, 3, num_compared=18) > smallest_gain(50, 3)
    assert smallest_gain(50, 3, same_seed=0.9) < smallest_gain(50, 3) < smallest_gain(50, 3, likeness=0.2)
    assert smallest_gain(50, 3, score=0.1) < smallest_gain(50, 3)
    with pytest.raises(ValueError, match="2 prompts or more"):
        smallest_gain(1, 3)
    with pytest.raises(ValueError, match="1 clip or more"):
        smallest_gain(50, 0)


def test_so_few_prompts_that_their_test_cannot_come_out_clear_find_no_gain() -> None:
    for num_compared in (1, 9, 18):
        alpha = ALPHA / num_compared
        fewest = fewest_prompts(alpha)
        assert sign_flip_p(np.full(fewest, 0.1)) < alpha <= sign_flip_p(np.full(fewest - 1, 0.1))
        assert smallest_gain(fewest - 1, 3, num_compared=num_compared) == math.inf
        assert smallest_gain(fewest, 3, num_compared=num_compared) < 1.0
    assert [fewest_prompts(0.05 / num) for num in (1, 9, 18)] == [6, 9, 10]


def test_the_smallest_gain_that_prompts_could_show_is_by_the_spread_of_their_means() -> None:
    gains = list(np.random.default_rng(9).normal(0.0, 0.3, 40))
    error = np.std(gains, ddof=1) / math.sqrt(40)
    assert smallest_gain_seen(gains) == pytest.approx(noncentrality(40, 0.05) * error)
    assert smallest_gain_seen([0.2] * 9) is None
    assert smallest_gain_seen(gains[:5]) is None

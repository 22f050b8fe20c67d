"""The formulas: against independent computations, and the properties that any weighting must have."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import percentileofscore

from rushes.weights.weighting import centred, exponential, filtered, rank, raw, uniform

ONE = ["p"] * 5
FORMULAS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "uniform": uniform,
    "raw": raw,
    "filter": lambda r: filtered(r, 0.6),
    "exponential": lambda r: exponential(r, 0.15),
    "rank": rank,
    "centred": lambda r: centred(r, ["p"] * len(r)),
}


def draws() -> list[list[float]]:
    """Scores as they come: smooth, tied, saturated, alone."""
    rng = random.Random(0)
    smooth = [[rng.random() for _ in range(rng.randint(2, 30))] for _ in range(20)]
    coarse = [[rng.randint(0, 4) / 4 for _ in range(rng.randint(2, 30))] for _ in range(20)]
    return [*smooth, *coarse, [1.0] * 9, [0.0] * 9, [0.3], [0.0, 1.0]]


@pytest.mark.parametrize("name", FORMULAS)
class TestEveryFormula:
    def test_a_better_score_never_weighs_less_and_ties_weigh_the_same(self, name: str) -> None:
        for r in draws():
            w = FORMULAS[name](r)
            for i, a in enumerate(r):
                for j, b in enumerate(r):
                    assert a < b or w[i] >= w[j]
                    assert a != b or w[i] == w[j]

    def test_weights_are_finite_and_not_negative(self, name: str) -> None:
        for r in draws():
            w = FORMULAS[name](r)
            assert len(w) == len(r)
            assert all(math.isfinite(weight) and weight >= 0 for weight in w)

    def test_order_changes_nothing(self, name: str) -> None:
        for r in draws():
            order = random.Random(1).sample(range(len(r)), len(r))
            w = FORMULAS[name](r)
            assert FORMULAS[name]([r[i] for i in order]) == [w[i] for i in order]

    def test_no_scores_give_no_weights(self, name: str) -> None:
        assert FORMULAS[name]([]) == []


def test_raw_is_the_score_itself() -> None:
    assert raw([0.0, 0.25, 1.0]) == [0.0, 0.25, 1.0]


def test_filter_keeps_what_reaches_the_threshold_up_to_rounding() -> None:
    assert filtered([0.79, 0.8, 0.1 + 0.7, 0.81, 1.0], 0.8) == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert 0.1 + 0.7 < 0.8


def test_exponential_is_a_softmax_up_to_scale() -> None:
    r = np.random.default_rng(0).random(20)
    w = np.array(exponential(r.tolist(), 0.2))
    softmax = np.exp(r / 0.2) / np.exp(r / 0.2).sum()
    assert w / w.sum() == pytest.approx(softmax)


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-3, 1e300])
def test_exponential_survives_any_temperature(temperature: float) -> None:
    w = exponential([0.2, 1.0, 0.9], temperature)
    assert w[1] == 1.0
    assert all(0.0 <= weight <= 1.0 for weight in w)


def test_rank_is_the_mean_percentile() -> None:
    for r in draws():
        theirs = [percentileofscore(r, score, kind="mean") / 100 for score in r]
        assert rank(r) == pytest.approx(theirs)


def test_rank_sees_the_order_only() -> None:
    r = [0.1, 0.5, 0.5, 0.9]
    assert rank([score**3 for score in r]) == rank(r) == [0.125, 0.5, 0.5, 0.875]


def test_centred_compares_takes_of_one_prompt() -> None:
    r = [0.9, 0.7, 0.2, 0.0, 0.5]
    prompt = ["easy", "easy", "hard", "hard", "alone"]
    assert centred(r, prompt) == pytest.approx([0.1, 0.0, 0.1, 0.0, 0.0])
    pairs = list(zip(r, prompt, strict=True))
    means = {key: np.mean([score for score, own in pairs if own == key]) for key in prompt}
    by_hand = [max(0.0, score - means[own]) for score, own in pairs]
    assert centred(r, prompt) == pytest.approx(by_hand)


def test_centred_floor_is_inclusive_up_to_rounding() -> None:
    assert centred([0.6, 0.4], ["p", "p"], floor=0.1) == [pytest.approx(0.1), 0.0]
    assert 0.6 - 0.5 < 0.1
    assert centred([0.6, 0.4], ["p", "p"], floor=0.11) == [0.0, 0.0]


@pytest.mark.parametrize("score", [0.1, 0.2, 0.3, 1 / 3, 0.7])
@pytest.mark.parametrize("num", [1, 3, 6, 7])
def test_equal_takes_weigh_nothing_however_their_mean_rounds(score: float, num: int) -> None:
    assert centred([score] * num, ["p"] * num) == [0.0] * num

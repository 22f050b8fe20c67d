"""The sign-flip test and the corrections, against enumeration, textbook examples and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rushes.statistics.corrections import benjamini_hochberg, holm, sign_flip_p


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


def binomial_p(gaining: int, losing: int) -> float:
    """Two-sided, of equal gains and losses: twice the tail."""
    n = gaining + losing
    return 2 * sum(math.comb(n, k) for k in range(gaining, n + 1)) / 2**n


def test_sign_flip_is_the_binomial_test_of_equal_gains_exactly_up_to_32_prompts() -> None:
    gains = np.array([0.25] * 21 + [-0.25] * 11 + [0.0] * 20)
    assert sign_flip_p(gains) == pytest.approx(binomial_p(21, 11), rel=1e-12)
    assert sign_flip_p(np.array([0.1] * 17 + [-0.1] * 4)) == pytest.approx(binomial_p(17, 4), rel=1e-12)


@pytest.mark.parametrize(("gaining", "losing"), [(30, 14), (60, 31), (140, 100)])
def test_sign_flip_of_many_prompts_is_near_the_binomial_test(gaining: int, losing: int) -> None:
    """Random signs: four standard errors of 200,000."""
    exact = binomial_p(gaining, losing)
    found = sign_flip_p(np.array([0.25] * gaining + [-0.25] * losing + [0.0] * 20))
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact / 200_000))


@pytest.mark.parametrize("num", [9, 31, 60])
def test_the_order_of_prompts_changes_no_p_value(num: int) -> None:
    rng = np.random.default_rng(num)
    gains = rng.normal(0.1, 0.4, num)
    assert sign_flip_p(gains) == sign_flip_p(gains[::-1]) == sign_flip_p(rng.permutation(-gains))


def test_sign_flip_never_claims_certainty() -> None:
    assert sign_flip_p(np.zeros(9)) == 1.0
    assert sign_flip_p(np.full(200, 0.3)) == pytest.approx(1 / 200_001)
    assert sign_flip_p(np.array([0.9])) == 1.0
    assert sign_flip_p(np.array([0.3, -0.3, 0.2, -0.2])) == 1.0


def test_prompts_that_do_not_move_leave_the_test_exact() -> None:
    assert sign_flip_p(np.array([0.3] * 5 + [0.0] * 35)) == 2 / 2**5


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

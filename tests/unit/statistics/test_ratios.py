"""Ratios of sums against independent computations: loops, scipy, numpy, and resamples written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from rushes.statistics import ratios as st
from rushes.statistics.bootstrap import SCORE_BOUNDS, score_interval
from rushes.statistics.resampling import Resampling

HOW = Resampling(num_resamples=300, seed=3)


def scores(seed: int, num: int, shift: float) -> np.ndarray:
    # Rounded, so that there are ties.
    return np.round(np.clip(np.random.default_rng(seed).normal(0.5 + shift, 0.2, num), 0, 1), 1)


def test_auc_is_the_share_of_pairs_won() -> None:
    a, b = scores(0, 23, 0.1), scores(1, 17, -0.1)
    pairs = [1.0 if x > y else 0.5 if x == y else 0.0 for x in a for y in b]
    assert st.auc(a, b) == pytest.approx(math.fsum(pairs) / len(pairs))
    assert st.auc(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert st.auc(a, b) + st.auc(b, a) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="both sides"):
        st.auc(a, b[:0])


def test_auc_interval_is_that_of_resampled_prompts_written_out() -> None:
    a, b = scores(2, 24, 0.1), scores(3, 24, 0.0)
    prompts = [f"p{i // 3}" for i in range(24)]  # three clips of each prompt
    found = st.auc_estimate(a.tolist(), b.tolist(), prompts, HOW)
    assert found is not None
    drawn = []
    for row in HOW.rng("draws").integers(8, size=(HOW.num_resamples, 7)):
        rows = [i for prompt in row for i in range(24) if i // 3 == prompt]
        drawn.append(st.auc(a[rows], b[rows]))
    from scipy.special import ndtr, stdtrit

    level = float(ndtr(stdtrit(7, 0.025)))
    low, high = np.quantile(drawn, [level, 1 - level])
    assert found.value == pytest.approx(st.auc(a, b))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_intervals_do_not_depend_on_the_order_of_clips() -> None:
    a, b = scores(4, 12, 0.1).tolist(), scores(5, 12, 0.0).tolist()
    prompts = [f"p{i % 6}" for i in range(12)]
    order = np.random.default_rng(0).permutation(12)
    mixed = st.auc_estimate([a[i] for i in order], [b[i] for i in order], [prompts[i] for i in order], HOW)
    assert mixed == st.auc_estimate(a, b, prompts, HOW)


def test_perfect_separation_of_few_prompts_is_not_certainty() -> None:
    few = st.auc_estimate([0.9] * 4, [0.1] * 4, list("abcd"), HOW)
    many = st.auc_estimate([0.9] * 40, [0.1] * 40, [str(i) for i in range(40)], HOW)
    assert few is not None and many is not None
    assert few.value == few.high == many.value == 1.0
    assert few.low < many.low < 1.0
    assert st.auc_estimate([0.9, 0.8], [0.1, 0.2], ["a", "a"], HOW) is None


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_kappa_and_correlation_match_plain_computations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.random(40), rng.random(40)
    a, b = (p > 0.5).astype(float), ((0.6 * p + 0.4 * q) > 0.5).astype(float)
    sums = st.pair_terms(a, b).sum(0)
    observed = np.mean(a == b)
    table = np.array([[np.mean((a == x) & (b == y)) for y in (0, 1)] for x in (0, 1)])
    chance = sum(table[i].sum() * table[:, i].sum() for i in (0, 1))
    assert st.accuracy(sums) == pytest.approx(observed)
    assert st.kappa(sums) == pytest.approx((observed - chance) / (1 - chance))
    assert st.correlation(st.pair_terms(p, q).sum(0)) == pytest.approx(np.corrcoef(p, q)[0, 1])


def test_what_is_not_defined_is_none_and_never_a_number() -> None:
    ones, some = np.ones(6), np.array([0.1, 0.9, 0.4, 0.6, 0.2, 0.3])
    prompts = list("aabbcc")
    assert st.estimate(st.pair_terms(ones, ones), prompts, st.kappa, HOW) is None
    assert st.estimate(st.pair_terms(some, ones), prompts, st.correlation, HOW) is None
    assert st.estimate(st.bias_terms(some, ones.astype(bool)), prompts, st.yes_bias, HOW) is None
    assert st.estimate(st.pair_terms(some, some), ["a"] * 6, st.correlation, HOW) is None


def test_the_interval_of_a_ratio_is_that_of_resampled_prompts_written_out() -> None:
    rng = np.random.default_rng(7)
    p, yes = rng.random(30), rng.random(30) < 0.5
    prompts = [f"p{i % 10}" for i in range(30)]
    found = st.estimate(st.bias_terms(p, yes), prompts, st.yes_bias, HOW, (-0.5, 0.5))
    drawn = []
    for row in HOW.rng("draws").integers(10, size=(HOW.num_resamples, 9)):
        rows = np.array([i for prompt in row for i in range(prompt, 30, 10)])
        if 0 < yes[rows].sum() < len(rows):
            drawn.append((p[rows][yes[rows]].mean() + p[rows][~yes[rows]].mean()) / 2 - 0.5)
    from scipy.special import ndtr, stdtrit

    level = float(ndtr(stdtrit(9, 0.025)))
    assert found is not None
    assert found.value == pytest.approx((p[yes].mean() + p[~yes].mean()) / 2 - 0.5)
    assert (found.low, found.high) == tuple(pytest.approx(q) for q in np.quantile(drawn, [level, 1 - level]))


@pytest.mark.parametrize("spread", [0.0, 0.004, 0.03])
def test_a_mean_has_the_interval_of_score_interval_also_where_prompts_nearly_agree(spread: float) -> None:
    values = 0.8 + spread * np.resize([-1.0, 1.0], 36)
    prompts = [f"p{i:02d}" for i in range(36)]
    found = st.estimate(st.mean_terms(values), prompts, st.mean, HOW, SCORE_BOUNDS)
    own = score_interval(values.tolist(), prompts, HOW)
    assert found is not None and (found.low, found.high) == pytest.approx((own.low, own.high), abs=0.003)


def test_yes_bias_of_known_answerers() -> None:
    yes = np.array([True, False] * 4)
    always = st.yes_bias(st.bias_terms(np.ones(8), yes).sum(0))
    never = st.yes_bias(st.bias_terms(np.zeros(8), yes).sum(0))
    right = st.yes_bias(st.bias_terms(yes.astype(float), yes).sum(0))
    assert (always, never, right) == (0.5, -0.5, 0.0)
    # Twice as many questions expect yes: a judge that is right is fair all the same.
    more = np.array([True, True, False] * 4)
    assert st.yes_bias(st.bias_terms(more.astype(float), more).sum(0)) == pytest.approx(0.0)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """200 small audits of a judge whose AUC is known: 12 prompts, normal scores one deviation apart."""
    truth = 0.5 * (1 + math.erf(1 / 2))  # P(N(1, 1) > N(0, 1))
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = st.auc_estimate(
            rng.normal(1, 1, 12).tolist(), rng.normal(0, 1, 12).tolist(), [str(i) for i in range(12)], HOW
        )
        assert found is not None
        hits += found.low <= truth <= found.high
    assert hits >= 178

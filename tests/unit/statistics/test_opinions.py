"""Agreement of opinions against independent computations: scipy, loops over pairs, a published example."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit
from scipy.stats import spearmanr

from rushes.statistics.opinions import (
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    pairs_of,
    pairwise_accuracy,
    spearman,
)
from rushes.statistics.resampling import Resampling

HOW = Resampling(num_resamples=200, seed=5)


def ends(values: list[float], num_clusters: int) -> tuple[float, float]:
    """The interval of eight or more clusters that disagree, as the module on resampling says it."""
    level = float(ndtr(stdtrit(num_clusters - 1, 0.025)))
    low, high = np.quantile(values, [level, 1 - level])
    return float(low), float(high)


def drawn(num_clusters: int) -> np.ndarray:
    return HOW.rng("draws").integers(num_clusters, size=(HOW.num_resamples, num_clusters - 1))


def test_spearman_is_scipys_and_so_is_every_resample() -> None:
    rng = np.random.default_rng(1)
    a = np.round(rng.normal(size=27), 1)
    b = np.round(0.6 * a + rng.normal(size=27), 0)  # many equal values
    clusters = [f"p{i // 3}" for i in range(27)]
    found = spearman(a.tolist(), b.tolist(), clusters, HOW)
    assert found is not None and found.value == pytest.approx(spearmanr(a, b).statistic)
    each = []
    for row in drawn(9):
        rows = [i for prompt in row for i in range(27) if i // 3 == prompt]
        each.append(float(spearmanr(a[rows], b[rows]).statistic))
    assert (found.low, found.high) == pytest.approx(ends(each, 9))


def test_spearman_of_a_constant_is_not_defined() -> None:
    assert spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], list("abc"), HOW) is None
    assert spearman([1.0, 2.0], [1.0, 2.0], ["a", "a"], HOW) is None
    huge = spearman([1e300, 2e300, -1e300], [1.0, 2.0, 0.0], list("abc"), HOW)
    assert huge is not None and huge.value == pytest.approx(1.0)


def said(difference: float, tie: float) -> int:
    return 0 if abs(difference) <= tie else 1 if difference > 0 else -1


@pytest.mark.parametrize("seed", range(3))
def test_pairwise_accuracy_is_a_count_over_pairs_at_the_best_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 3, size=36).astype(float)
    judge = people + rng.normal(size=36)
    groups = [f"p{i // 4}" for i in range(36)]
    pairs = pairs_of(judge.tolist(), groups)
    assert set(pairs) == {(i, j) for i, j in itertools.combinations(range(36), 2) if groups[i] == groups[j]}
    d, h = [judge[i] - judge[j] for i, j in pairs], [people[i] - people[j] for i, j in pairs]
    clusters = [groups[i] for i, _ in pairs]

    def count(rows: list[int], tie: float) -> float:
        return sum(said(d[p], tie) == said(h[p], 0.0) for p in rows) / len(rows)

    every = list(range(len(pairs)))
    ties = sorted({0.0, *(abs(each) for each in d)})
    best = max(ties, key=lambda tie: (count(every, tie), -tie))
    found = pairwise_accuracy(d, h, clusters, HOW)
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(count(every, best)) and found.tie == pytest.approx(best)
    assert (found.num_pairs, found.num_ties) == (len(pairs), sum(each == 0 for each in h))
    per_draw = []
    for row in drawn(9):
        rows = [p for prompt in row for p in every if clusters[p] == f"p{prompt}"]
        per_draw.append(max(count(rows, tie) for tie in ties))
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(ends(per_draw, 9))
    fixed = pairwise_accuracy(d, h, clusters, HOW, tie=0.3)
    assert fixed.accuracy is not None and fixed.accuracy.value == pytest.approx(count(every, 0.3)) and fixed.tie == 0.3


def test_a_tie_counts_when_both_say_it_and_only_then() -> None:
    clusters = list("abcd")
    both = pairwise_accuracy([0.0, 1.0, -1.0, 0.0], [0.0, 1.0, -1.0, 1.0], clusters, HOW, tie=0.0)
    assert both.accuracy is not None and both.accuracy.value == 0.75 and both.num_ties == 1
    assert pairwise_accuracy([], [], [], HOW).accuracy is None


def test_fleiss_kappa_is_that_of_the_publication() -> None:
    # Fleiss 1971, table 1, as it is reproduced in textbooks: ten subjects, fourteen raters, five answers.
    rows = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    counts = np.array(rows, float)
    found = fleiss_kappa(counts, [str(i) for i in range(10)], HOW)
    assert found is not None and found.value == pytest.approx(0.210, abs=5e-4)
    assert found.low < found.value < found.high
    alone = np.vstack([counts, [[0, 0, 0, 0, 1.0]]])
    again = fleiss_kappa(alone, [str(i) for i in range(11)], HOW)
    assert again == found, "an item with one answer tells nothing about agreement"


def test_fleiss_kappa_of_two_people_on_some_items_and_three_on_others() -> None:
    votes = [("y", "y"), ("y", "n", "n"), ("n", "n"), ("y", "y", "n"), ("n", "y")]
    counts = np.array([[each.count("y"), each.count("n")] for each in votes], float)
    agreed = np.mean([np.mean([a == b for a, b in itertools.permutations(each, 2)]) for each in votes])
    shares = [sum(each.count(word) for each in votes) / sum(map(len, votes)) for word in "yn"]
    chance = sum(share**2 for share in shares)
    found = fleiss_kappa(counts, list("abcde"), HOW)
    assert found is not None and found.value == pytest.approx((agreed - chance) / (1 - chance))
    assert fleiss_kappa(np.array([[2.0, 0.0], [3.0, 0.0]]), ["a", "b"], HOW) is None


# ---------------------------------------------------------------------------------------------- alpha and kappa


def test_krippendorffs_alpha_by_the_coincidences_of_his_own_example() -> None:
    """The nominal example of Krippendorff 2011, "Computing Krippendorff's alpha-reliability": 0.743 with gaps."""
    rows = {
        "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    }
    counts = np.zeros((12, 5))
    for row in rows.values():
        for unit, value in enumerate(row):
            if value is not None:
                counts[unit, value - 1] += 1
    found = krippendorff_alpha(counts, [f"p{i}" for i in range(12)], HOW)
    assert found is not None and found.value == pytest.approx(0.743, abs=5e-4)
    assert found.low < found.value < found.high


def test_alpha_against_all_pairs_of_votes() -> None:
    rng = np.random.default_rng(5)
    votes = [list(rng.integers(0, 3, size=n)) for n in (2, 3, 4, 2, 5, 3)]
    pool = [vote for unit in votes for vote in unit]
    observed = sum(
        (a != b) / (len(unit) - 1) for unit in votes for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j
    ) / len(pool)
    expected = sum(a != b for i, a in enumerate(pool) for j, b in enumerate(pool) if i != j) / (
        len(pool) * (len(pool) - 1)
    )
    counts = np.array([[unit.count(k) for k in range(3)] for unit in votes], float)
    found = krippendorff_alpha(counts, list("abcdef"), HOW)
    assert found is not None and found.value == pytest.approx(1 - observed / expected)


def test_cohens_kappa_of_a_table_by_hand() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: agreement 0.7, chance 0.5, kappa 0.4."""
    a = [1] * 25 + [0] * 25
    b = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    found = cohen_kappa(a, b, [f"p{i}" for i in range(50)], HOW)
    assert found is not None and found.value == pytest.approx(0.4)
    assert cohen_kappa([1, 1, 1], [1, 1, 1], list("abc"), HOW) is None, "nothing but one answer: no chance to beat"
    assert cohen_kappa([], [], [], HOW) is None

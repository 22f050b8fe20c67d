"""Agreement of judge and measurer, against scipy and by counting pairs; intervals are clustered by prompt."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import rankdata, spearmanr

from rushes.judge.agreement import ScoreAgreement, accuracy, auc, average_ranks, rank_correlation, score_agreement
from rushes.records import Measurement, Score
from tests.support.judged import make_clip, make_measurement, make_prompt, make_score

Floats = npt.NDArray[np.float64]


def tied(seed: int, num: int = 60) -> tuple[Floats, Floats]:
    """Two related columns of scores with many ties."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, num) / 4
    return np.clip(np.round(truth + rng.normal(0, 0.3, num), 1), 0, 1), truth


@pytest.mark.parametrize("seed", range(5))
def test_statistics_are_those_of_an_independent_computation(seed: int) -> None:
    judge, measurer = tied(seed)
    good = [j for j, m in zip(judge, measurer, strict=True) if m >= 0.5]
    bad = [j for j, m in zip(judge, measurer, strict=True) if m < 0.5]
    wins = [1.0 if g > b else 0.5 if g == b else 0.0 for g, b in product(good, bad)]
    assert auc(judge, measurer) == pytest.approx(sum(wins) / len(wins))
    assert rank_correlation(judge, measurer) == pytest.approx(spearmanr(judge, measurer).statistic)
    same = [(j >= 0.5) == (m >= 0.5) for j, m in zip(judge, measurer, strict=True)]
    assert accuracy(judge, measurer) == pytest.approx(sum(same) / len(same))
    assert average_ranks(judge).tolist() == rankdata(judge).tolist()


def test_what_is_undefined_is_none() -> None:
    judge = np.array([0.1, 0.5, 0.9])
    assert auc(judge, np.ones(3)) is None
    assert auc(judge, np.zeros(3)) is None
    assert rank_correlation(judge, np.full(3, 0.7)) is None
    assert rank_correlation(judge, -judge) == pytest.approx(-1.0)


def records(
    judge: Floats, measurer: Floats, takes: int, dimension: str = "Mechanics"
) -> tuple[list[Score], list[Measurement]]:
    clips = [
        make_clip(make_prompt(f"{dimension} {i // takes}", dimension=dimension), i % takes) for i in range(len(judge))
    ]
    scores = [make_score(clip, float(j)) for clip, j in zip(clips, judge, strict=True)]
    return scores, [make_measurement(clip, float(m)) for clip, m in zip(clips, measurer, strict=True)]


def only(rows: tuple[ScoreAgreement, ...], dimension: str | None) -> ScoreAgreement:
    (row,) = [row for row in rows if row.dimension == dimension]
    return row


def test_a_row_per_dimension_and_one_over_all() -> None:
    judge, measurer = tied(0)
    scores, measurements = records(judge[:40], measurer[:40], 4, "Mechanics")
    more, also = records(judge[40:], measurer[40:], 2, "Composition")
    rows = score_agreement([*scores, *more], [*measurements, *also], num_bootstrap=50)
    assert [row.dimension for row in rows] == ["Composition", "Mechanics", None]
    row = only(rows, "Mechanics")
    assert (row.num_clips, row.num_prompts, row.num_left_out) == (40, 10, 0)
    assert row.accuracy.value == pytest.approx(accuracy(judge[:40], measurer[:40]))
    assert row.auc is not None and row.auc.value == pytest.approx(auc(judge[:40], measurer[:40]))
    assert (row.judge_mean, row.measurer_mean) == pytest.approx((judge[:40].mean(), measurer[:40].mean()))
    everything = only(rows, None)
    assert (everything.num_clips, everything.num_prompts) == (60, 20)
    assert everything.rank_correlation is not None
    assert everything.rank_correlation.value == pytest.approx(spearmanr(judge, measurer).statistic)


def test_unscored_clips_are_left_out_and_counted() -> None:
    prompt = make_prompt("p")
    clips = [make_clip(prompt, take) for take in range(4)]
    scores = [make_score(clip, value) for clip, value in zip(clips, [0.9, 0.2, None, 0.7], strict=True)]
    measurements = [make_measurement(clip, value) for clip, value in zip(clips, [1.0, 0.0, 1.0, None], strict=True)]
    row = only(score_agreement(scores, measurements, num_bootstrap=20), "Mechanics")
    assert (row.num_clips, row.num_left_out, row.accuracy.value) == (2, 2, 1.0)


def test_clips_that_only_one_saw_groups_and_other_dimensions_are_not_compared() -> None:
    prompt = make_prompt("p")
    first, second = make_clip(prompt, 0), make_clip(prompt, 1)
    group = make_measurement(first, 0.5).model_copy(update={"subject": (first.key, second.key)})
    elsewhere = make_measurement(second, 0.5).model_copy(update={"dimension": "Composition"})
    assert score_agreement([make_score(first, 0.5), make_score(second, 0.5)], [group, elsewhere]) == ()
    assert score_agreement([make_score(first, None)], [make_measurement(first, 0.5)]) == ()


def test_order_changes_nothing_and_the_seed_decides() -> None:
    scores, measurements = records(*tied(1), takes=3)
    rows = score_agreement(scores, measurements, num_bootstrap=100)
    assert score_agreement(scores[::-1], measurements[::-1], num_bootstrap=100) == rows
    assert score_agreement(scores, measurements, num_bootstrap=100, seed=1) != rows


def width(row: ScoreAgreement) -> float:
    return row.accuracy.high - row.accuracy.low


def test_takes_that_repeat_their_prompt_add_no_certainty() -> None:
    rng = np.random.default_rng(2)
    right = rng.random(25) < 0.7
    judge = np.where(right, 0.9, 0.1).repeat(16)
    measurer = np.ones(25 * 16)
    clustered = only(score_agreement(*records(judge, measurer, takes=16), num_bootstrap=400), "Mechanics")
    as_if_independent = only(score_agreement(*records(judge, measurer, takes=1), num_bootstrap=400), "Mechanics")
    assert clustered.accuracy.value == as_if_independent.accuracy.value
    p = right.mean()
    assert width(clustered) == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 25), rel=0.25)
    assert width(clustered) > 3 * width(as_if_independent)
    assert clustered.auc is None

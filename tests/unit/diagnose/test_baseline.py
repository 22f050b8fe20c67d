"""Baselines: means per dimension with intervals; what has no score is reported, never 0."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import sem, t

from rushes.diagnose import baseline
from rushes.records import Measurement, Outcome, Scored, Unscored
from rushes.store.identity import content_hash


def measurement(
    value: float | None, *, prompt: str = "p", take: int = 0, dimension: str = "Mechanics", group: int = 1
) -> Measurement:
    outcome: Outcome = Scored(value=value) if value is not None else Unscored(reason="nothing was seen")
    return Measurement(
        key=content_hash([dimension, prompt, take]),
        subject=tuple(content_hash(["clip", dimension, prompt, take, i]) for i in range(group)),
        dimension=dimension,
        prompt_key=content_hash(["prompt", prompt]),
        measurer="test",
        outcome=outcome,
    )


def test_the_interval_is_about_the_t_interval_of_prompt_means() -> None:
    values = np.random.default_rng(3).uniform(0.2, 0.9, size=40)
    (only,) = baseline([measurement(float(v), prompt=f"p{i}") for i, v in enumerate(values)]).measured
    low, high = t.interval(0.95, 39, values.mean(), sem(values))
    assert only.mean == pytest.approx(values.mean())
    assert (only.low, only.high) == pytest.approx((low, high), abs=0.02)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_agreement_of_all_prompts_is_not_certainty(value: float) -> None:
    (only,) = baseline([measurement(value, prompt=f"p{i}") for i in range(12)]).measured
    assert only.mean == value
    assert 0.0 <= only.low <= value <= only.high <= 1.0
    assert only.high - only.low > 0.05


def test_one_prompt_tells_nothing_about_others() -> None:
    (only,) = baseline([measurement(1.0, take=0), measurement(0.5, take=1)]).measured
    assert (only.mean, only.low, only.high, only.num_prompts, only.num_measured) == (0.75, 0.0, 1.0, 1, 2)


def test_each_prompt_counts_once_however_many_takes_it_has() -> None:
    found = baseline(
        [
            measurement(1.0, prompt="a", take=0),
            measurement(1.0, prompt="a", take=1),
            measurement(1.0, prompt="a", take=2),
            measurement(0.0, prompt="b"),
        ]
    )
    (only,) = found.measured
    assert only.mean == 0.5
    assert (only.num_prompts, only.num_measured, only.num_unscored) == (2, 4, 0)


def test_unscored_is_left_out_and_counted_never_zero() -> None:
    found = baseline([measurement(1.0, prompt="a"), measurement(None, prompt="b"), measurement(None, prompt="c")])
    (only,) = found.measured
    assert (only.mean, only.num_prompts, only.num_unscored) == (1.0, 1, 2)


def test_a_dimension_without_any_score_is_reported_with_its_reasons() -> None:
    found = baseline([measurement(None), measurement(1.0, dimension="Composition")], ["Camera_Motion", "Composition"])
    assert [each.dimension for each in found.measured] == ["Composition"]
    assert {each.dimension: each.reason for each in found.unmeasured} == {
        "Camera_Motion": "no clip was measured",
        "Mechanics": "1 x nothing was seen",
    }


def test_groups_are_marked() -> None:
    found = baseline([measurement(0.3, dimension="Diversity", group=6), measurement(0.3)])
    assert {each.dimension: each.group for each in found.measured} == {"Diversity": True, "Mechanics": False}


def test_order_changes_nothing() -> None:
    rng = random.Random(0)
    measurements = [
        measurement(rng.random(), prompt=f"p{i % 7}", take=i, dimension=("Mechanics", "Composition")[i % 2])
        for i in range(60)
    ]
    shuffled = rng.sample(measurements, len(measurements))
    assert baseline(shuffled) == baseline(measurements)
    assert shuffled != measurements

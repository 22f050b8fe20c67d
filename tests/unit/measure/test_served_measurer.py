"""Reward models as measurers: values become numbers from 0 to 1 by the stated rule, and nothing else does."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from rushes.feedback import ScaleValue
from rushes.measure.served import ServedMeasurerSpec, Share, share_of
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Part, Scored, Unscored
from rushes.roles import Failed, Subject, Video
from tests.support import odd_reward

ENDS, CURVE = Share(lowest=1.0, highest=5.0), Share(middle=2.0, spread=0.5)
VIDEO = Video(np.zeros((3, 32, 48, 3), np.uint8), 8.0)


def test_a_scale_with_ends() -> None:
    assert [ENDS.of(value) for value in (1.0, 2.0, 5.0)] == [0.0, 0.25, 1.0]
    assert ENDS.of(0.999) is None and ENDS.of(5.001) is None, "never clipped"


def test_a_scale_without_ends() -> None:
    assert CURVE.of(2.0) == 0.5 and CURVE.of(2.5) == pytest.approx(1 / (1 + math.exp(-1)))
    assert CURVE.of(-1e9) == 0.0 and CURVE.of(1e9) == 1.0


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"lowest": 1.0},
        {"lowest": 5.0, "highest": 1.0},
        {"middle": 0.0},
        {"middle": 0.0, "spread": 0.0},
        {"lowest": 0.0, "highest": 1.0, "middle": 0.0, "spread": 1.0},
        {"lowest": 0.0, "spread": 1.0},
    ],
)
def test_what_is_no_rule(rule: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Share.model_validate(rule)


def test_the_mean_of_the_scales_with_their_parts() -> None:
    found = share_of([ScaleValue("a", 2.0), ScaleValue("b", 2.0)], {"a": ENDS, "b": CURVE})
    assert found == Scored(value=0.375, parts=(Part(name="a", value=0.25), Part(name="b", value=0.5)))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (ScaleValue("a", None, "no face"), "no value on a: no face"),
        (ScaleValue("a", 7.0), "no value on a: 7.0 is outside 1.0 to 5.0"),
        (ScaleValue("a", math.nan), "no value on a: the value on a must be a finite number, got nan"),
    ],
)
def test_one_scale_without_a_value_leaves_none(value: ScaleValue, says: str) -> None:
    assert share_of([value, ScaleValue("b", 2.0)], {"a": ENDS, "b": CURVE}) == Unscored(reason=says)


def test_a_measurer_over_a_server() -> None:
    scales = {"VQ": {"lowest": 0, "highest": 1}, "TA": {"middle": -1.5, "spread": 1}}
    spec = ServedMeasurerSpec.model_validate({"server": "fake", "model": "fake/one@1", "scales": scales})
    runtime = RuntimeSpec.model_validate(
        {"rewards": {"fake": {"command": f"{sys.executable} {odd_reward.__file__} good"}}}
    )
    one, two = (Subject("Mechanics", "a text", (), (VIDEO,) * num) for num in (1, 2))
    alone, pair = spec.build(runtime).measure([one, two])
    assert not isinstance(alone, Failed) and alone == Scored(
        value=0.55, parts=(Part(name="VQ", value=0.6), Part(name="TA", value=0.5))
    )
    assert isinstance(pair, Unscored) and "one clip at a time" in pair.reason
    assert list(spec.unmeasured(["Mechanics", "Diversity"])) == ["Diversity"]
    assert spec.sees_with("Mechanics") == {"one"}, "without owner and revision"

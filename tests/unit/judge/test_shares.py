"""Scales in shares: their scores need no standardising, mix with answers, and never leave 0 to 1."""

from __future__ import annotations

from typing import ClassVar

import pytest

from rushes.feedback import SHARE, Gives, Scale
from rushes.judge.ratings import gives_shares, outcome_of_values
from rushes.judge.reward import rewards
from rushes.recipe.plugin import PluginSpec
from rushes.records import Part, Rating, Score, Scored
from rushes.roles import Runtime, Spec
from tests.support.sandbox_recipe import judge_spec

KEY = "0" * 64


class SharesSpec(Spec):
    """Two scales in shares."""

    spec_name: ClassVar[str] = "tests.shares"
    gives: ClassVar[Gives] = "scores"
    scales: ClassVar[tuple[Scale, ...]] = (Scale(name="a", unit=SHARE), Scale(name="b", unit=SHARE))

    def build(self, runtime: Runtime) -> None: ...


class MixedSpec(SharesSpec):
    """One in shares and one in points."""

    spec_name: ClassVar[str] = "tests.mixed"
    scales: ClassVar[tuple[Scale, ...]] = (Scale(name="a", unit=SHARE), Scale(name="b", unit="points"))


def rating(scale: str, value: float, unit: str = SHARE) -> Rating:
    return Rating(key=KEY, clip_key=KEY, scale=scale, unit=unit, value=value, judge="j")


def test_the_score_of_shares_is_one() -> None:
    found = outcome_of_values({"a": rating("a", 0.25), "b": rating("b", 1.0)}, {"a": 1.0, "b": 2.0})
    assert found == Scored(value=0.75, parts=(Part(name="a", value=0.25), Part(name="b", value=1.0)))


@pytest.mark.parametrize(
    ("name", "scales", "shares"),
    [
        ("SharesSpec", {}, True),
        ("MixedSpec", {}, False),
        ("MixedSpec", {"a": 1.0}, True),
        ("MixedSpec", {"b": 1.0}, False),
    ],
)
def test_only_the_scales_that_count_decide(name: str, scales: dict[str, float], shares: bool) -> None:
    judge = judge_spec(judge=PluginSpec(use=f"{__name__}:{name}"), scales=scales)
    assert gives_shares(judge) is shares


def test_answers_are_shares() -> None:
    assert gives_shares(judge_spec())


def test_rewards_of_shares_are_the_scores() -> None:
    judge = judge_spec(judge=PluginSpec(use=f"{__name__}:SharesSpec"))
    scores = [
        Score(clip_key=f"{i}" * 64, prompt_key=KEY, dimension="Composition", outcome=Scored(value=value))
        for i, value in enumerate((0.2, 0.9))
    ]
    assert list(rewards(scores, judge)) == scores

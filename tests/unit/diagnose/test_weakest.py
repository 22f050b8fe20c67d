"""Focus: ranked by gap, the user's word respected, groups and the unscored never chosen, every prompt handed out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

import pytest
from pydantic import ValidationError

from rushes.diagnose import apportion, baseline, weakest
from rushes.diagnose.baseline import picked
from rushes.diagnose.weakest import NAMED_FLOOR
from rushes.errors import RecipeError, UserError
from rushes.records import Measurement, Outcome, Score, Scored, Unscored
from rushes.store.identity import content_hash
from tests.support.sandbox_recipe import diagnose_spec


def measured(**means: float | None) -> list[Measurement]:
    """Ten measurements of each dimension with that mean; None for unscored ones."""
    return [_one(name, mean, i) for name, mean in means.items() for i in range(10)]


def _one(dimension: str, value: float | None, i: int) -> Measurement:
    outcome: Outcome = Scored(value=value) if value is not None else Unscored(reason="too dark")
    num_clips = 4 if dimension == "Diversity" else 1
    return Measurement(
        key=content_hash([dimension, i]),
        subject=tuple(content_hash(["clip", dimension, i, k]) for k in range(num_clips)),
        dimension=dimension,
        prompt_key=content_hash(["prompt", dimension, i]),
        measurer="test",
        outcome=outcome,
    )


PROBES = measured(Composition=0.9, Mechanics=0.4, Camera_Motion=0.7, Motion_Rationality=0.2, Diversity=0.05)


def test_the_widest_gaps_are_chosen_with_shares_in_proportion() -> None:
    focus = weakest(PROBES, diagnose_spec(num_focus=3), num_prompts=100)
    assert [each.dimension for each in focus] == ["Motion_Rationality", "Mechanics", "Camera_Motion"]
    assert [each.gap for each in focus] == pytest.approx([0.8, 0.6, 0.3])
    assert [each.share for each in focus] == pytest.approx([0.8 / 1.7, 0.6 / 1.7, 0.3 / 1.7])
    assert [each.num_prompts for each in focus] == [47, 35, 18]  # quotas 47.06, 35.29, 17.65
    by_name = {each.dimension: each for each in baseline(PROBES).measured}
    for each in focus:
        known = by_name[each.dimension]
        assert (each.baseline, each.low, each.high) == (known.mean, known.low, known.high)
    assert focus[0].reason == "widest gap to 1 of 4 dimensions"


def test_the_target_moves_the_gap_and_what_reached_it_is_not_weak() -> None:
    focus = weakest(PROBES, diagnose_spec(num_focus=4, target=0.7), num_prompts=8)
    assert [(each.dimension, round(each.gap, 9)) for each in focus] == [("Motion_Rationality", 0.5), ("Mechanics", 0.3)]
    assert [each.num_prompts for each in focus] == [5, 3]


def test_nothing_weak_is_said_rather_than_trained() -> None:
    with pytest.raises(UserError, match=r"reached the target 0\.1") as caught:
        weakest(PROBES, diagnose_spec(target=0.1), num_prompts=8)
    assert "diagnose.target" in (caught.value.next_step or "")


def test_groups_are_never_chosen_even_when_weakest() -> None:
    focus = weakest(PROBES, diagnose_spec(num_focus=20), num_prompts=8)
    assert "Diversity" not in {each.dimension for each in focus}


def test_the_unscored_are_reported_not_chosen() -> None:
    probes = [*measured(Mechanics=0.5, Composition=0.8), *measured(Camera_Motion=None)]
    assert [each.dimension for each in weakest(probes, diagnose_spec(num_focus=8), 4)] == ["Mechanics", "Composition"]
    assert {each.dimension: each.reason for each in baseline(probes).unmeasured} == {"Camera_Motion": "10 x too dark"}
    with pytest.raises(UserError, match="no dimension could be measured"):
        weakest(measured(Camera_Motion=None), diagnose_spec(), 4)
    with pytest.raises(UserError, match="no dimension could be measured"):
        weakest([], diagnose_spec(), 4)


def test_only_probed_dimensions_are_chosen() -> None:
    focus = weakest(PROBES, diagnose_spec(dimensions=("Composition", "Camera_Motion")), num_prompts=8)
    assert [each.dimension for each in focus] == ["Camera_Motion", "Composition"]


def test_equal_gaps_keep_the_catalogues_order_whatever_the_order_of_measurements() -> None:
    probes = measured(Motion_Rationality=0.5, Composition=0.5, Mechanics=0.5)
    chosen = {
        tuple(each.dimension for each in weakest(random.Random(seed).sample(probes, 30), diagnose_spec(num_focus=2), 5))
        for seed in range(8)
    }
    assert chosen == {("Composition", "Mechanics")}


class TestHeadroom:
    """What the model's own best takes reach decides, where the recipe says so."""

    SPEC = diagnose_spec(choose="headroom", num_takes=4, num_focus=2)

    @staticmethod
    def takes(**rights: Sequence[int]) -> list[Measurement]:
        """Four takes of each prompt of a dimension, of which so many are right."""
        return [
            _one(name, float(k < right), i).model_copy(update={"key": content_hash([name, i, k])})
            for name, counts in rights.items()
            for i, right in enumerate(counts)
            for k in range(4)
        ]

    def test_a_dimension_that_is_never_right_is_not_chosen(self) -> None:
        probes = self.takes(Composition=[0, 0, 0], Mechanics=[1, 3, 2], Camera_Motion=[4, 3, 3])
        focus = weakest(probes, self.SPEC, num_prompts=10)
        assert [each.dimension for each in focus] == ["Mechanics", "Camera_Motion"]
        # (1 - 1/4), (1 - 3/4) and (1 - 2/4); (1 - 1) and twice (1 - 3/4)
        assert [each.headroom for each in focus] == [0.5, pytest.approx(1 / 6)]
        # s = 1/4 and sqrt(1/48) over three prompts: 0.5 - 0.144 and 0.167 - 0.083 to win
        assert [each.headroom_error for each in focus] == pytest.approx([0.25 / 3**0.5, 1 / 12])
        assert [each.num_prompts for each in focus] == [8, 2]
        assert focus[0].reason == (
            "most of 3 dimensions by what the best of 4 takes gains over their mean, less its error"
        )
        assert weakest(probes, diagnose_spec(num_focus=1), 10)[0].dimension == "Composition"

    def test_a_lucky_take_in_a_few_prompts_counts_less_than_a_steady_gain(self) -> None:
        probes = self.takes(Composition=[1, 0, 0, 1, 0], Mechanics=[3, 3, 3, 3, 3])
        wide = {each.dimension: each for each in baseline(probes).measured}
        assert wide["Composition"].headroom == pytest.approx(0.3)  # above 0.25, by two takes of twenty
        [focus] = weakest(probes, self.SPEC.model_copy(update={"num_focus": 1}), 4)
        assert focus.dimension == "Mechanics"

    def test_one_prompt_has_no_error_and_shows_nothing(self) -> None:
        with pytest.raises(UserError, match="nothing to learn from") as caught:
            weakest(self.takes(Composition=[1], Mechanics=[4, 4, 3]), self.SPEC.model_copy(update={"target": 0.8}), 4)
        assert "no two prompts with two takes to compare" in str(caught.value)
        assert "+0.083 with a standard error of 0.083" in str(caught.value)
        with pytest.raises(ValidationError, match="num_prompts to 2 or more"):
            diagnose_spec(choose="headroom", num_takes=4, num_prompts=1)

    def test_no_more_than_the_gap_to_the_target_counts(self) -> None:
        probes = self.takes(Mechanics=[3, 3, 3], Camera_Motion=[1, 1, 2])
        by_name = {each.dimension: each for each in weakest(probes, self.SPEC.model_copy(update={"target": 0.8}), 100)}
        assert by_name["Mechanics"].headroom == 0.25  # of which 0.05 are below the target
        assert by_name["Mechanics"].share == pytest.approx(0.05 / (0.05 + 0.8 - 1 / 3))

    def test_what_is_hardly_ever_right_is_chosen_by_name_only(self) -> None:
        probes = self.takes(Composition=[1, 1, 0, 1], Mechanics=[3, 2, 3, 4])
        bounded = self.SPEC.model_copy(update={"min_score": 0.25})
        assert [each.dimension for each in weakest(probes, self.SPEC, 4)] == ["Composition", "Mechanics"]
        assert [each.dimension for each in weakest(probes, bounded, 4)] == ["Mechanics"]
        assert weakest(probes, bounded.model_copy(update={"focus": ("Composition",)}), 4)[0].dimension == "Composition"
        with pytest.raises(UserError, match=r"below diagnose.min_score: 0.9"):
            weakest(probes, self.SPEC.model_copy(update={"min_score": 0.9}), 4)

    def test_nothing_to_learn_from_is_said(self) -> None:
        with pytest.raises(UserError, match="nothing to learn from") as caught:
            weakest(self.takes(Composition=[0, 0], Mechanics=[0, 4]), self.SPEC, 4)
        assert "num_takes" in (caught.value.next_step or "")

    def test_one_take_shows_no_headroom(self) -> None:
        assert {each.headroom for each in baseline(PROBES).measured} == {None}
        with pytest.raises(ValidationError, match="num_takes to 2 or more"):
            diagnose_spec(choose="headroom")


class TestPicked:
    """What the judge's choice among the takes gains decides, where the recipe says so."""

    SPEC = diagnose_spec(choose="picked", num_takes=4, num_focus=2)

    @staticmethod
    def seen(
        **takes: tuple[Sequence[float], Sequence[float | None]],
    ) -> tuple[list[Measurement], list[Score]]:
        """Two prompts alike per dimension: what the measurer and what the judge says of their takes."""
        measurements: list[Measurement] = []
        scores: list[Score] = []
        for name, (values, likes) in takes.items():
            for i, (k, (value, like)) in product(range(2), enumerate(zip(values, likes, strict=True))):
                one = _one(name, value, i)
                clip = content_hash(["clip", name, i, k])
                measurements.append(one.model_copy(update={"key": content_hash([name, i, k]), "subject": (clip,)}))
                outcome = Unscored(reason="dark") if like is None else Scored(value=like)
                scores.append(Score(clip_key=clip, prompt_key=one.prompt_key, dimension=name, outcome=outcome))
        return measurements, scores

    def test_a_dimension_that_the_judge_cannot_tell_is_not_chosen(self) -> None:
        probes, scores = self.seen(
            Composition=([1, 0, 0, 0], [0.2, 0.9, 0.1, 0.1]),
            Mechanics=([1, 0, 0, 1], [0.9, 0.2, 0.3, 0.8]),
            Camera_Motion=([1, 0, 1, 1], [0.7, 0.1, 0.7, 0.7]),
        )
        focus = weakest(probes, self.SPEC, 9, scores)
        assert [each.dimension for each in focus] == ["Mechanics", "Camera_Motion"]
        assert [each.picked for each in focus] == pytest.approx([1 - 1 / 2, 1 - 3 / 4])
        assert [each.num_prompts for each in focus] == [6, 3]
        assert [each.picked_error for each in focus] == [0.0, 0.0]
        assert focus[0].reason == (
            "most of 3 dimensions by what the judge's favourite of 4 takes gains over their mean, less its error"
        )
        by_name = {each.dimension: each.picked for each in baseline(probes, (), scores).measured}
        assert by_name["Composition"] == pytest.approx(-1 / 4)

    def test_takes_liked_alike_say_nothing_and_unscored_ones_are_left_out(self) -> None:
        values, prompts = [1.0, 0.0, 0.0, 1.0], ["a"] * 4
        assert picked(values, prompts, [0.5] * 4) == [0.0]
        assert picked(values, prompts, [None, 0.9, 0.1, 0.8]) == pytest.approx([0 - 1 / 3])
        assert picked(values, prompts, [0.9, None, None, None]) == []
        assert picked(values, ["a", "a", "b", "b"], [0.9, 0.1, 0.9, 0.1]) == pytest.approx([0.5, -0.5])

    def test_without_a_judge_there_is_nothing_picked(self) -> None:
        assert {each.picked for each in baseline(PROBES).measured} == {None}
        with pytest.raises(ValidationError, match="num_takes to 2 or more"):
            diagnose_spec(choose="picked")


class TestNamedByTheUser:
    def test_the_users_focus_is_taken_in_the_users_order(self) -> None:
        focus = weakest(PROBES, diagnose_spec(focus=("Camera_Motion", "Mechanics"), num_focus=1), num_prompts=30)
        assert [each.dimension for each in focus] == ["Camera_Motion", "Mechanics"]
        assert [each.num_prompts for each in focus] == [10, 20]
        assert focus[0].reason == "named in the recipe; gap number 3, widest first, to 1 of 4 dimensions"

    def test_a_named_dimension_at_the_target_still_gets_a_little(self) -> None:
        probes = measured(Composition=1.0, Mechanics=0.0)
        first, second = weakest(probes, diagnose_spec(focus=("Composition", "Mechanics")), num_prompts=110)
        assert (first.gap, first.num_prompts, second.num_prompts) == (0.0, 10, 100)
        assert first.share == pytest.approx(NAMED_FLOOR / (1 + NAMED_FLOOR))

    def test_all_at_the_target_share_evenly(self) -> None:
        probes = measured(Composition=1.0, Mechanics=1.0)
        focus = weakest(probes, diagnose_spec(focus=("Mechanics", "Composition")), num_prompts=7)
        assert [(each.share, each.num_prompts) for each in focus] == [(0.5, 4), (0.5, 3)]

    def test_a_named_dimension_without_a_score_is_refused_with_the_measurers_reason(self) -> None:
        probes = [*measured(Mechanics=0.5), *measured(Camera_Motion=None)]
        with pytest.raises(UserError, match=r"'Camera_Motion' of diagnose\.focus has no score") as caught:
            weakest(probes, diagnose_spec(focus=("Camera_Motion",)), 4)
        assert caught.value.got_repr == "'10 x too dark'"

    def test_an_unknown_name_and_a_group_are_refused(self) -> None:
        with pytest.raises(RecipeError, match="no such dimension"):
            weakest(PROBES, diagnose_spec(focus=("Mechanic",)), 4)
        with pytest.raises(RecipeError, match="Diversity"):
            weakest(PROBES, diagnose_spec(focus=("Diversity",)), 4)


class TestApportion:
    def test_every_prompt_is_handed_out_within_one_of_its_quota(self) -> None:
        rng = random.Random(1)
        for _ in range(500):
            weights = [rng.choice([0.0, rng.random(), rng.random() ** 9]) for _ in range(rng.randint(1, 9))]
            weights[rng.randrange(len(weights))] = 1.0
            total = rng.choice([0, 1, 2, 7, 192, 10_000])
            counts = apportion(weights, total)
            assert sum(counts) == total
            for weight, count in zip(weights, counts, strict=True):
                assert abs(count - total * weight / sum(weights)) < 1 + 1e-9
                assert weight > 0 or count == 0

    def test_largest_remainders_by_hand(self) -> None:
        assert apportion([47.0, 16.0, 15.8, 12.0, 6.1, 3.1], 10) == (5, 2, 1, 1, 1, 0)
        assert apportion([1.0, 1.0, 1.0], 2) == (1, 1, 0)

    @pytest.mark.parametrize(
        ("weights", "total"), [([0.0, 0.0], 3), ([], 3), ([-1.0, 2.0], 3), ([float("nan")], 3), ([1.0], -1)]
    )
    def test_what_cannot_be_apportioned_is_refused(self, weights: list[float], total: int) -> None:
        with pytest.raises(ValueError, match="expected weights"):
            apportion(weights, total)

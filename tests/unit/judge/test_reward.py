"""Scores on any scale become rewards that can be weighed together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from rushes.judge.reward import FLOOR, NO_DIFFERENCE, num_skipped, rewards
from rushes.judge.votes import WINS
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.weights import WeightsSpec
from rushes.records import Part, Score, Scored, Unscored
from rushes.weights.report import report_weights
from rushes.weights.weigh import weighed
from tests.support.judged import make_clip, make_prompt, make_score

RATER = "tests.support.raters:RaterSpec"
CHOOSER = "tests.support.raters:ChooserSpec"


def judge(use: str = RATER, repeat_error: float | None = None, **changes: object) -> JudgeSpec:
    options = {} if repeat_error is None else {"repeat_error": repeat_error}
    return JudgeSpec.model_validate({"judge": PluginSpec(use=use, options=options).model_dump(), **changes})


def rated(prompt: str, *takes: tuple[float, float], dimension: str = "Mechanics") -> list[Score]:
    """Scores of takes of one prompt by their values on `look` and `motion`."""
    made = make_prompt(prompt, dimension=dimension)
    scores = []
    for number, (look, motion) in enumerate(takes):
        parts = (Part(name="look", value=look, unit="points"), Part(name="motion", value=motion, unit="points of 10"))
        outcome = Scored(value=(look + motion) / 2, unit="mean", parts=parts)
        scores.append(make_score(make_clip(made, number), 0.0).model_copy(update={"outcome": outcome}))
    return scores


def values(scores: Sequence[Score]) -> list[float | None]:
    return [each.outcome.value if isinstance(each.outcome, Scored) else None for each in scores]


def reasons(scores: Sequence[Score]) -> list[str | None]:
    return [each.outcome.reason if isinstance(each.outcome, Unscored) else None for each in scores]


def z(x: Sequence[float], floor: float = 0.0) -> list[float]:
    mean = sum(x) / len(x)
    spread = math.sqrt(sum((each - mean) ** 2 for each in x) / len(x))
    return [(each - mean) / max(spread, floor) for each in x]


def test_scores_of_answers_stay_as_they_are() -> None:
    clips = [make_clip(make_prompt("a"), take) for take in range(3)]
    scores = [make_score(clip, value) for clip, value in zip(clips, (0.2, None, 0.2), strict=True)]
    assert rewards(scores, judge(CHOOSER)) == tuple(scores)


def test_each_scale_counts_in_its_spread_among_the_takes_of_a_prompt() -> None:
    scores = [*rated("a", (-3, 2), (5, 4), (1, 9)), *rated("b", (0, 1), (4, 3))]
    found = values(rewards(scores, judge(scales={"look": 2.0, "motion": 1.0})))
    look, motion = z((-3, 5, 1)), z((2, 4, 9))
    assert found[:3] == pytest.approx([(2 * a + b) / 3 for a, b in zip(look, motion, strict=True)])
    assert found[3:] == pytest.approx([-1.0, 1.0])


def test_scales_that_the_recipe_does_not_name_do_not_count() -> None:
    scores = rated("a", (-3, 9), (5, 0))
    assert values(rewards(scores, judge(scales={"look": 1.0}))) == pytest.approx([-1, 1])


def test_the_mean_of_values_is_one_scale() -> None:
    scores = rated("a", (-3, 2), (5, 4), (1, 9))
    assert values(rewards(scores, judge(combine="mean"))) == pytest.approx(z((-0.5, 4.5, 5.0)))


def test_takes_that_differ_by_no_more_than_the_repeat_error_teach_nothing() -> None:
    """Their order is the judge's noise; a prompt whose takes differ more is not touched."""
    scores = [*rated("noise", (1.0, 5), (1.5, 5)), *rated("clear", (1.0, 5), (1.6, 5))]
    found = rewards(scores, judge(repeat_error=0.5, scales={"look": 1.0}))
    assert reasons(found) == [NO_DIFFERENCE, NO_DIFFERENCE, None, None]
    assert values(found)[2:] == pytest.approx([-0.6, 0.6]), "the repeat error is the least that is divided by"
    assert num_skipped(found) == 1


def test_equal_takes_teach_nothing_without_any_stated_error_too() -> None:
    scores = [*rated("same", (1.0, 5), (1.0, 5)), *rated("other", (1.0, 5), (2.0, 5))]
    assert reasons(rewards(scores, judge()))[:2] == [NO_DIFFERENCE] * 2


def test_a_scale_without_a_difference_adds_nothing_and_does_not_hide_the_other() -> None:
    scores = rated("a", (1.0, 3), (1.1, 7))
    assert values(rewards(scores, judge(repeat_error=0.5))) == pytest.approx([-0.5, 0.5])


def test_small_differences_are_not_blown_up() -> None:
    """A prompt whose takes hardly differ gets the floor, a share of the spread over all prompts."""
    scores = [*rated("tiny", (1.0, 0), (1.001, 0)), *rated("wide", (-3, 0), (5, 0))]
    floor = FLOOR * math.sqrt((0.0005**2 + 4**2) / 2)
    found = values(rewards(scores, judge(scales={"look": 1.0})))
    assert found == pytest.approx([*z((1.0, 1.001), floor), -1, 1])


def test_unscored_takes_are_left_out_and_keep_their_reason() -> None:
    scores = rated("a", (-3, 2), (5, 4), (1, 9))
    scores[1] = scores[1].model_copy(update={"outcome": Unscored(reason="no value on look")})
    found = rewards(scores, judge(scales={"look": 1.0}))
    assert values(found) == [pytest.approx(-1), None, pytest.approx(1)]
    assert reasons(found)[1] == "no value on look"


def test_shares_beside_other_scales_count_in_spreads_too() -> None:
    """Answers in one dimension, values in another: nothing else can be weighed together."""
    spec = judge(by_dimension={"Composition": {"use": "sandbox", "kind": "plugin"}})
    answered = make_prompt("b", dimension="Composition")
    shares = [make_score(make_clip(answered, take), value) for take, value in enumerate((0.2, 0.4))]
    found = values(rewards([*rated("a", (-3, 2), (5, 4)), *shares], spec))
    assert found == pytest.approx([-1, 1, -1, 1])


def test_shares_of_comparisons_won_are_rewards_in_spreads() -> None:
    prompt = make_prompt("a")
    scores = [
        make_score(make_clip(prompt, take), 0.0).model_copy(update={"outcome": Scored(value=value, unit=WINS)})
        for take, value in enumerate((0.75, 0.5, 0.25))
    ]
    assert values(rewards(scores, judge(CHOOSER))) == pytest.approx(z((0.75, 0.5, 0.25)))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"kind": "exponential", "temperature": 2.0}, [math.exp(-1), 1.0]),
        ({"kind": "rank"}, [0.25, 0.75]),
        ({"kind": "centred"}, [0.0, 1.0]),
        ({"kind": "contrast"}, [1.0, 1.0]),
    ],
)
def test_rewards_are_weighed_and_skipped_prompts_have_no_weight(
    weights: Mapping[str, object], expected: Sequence[float]
) -> None:
    prompts = [make_prompt(name) for name in ("same", "wide")]
    clips = [make_clip(prompt, take) for prompt in prompts for take in range(2)]
    scores = [*rated("same", (1, 1), (1, 1)), *rated("wide", (-3, 0), (5, 1))]
    spec = WeightsSpec.model_validate(weights)
    found = rewards(scores, judge())
    samples = weighed(clips, found, spec)
    w = [sample.weight for sample in samples]
    assert w[:2] == [0, 0]
    assert w[2:] == pytest.approx([2 * each / sum(expected) for each in expected])
    assert [sample.preference for sample in samples] == [None, None, 0.0, 1.0]
    assert samples[2].partner == samples[3].clip_key and samples[0].partner is None
    report = report_weights(samples, found, spec)
    assert (report.num_prompts_skipped, report.num_prompts) == (1, 1)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_values_of_any_size_are_standardised(size: float) -> None:
    found = values(rewards(rated("a", (-3 * size, 0), (5 * size, 0)), judge(scales={"look": 1.0})))
    assert found == pytest.approx([-1, 1])

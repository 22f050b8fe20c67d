"""How much judges of each kind will say: estimates before a run, exact numbers once prompts are written."""

from __future__ import annotations

import pytest

from rushes.plan.counts import planned_totals, work_of
from rushes.plan.judged import about_replies, replies_to
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.load import load_recipe
from tests.support.judged import make_prompt, make_question

RATER, CHOOSER = "tests.support.raters:RaterSpec", "tests.support.raters:ChooserSpec"


def spec(default: str, **by_dimension: str) -> JudgeSpec:
    def named(use: str) -> dict[str, str]:
        return {"kind": "plugin", "use": use}

    others = {name: named(use) for name, use in by_dimension.items()}
    return JudgeSpec.model_validate({"judge": named(default), "by_dimension": others})


@pytest.mark.parametrize(
    ("judge", "num_takes", "num_models", "expected"),
    [
        (spec("sandbox"), 4, 1, {"answers": 3 * 4}),
        (spec("sandbox"), 4, 2, {"answers": 3 * 4 * 2}),
        (spec(RATER), 4, 2, {"ratings": 2 * 2 * 4 * 2}),
        (spec(CHOOSER), 4, 1, {"votes": 2 * 6 * 2}),
        (spec(CHOOSER), 4, 2, {"votes": 2 * 4 * 2}),
        (spec(CHOOSER), 1, 1, {}),
        (spec("sandbox", Mechanics=RATER), 2, 1, {"answers": 2 * 1, "ratings": 2 * 2}),
    ],
)
def test_replies_to_prompts_that_are_written(
    judge: JudgeSpec, num_takes: int, num_models: int, expected: dict[str, int]
) -> None:
    prompts = [
        make_prompt("a", make_question("?"), dimension="Composition"),
        make_prompt("b", make_question("?"), make_question("!"), dimension="Mechanics"),
    ]
    found = replies_to(prompts, judge, num_takes, num_models)
    assert {kind: num for kind, num in found.items() if num} == expected


def test_before_prompts_are_written_they_are_spread_over_the_dimensions() -> None:
    judge = spec("sandbox", Mechanics=RATER, Composition=CHOOSER)
    found = about_replies(9, ["Camera_Motion", "Mechanics", "Composition"], judge, 2)
    assert found.nums == {"answers": 3 * 4 * 2, "ratings": 3 * 2 * 2, "votes": 3 * 2}
    assert found.tables("watch_") == {"watch_answers": 24, "watch_ratings": 12, "watch_votes": 6}
    assert about_replies(0, ["Mechanics"], judge, 2).nums == {}


def test_a_recipe_of_values_plans_no_answers() -> None:
    recipe = load_recipe("sandbox", [f"judge.judge={{use: '{RATER}'}}", "watch={every: 50}"])
    totals = planned_totals(recipe)
    assert totals["ratings"] > 0 and totals["watch_ratings"] > 0 and "answers" not in totals
    (stage,) = [each for each in work_of(recipe) if each.stage == "judge"]
    num_clips = recipe.num_rounds * recipe.prompts.num_weakness * recipe.generate.num_takes
    assert (stage.items, stage.num_items) == ("ratings, about", 2 * num_clips)
    assert stage.units == {"ratings": 2 * num_clips}


def test_a_judge_that_cannot_be_had_is_planned_as_one_that_answers() -> None:
    """The plan is no place to tell: the check before a run does."""
    assert about_replies(1, ["Mechanics"], spec("nowhere:JudgeSpec"), 2).nums == {"answers": 8}

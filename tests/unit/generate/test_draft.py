"""Which prompts draft takes leave: what is hopeless or solved goes, what is not known stays, and never too few."""

import pytest
from pydantic import ValidationError

from rushes.generate.draft import outcomes
from rushes.plan.calls import calls_per_draft
from rushes.plan.counts import work_of
from rushes.recipe.generate import DraftSpec, GenerateSpec
from rushes.recipe.recipe import as_draft
from rushes.records import Prompt, Score, Scored, Unscored
from tests.support.sandbox_recipe import prompts_spec, sandbox_recipe

SPEC = DraftSpec(hopeless=0.1, solved=0.9, min_kept=0.0)


def prompt(number: int) -> Prompt:
    return Prompt(
        key=f"{number:064x}", text=f"text {number}", base_text="a", dimension="Simple", origin="weakness", index=number
    )


def score(number: int, value: float | None) -> Score:
    outcome = Unscored(reason="no answer") if value is None else Scored(value=value)
    return Score(clip_key="ab" * 32, prompt_key=f"{number:064x}", dimension="Simple", outcome=outcome)


def kept(scores: dict[int, list[float | None]], spec: DraftSpec = SPEC) -> list[int]:
    flat = [score(number, value) for number, values in scores.items() for value in values]
    found = outcomes([prompt(number) for number in scores], flat, spec)
    assert [int(each.prompt_key, 16) for each in found] == list(scores)
    return [int(each.prompt_key, 16) for each in found if each.is_kept]


def test_hopeless_and_solved_prompts_go_and_the_rest_stays_in_order() -> None:
    assert kept({3: [0.5], 1: [0.1, 0.05], 2: [0.9, 1.0], 5: [0.0, 1.0], 4: [0.89], 6: [0.11]}) == [3, 5, 4, 6]


def test_a_missing_score_is_no_bad_score() -> None:
    assert kept({1: [None, None], 2: [], 3: [None, 0.0], 4: [None, 0.5]}) == [1, 2, 4]


def test_a_share_of_the_prompts_stays_whatever_the_drafts_say() -> None:
    spec = SPEC.model_copy(update={"min_kept": 0.5})
    scores: dict[int, list[float | None]] = {1: [0.0], 2: [0.95], 3: [0.1], 4: [1.0], 5: [0.0]}
    # Three of five: nearest to 0.5 are 0.1 and 0.95, and then the first of two equal ones by key.
    assert kept(scores, spec) == [1, 2, 3]
    found = outcomes([prompt(2)], [score(2, 0.95)], spec)
    why = "solved: the worst of 1 scores 0.95; kept anyway, so that 50% of the prompts are used"
    assert found[0].reason == why
    assert kept({}, spec) == []


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="hopeless must be below solved"):
        DraftSpec(hopeless=0.9, solved=0.5)


def test_a_draft_is_the_recipe_made_smaller() -> None:
    recipe = sandbox_recipe(generate=GenerateSpec(draft=DraftSpec(num_frames=5, num_steps=4)))
    draft = as_draft(recipe)
    assert (draft.shape.num_frames, draft.shape.height_px) == (5, recipe.shape.height_px)
    assert (draft.generate.sampler.num_steps, draft.generate.num_takes) == (4, 1)
    assert draft.generate.sampler.shift == recipe.generate.sampler.shift
    plain = sandbox_recipe()
    assert as_draft(plain) is plain


def test_the_plan_counts_drafts_as_the_part_of_a_clip_that_they_are() -> None:
    generate = GenerateSpec(draft=DraftSpec(num_frames=5, num_steps=4, num_takes=2))
    with_drafts = sandbox_recipe(generate=generate, prompts=prompts_spec(num_weakness=10))
    (stage,) = (each for each in work_of(with_drafts) if each.stage == "draft")
    assert stage.num_items == 20
    assert stage.units["draft_clips"] == 20
    assert calls_per_draft(with_drafts) == pytest.approx(4 * 2 * 5 / 17)
    assert stage.tables == {"draft_clips": 20, "draft_answers": 80}
    assert all(each.stage != "draft" for each in work_of(sandbox_recipe()))

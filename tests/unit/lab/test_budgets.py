"""What arms cost, counted by hand, and recipes that are made to cost the same."""

from __future__ import annotations

import pytest

from lab.arms import NUM_PROMPTS, NUM_STEPS, arms
from lab.budgets import Budget, at_budget, budget_of, forwards_a_step, planned
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe

DEMO = load_recipe("sandbox")
SAMPLING = NUM_PROMPTS * 6 * DEMO.generate.sampler.num_steps
"""Forward passes of the demo's clips: 6 takes, no guidance."""


def recipe(*overrides: str) -> Recipe:
    return load_recipe("sandbox", list(overrides))


def test_the_demo_counted_by_hand() -> None:
    """16 clips with gradients, 8 of them its own, which the frozen model sees too."""
    assert forwards_a_step(DEMO) == 3 * 16 + 8
    assert planned(DEMO) == Budget(clips_judged=6 * NUM_PROMPTS, steps=NUM_STEPS, forwards=SAMPLING + NUM_STEPS * 56)


@pytest.mark.parametrize(
    ("overrides", "forwards"),
    [
        (("train.objective={kind: flow}", "weights.kind=raw"), 48),
        (("train.anchor=0.1",), 48 + 16),
        (("train.realism.kind=none",), 48 + 16),
        (("runtime.train.recompute=all",), 64 + 8),
        (("runtime.train.recompute=half",), 56 + 8),
    ],
)
def test_what_a_step_costs(overrides: tuple[str, ...], forwards: int) -> None:
    assert forwards_a_step(recipe(*overrides)) == forwards


def test_what_needs_no_score_judges_nothing_and_what_trains_on_real_clips_alone_samples_nothing() -> None:
    known = arms()
    sft, real = recipe(*known["plain SFT"].overrides), recipe(*known["real clips only, nothing generated"].overrides)
    assert planned(sft) == Budget(clips_judged=0, steps=NUM_STEPS, forwards=SAMPLING + NUM_STEPS * 48)
    assert planned(real) == Budget(clips_judged=0, steps=NUM_STEPS, forwards=NUM_STEPS * 48)


def test_guidance_samples_twice_and_rounds_add_up() -> None:
    assert planned(recipe("generate.sampler.guidance_scale=3")).forwards == planned(DEMO).forwards + SAMPLING
    for num in (2, 4):
        assert planned(recipe(*arms()[f"nft, {num} rounds"].overrides)) == planned(DEMO)


def test_a_finished_run_costs_what_it_did_and_not_what_was_planned() -> None:
    """The screen left 100 clips fewer, and training stopped early."""
    found = budget_of(DEMO, 6 * NUM_PROMPTS - 100, 150, 12.5)
    steps = DEMO.generate.sampler.num_steps
    expected = SAMPLING - 100 * steps + 150 * 56
    assert found == Budget(clips_judged=6 * NUM_PROMPTS - 100, steps=150, forwards=expected, seconds=12.5)


@pytest.mark.parametrize("name", ["nft", "plain SFT", "filtered SFT + real clips", "nft, 2 rounds", "twice the clips"])
def test_equal_forward_passes_are_equal_up_to_one_step_of_each_round(name: str) -> None:
    overrides, amount = arms()[name].overrides, planned(DEMO).forwards
    made = recipe(*overrides, *at_budget(recipe(*overrides), "forwards", amount))
    assert 0 <= amount - planned(made).forwards < made.num_rounds * forwards_a_step(made)


def test_equal_steps_and_equal_clips() -> None:
    rounds = arms()["nft, 4 rounds"].overrides
    assert at_budget(recipe(*rounds), "steps", 400) == ("train.num_steps=100",)
    twice = arms()["twice the clips"].overrides
    same = recipe(*twice, *at_budget(recipe(*twice), "clips", planned(DEMO).clips_judged))
    assert planned(same) == planned(DEMO)
    captions = arms()["both, half and half"].overrides
    halved = recipe(*captions, *at_budget(recipe(*captions), "clips", 504))
    assert (halved.prompts.num_weakness, halved.prompts.num_caption) == (NUM_PROMPTS // 4, NUM_PROMPTS // 4)
    assert at_budget(recipe(*arms()["plain SFT"].overrides), "clips", 504) == ()
    assert at_budget(DEMO, "own", 1) == ()


def test_a_budget_that_sampling_alone_exceeds_is_refused() -> None:
    with pytest.raises(ValueError, match="pays for at least one step"):
        at_budget(DEMO, "forwards", SAMPLING)

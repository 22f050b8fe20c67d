"""The smallest gain of a recipe: which prompts count where, and where there is none."""

from __future__ import annotations

import pytest

from rushes.plan.detectable import Detectable, detectable, in_words, per_dimension, prompts_for
from rushes.recipe.recipe import Recipe
from rushes.statistics.power import smallest_gain
from tests.support.sandbox_recipe import sandbox_with

THREE = "diagnose.dimensions=[Composition, Camera_Motion, Mechanics]"


def recipe(*overrides: str) -> Recipe:
    return sandbox_with(THREE, "diagnose.num_focus=2", "measure.num_prompts=50", *overrides)


def test_prompts_of_the_focus_are_those_of_its_dimensions_together() -> None:
    mean, focus, other = detectable(recipe("measure.num_extra_focus_prompts=10", "measure.num_takes=2"))
    assert (mean.num_prompts, focus.num_prompts, other.num_prompts) == (120, 60, 50)
    assert (mean.num_compared, focus.num_compared) == (1, 4), "three dimensions and Diversity"
    assert mean.gain == smallest_gain(120, 2)
    assert focus.gain == smallest_gain(60, 2, num_compared=4)


def test_only_what_is_compared_is_decided_together() -> None:
    assert [each.num_compared for each in detectable(recipe("measure.only_focus=true"))] == [1, 2]
    assert detectable(recipe("measure.num_diversity_prompts=0"))[1].num_compared == 3
    mean, one = detectable(recipe("diagnose.focus=[Mechanics]", "measure.only_focus=true"))
    assert "focus dimension" in mean.what and one.what.startswith("Mechanics")


@pytest.mark.parametrize("num", [1, 2, 5])
def test_a_handful_of_prompts_is_no_measurement(num: int) -> None:
    row = Detectable("one", num, 4, 1)
    assert row.gain is None and row.fewest == 6
    few = recipe(f"measure.num_prompts={num}", "diagnose.num_focus=1")
    assert in_words(few) == f"It can see no gain: {num} prompts are no measurement."


def test_the_prompts_that_a_gain_takes_are_the_fewest_that_show_it() -> None:
    row = detectable(recipe())[0]
    num = prompts_for(0.04, row)
    assert num is not None
    assert smallest_gain(num, 1) <= 0.04 < smallest_gain(num - 1, 1)
    assert prompts_for(0.0001, row) is None
    assert per_dimension(num, recipe()) == -(-num // 2)

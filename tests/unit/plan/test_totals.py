"""Totals: bounds first, exact part by part, told once each time they change."""

from __future__ import annotations

import pytest

from rushes.plan.counts import planned_totals
from rushes.plan.totals import Total, Totals
from tests.support.sandbox_recipe import sandbox_recipe, sandbox_with


def test_totals_begin_as_the_recipes_bounds() -> None:
    recipe = sandbox_with("num_rounds=3", "prompts.num_weakness=10")
    found = Totals(recipe).by_table()
    assert {table: total.num for table, total in found.items()} == planned_totals(recipe)
    assert {table for table, total in found.items() if total.is_exact} == {"checkpoints"}


def test_a_table_is_exact_when_all_of_its_parts_are() -> None:
    recipe = sandbox_with("num_rounds=2")
    totals = Totals(recipe)
    bound = totals.by_table()["answers"].num
    totals.know("answers", "measure", 100)
    totals.know("answers", "judge 0", 30)
    part = totals.by_table()["answers"]
    assert not part.is_exact and part.num < bound
    totals.know("answers", "judge 1", 20)
    assert totals.by_table()["answers"] == Total(150, True)


def test_a_part_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="judge 5"):
        Totals(sandbox_recipe()).know("answers", "judge 5", 1)

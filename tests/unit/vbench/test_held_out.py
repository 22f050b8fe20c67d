"""The suite as a run's evaluation prompts: fair samples, disjoint parts, questions, and what recipes may ask."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rushes.errors import RecipeError
from rushes.prompts.screen import screen
from rushes.recipe.diagnose import DiagnoseSpec
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import ScreenSpec
from rushes.recipe.recipe import StagesSpec
from rushes_vbench.held_out import Part, filmed_as, guarded, suite_work
from tests.support.suite import SHARED, small_suite


def texts(wanted: dict[str, int], part: Part) -> list[str]:
    return [work.payload.text for work in suite_work(small_suite(), wanted, part)]


def test_parts_share_no_prompt_up_to_a_third_of_them() -> None:
    parts: tuple[Part, ...] = ("development", "probe", "test")
    chosen = [texts({"Material": 2}, part) for part in parts]
    assert all(len(each) == 2 for each in chosen)
    assert len({text for each in chosen for text in each}) == 6


def test_more_prompts_hold_the_fewer_and_all_are_the_whole_dimension() -> None:
    suite = small_suite()
    assert texts({"Material": 4}, "test")[:2] == texts({"Material": 2}, "test")
    for part in ("development", "probe", "test"):
        assert sorted(texts({"Material": 99}, part)) == sorted(suite.prompts_of("Material"))


def test_order_of_the_file_changes_neither_choice_nor_keys() -> None:
    suite = small_suite()
    turned = type(suite)(suite.entries[::-1], suite.edition, suite.source)
    keys = [[work.key for work in suite_work(each, {"Material": 3}, "development")] for each in (suite, turned)]
    assert keys[0] == keys[1]


def test_origin_and_dimension_give_other_keys_and_so_other_seeds() -> None:
    suite = small_suite()
    works = [suite_work(suite, {"Mechanics": 1}, part)[0] for part in ("probe", "test")]
    works += suite_work(suite, {"Diversity": 2}, "test")
    assert len({work.key for work in works}) == 4
    assert [work.payload.origin for work in works] == ["probe", "held_out", "held_out", "held_out"]
    assert suite_work(suite, {"Mechanics": 1}, "development")[0].key == works[1].key


def test_all_dimensions_of_a_prompt_are_filmed_as_one_and_each_origin_for_itself() -> None:
    suite = small_suite()
    for_one = suite_work(suite, {"Mechanics": 1}, "test")[0].payload
    for_other = next(
        work.payload for work in suite_work(suite, {"Diversity": 2}, "test") if work.payload.text == SHARED
    )
    probe = suite_work(suite, {"Mechanics": 1}, "probe")[0].payload
    assert for_one.text == SHARED and filmed_as(for_one) == filmed_as(for_other) is not None
    assert filmed_as(probe) not in (None, filmed_as(for_one))
    assert filmed_as(for_one.model_copy(update={"source": "mine"})) is None


def test_as_many_films_as_files_in_the_flat_layout() -> None:
    rows = [{"prompt_en": f"p{i}", "dimension": [name]} for i in range(3) for name in ("Diversity", "Human_Clothes")]
    suite = small_suite(rows)
    works = suite_work(suite, {"Diversity": 3, "Human_Clothes": 3}, "test")
    num = {"Diversity": 20, "Human_Clothes": 3}
    films = {(filmed_as(work.payload), take) for work in works for take in range(num[work.payload.dimension])}
    assert len(films) == len(suite.flat_names) == 60
    assert sum(num[work.payload.dimension] for work in works) == sum(map(len, suite.names_by_dimension.values())) == 69


def test_only_yes_no_questions_become_questions() -> None:
    (mechanics,) = suite_work(small_suite(), {"Mechanics": 1}, "test")
    assert [(q.text, q.expected) for q in mechanics.payload.questions] == [
        ("Is there clay? (yes or no)", "yes"),
        ("Does it?", "yes"),
    ]
    for name in ("Camera_Motion", "Complex_Landscape", "Motion_Order_Understanding", "Composition"):
        assert suite_work(small_suite(), {name: 1}, "test")[0].payload.questions == ()


def test_every_prompt_of_the_suite_is_guarded_once() -> None:
    suite = small_suite()
    assert [prompt.text for prompt in guarded(suite)] == list(suite.prompts)
    assert next(each for each in guarded(suite) if each.text == SHARED).dimension == "Diversity"


def test_no_prompt_of_the_suite_is_trained_on_whether_it_is_measured_or_not() -> None:
    suite = small_suite()
    own = guarded(suite)[0].model_copy(update={"text": "A lamp is switched off.", "key": "ab" * 32})
    drafts = [own, *(prompt.model_copy(update={"origin": "weakness"}) for prompt in guarded(suite))]
    screened = screen(drafts, evaluation=guarded(suite), spec=ScreenSpec(enabled=False))
    assert [prompt.text for prompt in screened.accepted] == ["A lamp is switched off."]
    assert {rejection.reason for rejection in screened.rejections} == {"held_out"}


def test_a_dimension_that_the_copy_lacks_is_an_error() -> None:
    with pytest.raises(RecipeError, match="no prompts of 'Human_Clothes'") as caught:
        suite_work(small_suite(), {"Human_Clothes": 3}, "probe")
    assert caught.value.expected is not None and "Material" in caught.value.expected


MEASURER = PluginSpec(use="tests.support.fakes:HashMeasurerSpec")


@pytest.mark.parametrize(
    "changes",
    [
        {"diagnose": DiagnoseSpec(catalogue="sandbox")},
        {"measure": MeasureSpec(suite="installed", measurer=None)},
    ],
)
def test_a_recipe_that_cannot_measure_with_the_suite_is_refused(changes: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "diagnose": DiagnoseSpec(catalogue="vbench2"),
        "measure": MeasureSpec(suite="installed", measurer=MEASURER),
    }
    StagesSpec(**fields)
    with pytest.raises(ValidationError, match=r"measure\.suite holds prompts of VBench-2\.0 only"):
        StagesSpec(**{**fields, **changes})

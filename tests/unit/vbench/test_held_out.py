"""The suite as a run's evaluation prompts: fair samples, disjoint parts, questions, and what recipes may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.generate.takes import How, takes
from rushes.preflight import check
from rushes.prompts.evaluation import evaluation
from rushes.prompts.screen import screen
from rushes.prompts.suite import guarded, suite_work
from rushes.recipe.base import ShapeSpec
from rushes.recipe.diagnose import DimensionSpec, ExampleSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import ScreenSpec
from rushes.records import SamplerSettings
from rushes.roles import Part
from rushes.store.run import Run
from rushes_vbench.held_out import HeldOut
from tests.support.sandbox_recipe import VBENCH_CATALOGUE, diagnose_spec, measure_spec, sandbox_recipe
from tests.support.suite import SHARED, small_suite, write_suite


def brought(rows: list[dict[str, Any]] | None = None) -> HeldOut:
    """The suite of the tests, as a recipe brings it."""
    return HeldOut(small_suite(rows))


def texts(wanted: dict[str, int], part: Part) -> list[str]:
    return [work.payload.text for work in suite_work(brought(), wanted, part)]


def test_parts_share_no_prompt_up_to_a_third_of_them() -> None:
    parts: tuple[Part, ...] = ("development", "probe", "test")
    chosen = [texts({"Material": 2}, part) for part in parts]
    assert all(len(each) == 2 for each in chosen)
    assert len({text for each in chosen for text in each}) == 6


def test_more_prompts_hold_the_fewer_and_all_are_the_whole_dimension() -> None:
    suite = small_suite()
    parts: tuple[Part, ...] = ("development", "probe", "test")
    assert texts({"Material": 4}, "test")[:2] == texts({"Material": 2}, "test")
    for part in parts:
        assert sorted(texts({"Material": 99}, part)) == sorted(suite.prompts_of("Material"))


def test_order_of_the_file_changes_neither_choice_nor_keys() -> None:
    suite = small_suite()
    turned = type(suite)(suite.entries[::-1], suite.edition, suite.source)
    found = [suite_work(HeldOut(each), {"Material": 3}, "development") for each in (suite, turned)]
    keys = [[work.key for work in works] for works in found]
    assert keys[0] == keys[1]


def test_origin_and_dimension_give_other_keys_and_so_other_seeds() -> None:
    suite, parts = brought(), ("probe", "test")
    works = [suite_work(suite, {"Mechanics": 1}, part)[0] for part in parts]
    works += suite_work(suite, {"Diversity": 2}, "test")
    assert len({work.key for work in works}) == 4
    assert [work.payload.origin for work in works] == ["probe", "held_out", "held_out", "held_out"]
    assert suite_work(suite, {"Mechanics": 1}, "development")[0].key == works[1].key


def test_all_dimensions_of_a_prompt_are_generated_as_one_and_each_origin_for_itself() -> None:
    suite = brought()
    for_one = suite_work(suite, {"Mechanics": 1}, "test")[0].payload
    for_other = next(
        work.payload for work in suite_work(suite, {"Diversity": 2}, "test") if work.payload.text == SHARED
    )
    probe = suite_work(suite, {"Mechanics": 1}, "probe")[0].payload
    assert for_one.text == SHARED and for_one.seed_name == for_other.seed_name is not None
    assert probe.seed_name not in (None, for_one.seed_name)


def test_as_many_clips_as_files_in_the_flat_layout() -> None:
    rows = [{"prompt_en": f"p{i}", "dimension": [name]} for i in range(3) for name in ("Diversity", "Human_Clothes")]
    suite = small_suite(rows)
    num = {"Diversity": 20, "Human_Clothes": 3}
    works = suite_work(brought(rows), {"Diversity": 3, "Human_Clothes": 3}, "test")
    # What the model puts out: the takes of both dimensions of a prompt share theirs.
    how = How("base", SamplerSettings(num_steps=1, guidance_scale=1.0, shift=1.0, scheduler="x"), ShapeSpec())
    made = {take.payload.output for work in works for take in takes([work.payload], num[work.payload.dimension], how)}
    assert len(made) == len(suite.flat_names) == 60
    assert sum(num[work.payload.dimension] for work in works) == sum(map(len, suite.names_by_dimension.values())) == 69


def test_only_yes_no_questions_become_questions() -> None:
    (mechanics,) = suite_work(brought(), {"Mechanics": 1}, "test")
    assert [(q.text, q.expected) for q in mechanics.payload.questions] == [
        ("Is there clay? (yes or no)", "yes"),
        ("Does it?", "yes"),
    ]
    for name in ("Camera_Motion", "Complex_Landscape", "Motion_Order_Understanding", "Composition"):
        assert suite_work(brought(), {name: 1}, "test")[0].payload.questions == ()


def test_every_prompt_of_the_suite_is_guarded_once() -> None:
    guard = guarded(brought())
    assert [prompt.text for prompt in guard] == list(small_suite().prompts)
    assert len({prompt.key for prompt in guard}) == len(guard)


def test_no_prompt_of_the_suite_is_trained_on_whether_it_is_measured_or_not() -> None:
    suite = brought()
    own = guarded(suite)[0].model_copy(update={"text": "A lamp is switched off.", "key": "ab" * 32})
    drafts = [own, *(prompt.model_copy(update={"origin": "weakness"}) for prompt in guarded(suite))]
    screened = screen(drafts, evaluation=guarded(suite), spec=ScreenSpec(enabled=False))
    assert [prompt.text for prompt in screened.accepted] == ["A lamp is switched off."]
    assert {rejection.reason for rejection in screened.rejections} == {"held_out"}


def test_a_dimension_that_the_copy_lacks_is_an_error() -> None:
    with pytest.raises(RecipeError, match="no prompts of 'Human_Clothes'") as caught:
        suite_work(brought(), {"Human_Clothes": 3}, "probe")
    assert caught.value.expected is not None and "Material" in caught.value.expected


def test_a_recipe_with_a_dimension_that_the_suite_lacks_is_refused_before_anything_is_generated(tmp_path: Path) -> None:
    suite = PluginSpec(use="vbench2", options={"path": str(write_suite(tmp_path / "suite"))})
    own = DimensionSpec(name="Rain", description="It rains.", examples=(ExampleSpec(prompt="rain falls"),))
    recipe = sandbox_recipe(
        diagnose=diagnose_spec(catalogue=VBENCH_CATALOGUE, dimensions=("Mechanics",), focus=("Rain",), extra=(own,)),
        measure=measure_spec(suite=suite),
    )
    with Run.open(tmp_path / "run", recipe) as run, pytest.raises(RecipeError, match="no prompts of 'Rain'") as caught:
        evaluation(Context(recipe, run))
    assert "diagnose.extra" in (caught.value.next_step or "")


def test_a_run_guards_the_whole_suite_and_not_only_the_prompts_that_it_measures(tmp_path: Path) -> None:
    """Another split, or more prompts, must stay unseen by training for runs that come after."""
    suite = PluginSpec(use="vbench2", options={"path": str(write_suite(tmp_path / "suite"))})
    recipe = sandbox_recipe(
        diagnose=diagnose_spec(catalogue=VBENCH_CATALOGUE, dimensions=("Mechanics",), focus=("Mechanics",)),
        measure=measure_spec(suite=suite, num_prompts=1),
    )
    with Run.open(tmp_path / "run", recipe) as run:
        found = evaluation(Context(recipe, run))
    assert {prompt.text for prompt in found.guarded} == set(small_suite().prompts)
    assert len(found.held_out) < len(small_suite().prompts)


def test_a_suite_is_refused_where_the_dimensions_are_of_another_catalogue(tmp_path: Path) -> None:
    """`Mechanics` is in both catalogues and means another thing in each."""
    suite = PluginSpec(use="vbench2", options={"path": str(write_suite(tmp_path))})
    recipe = sandbox_recipe(measure=measure_spec(suite=suite), diagnose=diagnose_spec(dimensions=("Mechanics",)))
    with pytest.raises(RecipeError, match=r"prompts of VBench-2\.0 only") as told:
        check(recipe)
    assert "rushes_vbench:dimensions.yaml" in str(told.value)
    check(recipe.model_copy(update={"diagnose": diagnose_spec(catalogue=VBENCH_CATALOGUE, dimensions=("Mechanics",))}))

"""The splits of the held-out prompts: disjoint, always the same, and none of them is trained on, whichever is used."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.prompts.evaluation import Evaluation, evaluation
from rushes.prompts.screen import screen
from rushes.recipe.load import load_recipe
from rushes.recipe.prompts import ScreenSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.watch import WatchSpec
from rushes.records import Prompt
from rushes.store.run import Run
from rushes_sandbox.reader.shapes import ShapeReader
from tests.support.sandbox_recipe import diagnose_spec, measure_spec, sandbox_recipe

SPLITS = ("development", "seen", "test")
Found = Callable[..., Evaluation]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    home: Path = tmp_path_factory.mktemp("run")

    def build(split: str, **changes: Any) -> Evaluation:
        diagnose = diagnose_spec(dimensions=("Mechanics", "Composition"), num_prompts=4)
        measure = measure_spec(num_prompts=8, num_diversity_prompts=6, split=split)
        recipe: Recipe = sandbox_recipe(diagnose=diagnose, measure=measure, **changes)
        with Run.open(home, recipe, allow_change=True) as run:
            context = Context(recipe, run)
            context.vocabulary = None  # any word may be written
            return evaluation(context)

    return build


def _repeats(drafts: tuple[Prompt, ...], others: tuple[Prompt, ...]) -> list[str]:
    found = screen(drafts, evaluation=others, spec=ScreenSpec(), reader=ShapeReader())
    return [each.reason for each in found.rejections]


def test_a_prompt_of_any_split_is_refused_in_training_whatever_the_run_measures_with(found: Found) -> None:
    runs = {split: found(split) for split in SPLITS}
    for run in runs.values():
        for name, other in runs.items():
            drafts = tuple(each.model_copy(update={"origin": "weakness"}) for each in other.held_out)
            assert set(_repeats(drafts, run.guarded)) == {"held_out"}, f"{name} prompts may be trained on"
            assert len(_repeats(drafts, run.guarded)) == len(drafts)


def test_no_two_splits_share_content_and_the_watch_shares_it_with_none(found: Found) -> None:
    runs = {split: found(split, watch=WatchSpec(num_prompts=4)) for split in SPLITS}
    parts = {name: run.held_out for name, run in runs.items()}
    parts |= {"probe": runs["test"].probes, "watch": runs["test"].watch}
    assert all(len(prompts) >= 8 for prompts in parts.values())
    for one, other in combinations(parts, 2):
        assert "held_out" not in _repeats(parts[one], parts[other]), f"{one} repeats {other}"


def test_watching_and_the_choice_of_a_split_change_no_prompt(found: Found) -> None:
    plain, watched = found("test"), found("test", watch=WatchSpec(num_prompts=4))
    assert plain.held_out == watched.held_out and plain.probes == watched.probes
    assert {each.key for each in found("development").guarded} == {each.key for each in plain.guarded}


def test_seen_are_the_prompts_that_were_called_test_before(found: Found) -> None:
    """Keys as they were before there was a third split: runs from then can be set beside those of now."""
    began = {"development": ["2b0dc587f206", "b716a5a30692"], "seen": ["a393192f39b8", "1eb7c42acc46"]}
    for split, keys in began.items():
        assert [each.key[:12] for each in found(split).held_out if each.dimension == "Mechanics"][:2] == keys


def test_a_suite_has_no_seen_split() -> None:
    with pytest.raises(RecipeError, match=r"measure\.split: seen"):
        load_recipe("sandbox", ["measure.split=seen", "measure.suite={use: vbench2, options: {path: VBench}}"])

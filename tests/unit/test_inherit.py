"""`from:` in a recipe: what it takes over, what it replaces, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.errors import RecipeError
from rushes.recipe import load_recipe


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_left_out_comes_from_the_named_recipe(tmp_path: Path) -> None:
    mine = load_recipe(written(tmp_path, "from: sandbox\ntrain: {num_steps: 7}\n"))
    sandbox = load_recipe("sandbox")
    assert mine.name == "mine" and mine.train.num_steps == 7
    assert mine.train.learning_rate == sandbox.train.learning_rate
    assert mine.model_copy(update={"name": "sandbox", "train": sandbox.train}) == sandbox


def test_lists_are_replaced_and_another_choice_replaces_its_section(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text("", encoding="utf-8")
    text = (
        "from: sandbox\ndiagnose: {dimensions: [Composition]}\nprompts: {writer: {kind: fixed, path: prompts.jsonl}}\n"
    )
    mine = load_recipe(written(tmp_path, text))
    assert mine.diagnose.dimensions == ("Composition",)
    assert (
        mine.prompts.writer.kind == "fixed" and mine.prompts.num_weakness == load_recipe("sandbox").prompts.num_weakness
    )


def test_a_file_is_relative_to_the_one_that_names_it_and_may_name_another(tmp_path: Path) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    written(folder, "from: sandbox\nseed: 3\n", "base.yaml")
    assert load_recipe(written(folder, "from: base.yaml\n"), ["train.num_steps=5"]).seed == 3


@pytest.mark.parametrize("text", ["from: 3\n", "from: mine.yaml\n", "from: nothing\n"])
def test_what_cannot_be_begun_with_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError) as told:
        load_recipe(written(tmp_path, text))
    assert told.value.next_step


def test_an_error_in_the_other_recipe_names_its_place(tmp_path: Path) -> None:
    written(tmp_path, "from: sandbox\ntrain: {num_steps: many}\n", "base.yaml")
    with pytest.raises(RecipeError, match=r"base\.yaml, line 2"):
        load_recipe(written(tmp_path, "from: base.yaml\nseed: 1\n"))

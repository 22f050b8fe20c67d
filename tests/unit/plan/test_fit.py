"""`rushes init --gpu`: what is changed so that a recipe fits a card, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.cli.recipes import write_template
from rushes.errors import RecipeError
from rushes.families.recompute import SAFETY
from rushes.plan.fit import fitted, needed
from rushes.plan.gpus import find_gpu, of_memory
from rushes.recipe.load import load_recipe


@pytest.mark.parametrize(("name", "gigabytes"), [("12GB", 12), ("16 gb", 16), ("24", 24), ("80GiB", 80), ("7.5g", 7.5)])
def test_a_card_may_be_named_by_its_memory(name: str, gigabytes: float) -> None:
    card = of_memory(name)
    assert card is not None and card.memory_bytes == gigabytes * 1e9


@pytest.mark.parametrize("name", ["4090", "A100 40GB", "0GB", "900GB", "-12GB", "12 MB", "", "1e3"])
def test_nothing_else_is_taken_for_memory(name: str) -> None:
    assert of_memory(name) is None


def test_a_recipe_that_fits_is_left_alone() -> None:
    recipe = load_recipe("wan2.1-1.3b")
    assert fitted(recipe, find_gpu("H100")) == (recipe, ())


def test_the_cheapest_changes_are_made_until_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = of_memory("12GB")
    assert card is not None
    found, trades = fitted(load_recipe("wan2.1-1.3b"), card)
    assert [each.what.split(":")[0] for each in trades] == ["train.lora"]
    assert found.train.lora is not None and found.shape == load_recipe("wan2.1-1.3b").shape
    assert needed(found, card) <= SAFETY * card.memory_bytes < trades[0].before_bytes
    write_template(tmp_path / "mine.yaml", "wan2.1-1.3b", force=False, gpu="12GB")
    assert "train.lora: {rank: 16, alpha: 16}  train " in capsys.readouterr().out
    assert load_recipe(str(tmp_path / "mine.yaml")).train == found.train


@pytest.mark.slow
def test_two_stages_that_do_not_fit_are_both_helped() -> None:
    card = find_gpu("RTX 4090")
    found, trades = fitted(load_recipe("hunyuanvideo"), card)
    assert {each.stage for each in trades} == {"generate", "train"}
    assert all(each.after_bytes < 0.98 * each.before_bytes for each in trades)
    assert needed(found, card) <= SAFETY * card.memory_bytes


@pytest.mark.slow
def test_what_nothing_makes_fit_is_refused() -> None:
    card = of_memory("1GB")
    assert card is not None
    with pytest.raises(RecipeError, match="does not fit one card of 1 GB, whatever is changed"):
        fitted(load_recipe("wan2.1-1.3b"), card)

"""What the check before a run finds wrong with a small recipe."""

from __future__ import annotations

from pathlib import Path

from rushes.findings import Finding
from rushes.preflight import found_in_recipe, found_on_machine
from rushes.recipe.load import load_recipe


def found(*overrides: str) -> dict[str, Finding]:
    """What is found wrong with the smallest recipe when these settings are changed, by setting."""
    recipe = load_recipe("tiny", overrides)
    return {each.setting: each for each in (*found_in_recipe(recipe), *found_on_machine(recipe, Path("run")))}

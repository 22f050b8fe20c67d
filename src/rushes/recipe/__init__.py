"""Recipes: read from YAML, checked strictly, written as a commented template, compared."""

from rushes.recipe.changes import STAGES, changed_paths, spec_hash, stage_of_path
from rushes.recipe.load import load_recipe, packaged_recipes, parse_recipe
from rushes.recipe.template import recipe_yaml

__all__ = [
    "STAGES",
    "changed_paths",
    "load_recipe",
    "packaged_recipes",
    "parse_recipe",
    "recipe_yaml",
    "spec_hash",
    "stage_of_path",
]

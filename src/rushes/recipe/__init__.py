"""Recipes: read from YAML, checked strictly, written as a commented template."""

from rushes.recipe.load import load_recipe, packaged_recipes, parse_recipe
from rushes.recipe.template import recipe_yaml

__all__ = ["load_recipe", "packaged_recipes", "parse_recipe", "recipe_yaml"]

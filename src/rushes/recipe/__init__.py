"""Every setting of a run as data with a fixed name: read from YAML, checked strictly, written as a commented template.

Everybody above may read it; it builds and loads nothing, and knows no implementation of what it names.
"""

from rushes.recipe.load import load_recipe, packaged_recipes, parse_recipe
from rushes.recipe.template import recipe_yaml

__all__ = ["load_recipe", "packaged_recipes", "parse_recipe", "recipe_yaml"]

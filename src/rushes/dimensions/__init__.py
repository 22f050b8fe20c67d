"""The catalogue of quality dimensions: data, read from YAML files.

Which of them a recipe means is decided in `rushes.recipe.dimensions`.
"""

from rushes.dimensions.catalogue import Dimension, catalogue

__all__ = ["Dimension", "catalogue"]

"""The catalogue of quality dimensions: data, not code. Which of them a recipe means is in `rushes.recipe.dimensions`."""

from rushes.dimensions.catalogue import Dimension, catalogue

__all__ = ["Dimension", "catalogue"]

"""Quality dimensions as data: YAML catalogues, read and checked.

Used by the recipe and by everything that reports a dimension. It knows records alone, and not which dimensions a recipe
names.
"""

from rushes.dimensions.catalogue import Dimension, catalogue

__all__ = ["Dimension", "catalogue"]

"""Quality dimensions as data: YAML catalogues, read and checked.

Used by the recipe and by whoever reports a dimension; it knows records alone, and not which dimensions a recipe means.
"""

from rushes.dimensions.catalogue import Dimension, catalogue

__all__ = ["Dimension", "catalogue"]

"""The catalogue of quality dimensions: data, not code, plus the dimensions that a recipe brings."""

from rushes.dimensions.catalogue import Dimension, catalogue
from rushes.dimensions.select import known, probed

__all__ = ["Dimension", "catalogue", "known", "probed"]

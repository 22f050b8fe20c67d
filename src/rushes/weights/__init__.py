"""The stage that weighs: scores become non-negative weights, clips become training samples, and both are written down.

The pipeline calls it; it knows records and the recipe, and nothing of models.
"""

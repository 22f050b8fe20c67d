"""The weigh stage: scores become non-negative weights, clips become training samples, and both are recorded.

The pipeline calls it. It knows records and the recipe, and nothing of models.
"""

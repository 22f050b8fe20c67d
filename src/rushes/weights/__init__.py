"""Scores become non-negative weights, and clips training material, with what the weights amount to reported first.

Used by the pipeline; knows records and the recipe, and nothing of models.
"""

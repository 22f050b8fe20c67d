"""Scoring a folder of clips without a run: which files, by which models, kept so that a kill loses little.

The command line uses it. It knows the metrics and the suite, the store and the settings of a recipe, and nothing of a
run's stages.
"""

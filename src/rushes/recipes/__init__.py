"""Recipes for released models, as YAML files."""

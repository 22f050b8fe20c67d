"""The sandbox's recipes, as YAML files."""
